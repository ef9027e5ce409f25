"""The demo as a user starts it: real servers, real kernels, a real JupyterLab."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from rpcnb.endpoint.credentials import running_servers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.slow
WAIT = 40.0
"""Seconds for a JupyterLab to start or to end on a busy machine."""


@pytest.fixture
def demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Give a function that starts ``rpcnb demo …`` with state folders of its own."""
    for name in ("RPCNB_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    started: list[subprocess.Popen[str]] = []

    def start(*options: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "rpcnb", "demo", "--port", "0", *options],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.terminate()
        with process:
            process.wait(WAIT)


def wait_for(process: subprocess.Popen[str], pattern: str) -> re.Match[str]:
    """Read until a line matches; the test's own time-out bounds it."""
    assert process.stdout is not None
    for line in process.stdout:
        match = re.search(pattern, line)
        if match is not None:
            return match
    raise AssertionError(f"the demo ended without {pattern!r}")


def test_execute_prints_the_quickstart_and_leaves_nothing(
    demo: Callable[..., subprocess.Popen[str]],
) -> None:
    process = demo("--execute")
    out, _ = process.communicate(timeout=WAIT)
    assert process.returncode == 0
    assert "# rpcnb in ten minutes" in out
    assert "<Remote demo at 127.0.0.1:" in out
    assert "[2, 3, 5, 7, 11, 13" in out
    assert list(running_servers()) == []


@pytest.mark.parametrize("ending", ["ctrl-c", "jupyter dies"])
def test_jupyterlab_is_told_and_everything_ends_together(
    demo: Callable[..., subprocess.Popen[str]], ending: str, eventually: Callable[..., bool]
) -> None:
    process = demo("--no-browser")
    address = wait_for(process, r"JupyterLab on (\S+)")[1]
    assert eventually(lambda: answers(address), timeout=WAIT)  # it is told before it listens
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(list(running_servers())) == 1
    if ending == "ctrl-c":
        process.send_signal(signal.SIGINT)
    else:
        lab = next(child for child in family if "jupyterlab" in child.cmdline())
        os.kill(lab.pid, signal.SIGKILL)
    status = process.wait(WAIT)
    assert (status == 0) is (ending == "ctrl-c")
    assert eventually(lambda: not any(child.is_running() for child in family), timeout=WAIT)
    assert list(running_servers()) == []


def test_notebooks_are_copied_where_they_name_another_port(
    demo: Callable[..., subprocess.Popen[str]],
) -> None:
    process = demo("--no-browser")
    port = wait_for(process, r"demo functions on 127\.0\.0\.1:(\d+)")[1]
    lab = [
        argument.partition("=")[2]
        for child in wait_for_lab(process).children()
        for argument in child.cmdline()
        if argument.startswith("--ServerApp.root_dir=")
    ]
    text = (Path(lab[0]) / "01_quickstart.ipynb").read_text("utf-8")
    assert f"%connect_remote 127.0.0.1:{port}" in text
    assert "127.0.0.1:9090" not in text
    process.terminate()
    assert process.wait(WAIT) == 0
    assert not Path(lab[0]).exists()


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=WAIT) as answer:
            return answer.status == 200
    except urllib.error.URLError:
        return False


def wait_for_lab(process: subprocess.Popen[str]) -> psutil.Process:
    wait_for(process, "JupyterLab on")
    return psutil.Process(process.pid)
