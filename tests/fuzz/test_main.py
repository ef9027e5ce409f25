"""The guided fuzzer itself, some seconds for each target; `make fuzz` gives it longer."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from cost import NBYTES, SECONDS, watched  # beside this file, which is no package
from targets import TARGETS

HERE = Path(__file__).parent
TIME = 14
"""Seconds for all of them at once: ten of processor time for each, where there are two cores."""


def start(folder: Path, target: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(HERE), target, *arguments],
        cwd=folder,  # where it writes what breaks a target
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )


def test_no_target_lets_anything_out_or_costs_too_much(tmp_path) -> None:
    with ExitStack() as stack:  # which waits for the others when one has failed
        running = {
            target: stack.enter_context(start(tmp_path, target, str(TIME))) for target in TARGETS
        }
        for target, process in running.items():
            _, log = process.communicate(timeout=TIME + 40)
            assert process.returncode == 0, f"{target}: {log[-3000:]}"
            (executed,) = re.findall(r"stat::number_of_executed_units: (\d+)", log)
            print(f"{target}: {int(executed):,}")
            assert int(executed) > 1000
    assert list(tmp_path.iterdir()) == []


def test_the_corpus_is_as_small_as_it_should_be() -> None:
    files = list((HERE / "corpus").iterdir())
    assert {file.stem for file in files} == set(TARGETS)
    assert sum(file.stat().st_size for file in files) < 100_000


def work(seconds: float):
    def target(_data: bytes) -> None:
        for _ in range(int(seconds * 100)):
            sum(range(1_000_000))  # 10 ms or more

    return target


@pytest.mark.parametrize(
    ("target", "says"),
    [(work(5 * SECONDS), "s for 3 bytes"), (lambda _data: bytearray(NBYTES + 1), "bytes for 3")],
    ids=["time", "memory"],
)
def test_what_costs_too_much_is_seen(target, says) -> None:
    with pytest.raises(AssertionError, match=says):
        watched(target)(b"abc")
