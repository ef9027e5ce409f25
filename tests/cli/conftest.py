"""Real `rpcnb` processes, each watched by a thread that keeps what they print."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WAIT = 20.0
"""Seconds after which a process that says nothing has failed."""

LAB = """
import os, signal, time
import rpcnb

@rpcnb.register("lab.add")
def add(a, b):
    return a + b

@rpcnb.register("lab.deaf")
def deaf(callback):
    "Cannot be ended politely."
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    callback(os.getpid())
    time.sleep(30)
"""


class Running:
    """A command that runs; its stdout line by line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.seen: list[str] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)
        self.process.wait()  # so that the process is gone when it has ended

    def line(self, containing: str) -> str:
        """Wait for a line; the ones before it are kept in `seen`."""
        while True:
            line = self._lines.get(timeout=WAIT)
            assert line is not None, f"ended without {containing!r}: {self.seen}"
            self.seen.append(line)
            if containing in line:
                return line

    def end(self) -> tuple[int, str]:
        """Wait for its end; return exit status and stderr."""
        assert self.process.stderr is not None
        errors = self.process.stderr.read()
        status = self.process.wait(WAIT)
        self._thread.join(WAIT)
        while (line := self._lines.get(timeout=WAIT)) is not None:
            self.seen.append(line)
        return status, errors


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Keep connection files out of the user's folder, here and in what is started."""
    (tmp_path / "runtime").mkdir()
    monkeypatch.setenv("RPCNB_RUNTIME_DIR", str(tmp_path / "runtime"))
    (tmp_path / "lab.py").write_text(LAB)
    return dict(os.environ)


@pytest.fixture
def command(environment: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Give a function that starts ``rpcnb …`` in `tmp_path`; whatever still runs is killed."""
    started: list[Running] = []

    def start(*arguments: str) -> Running:
        process = subprocess.Popen(
            [sys.executable, "-m", "rpcnb", *arguments],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(Running(process))
        return started[-1]

    yield start
    for running in started:
        running.process.kill()
        with running.process:
            running.process.wait(WAIT)
