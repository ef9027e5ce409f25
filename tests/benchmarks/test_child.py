from __future__ import annotations

import psutil
import pytest

from benchmarks import child


def is_running(*command: str) -> bool:
    return any(
        process.info["cmdline"] == list(command)
        for process in psutil.process_iter(["cmdline", "status"])
        if process.info["status"] != psutil.STATUS_ZOMBIE
    )


def test_a_probe_that_hangs_costs_its_own_figure_and_is_killed_with_what_it_started(
    monkeypatch, eventually
) -> None:
    monkeypatch.setattr(child, "ANSWER_TIMEOUT", 1.0)
    command = ["sleep", "61.25"]  # holds the probe's output, too
    with pytest.raises(RuntimeError, match="said nothing for 1 s"):
        child.probe("subprocess:call", (), args=command)
    assert eventually(lambda: not is_running(*command))


def test_a_probe_that_fails_says_so() -> None:
    with pytest.raises(RuntimeError, match="ended with status 1"):
        child.probe("benchmarks.child:nothing", ())
