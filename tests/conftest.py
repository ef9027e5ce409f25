"""Fixtures for every test: nothing a test starts may outlive it.

Threads are watched everywhere; descriptors and handles where a test asks for it, by naming
`no_leaked_fds` or by giving a counter to `no_leaked_handles`.
"""

from __future__ import annotations

import gc
import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import psutil
import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Hypothesis measures time per example; on a busy two-core machine that measures the neighbours.
settings.register_profile("rpcnb", deadline=None, print_blob=True)
settings.load_profile("rpcnb")

ROOT = Path(__file__).parent.parent

GRACE = 2.0
"""Seconds for what a test started to finish ending."""


def pytest_configure() -> None:
    """Take SIGINT, which tests press: a shell has it ignored by what it runs in the background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of the files that SECURITY.md names in its table by numbers."""
    page = ROOT / "SECURITY.md"
    if not page.exists():  # tests/test_conftest.py runs a copy of this file elsewhere
        return
    rows = re.findall(r"^\| [SR]\d.*$", page.read_text("utf-8"), re.MULTILINE)
    named = {ROOT / path for path in re.findall(r"tests/[\w/]+\.py", "\n".join(rows))}
    for item in items:
        if item.path in named:
            item.add_marker("reliability")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[object]:
    """Have the workers of a test that took too long say where they are: the next section shows it."""
    if call.excinfo is not None and "Timeout" in str(call.excinfo.value):
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error, OSError):
                if tells_stacks(process.pid):
                    process.send_signal(signal.SIGQUIT)
        threading.Event().wait(GRACE)
    return (yield)


def tells_stacks(pid: int) -> bool:
    """Tell whether a process has something to do on SIGQUIT, which ends others."""
    status = Path(f"/proc/{pid}/status").read_text("utf-8")
    (caught,) = re.findall(r"^SigCgt:\s*(\w+)", status, re.MULTILINE)
    return bool(int(caught, 16) >> (signal.SIGQUIT - 1) & 1)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Take what stays out of what collections look at: modules, collected tests, reports.

    It becomes a million objects: many tests collect, each shell does when it ends, and each server
    does in the process that it forks; a second every time, for nothing.
    """
    if nextitem is not None and nextitem.path != item.path:
        gc.collect()
        gc.freeze()


def wait_until(condition: Callable[[], bool], timeout: float = 5.0) -> bool:
    """Tell whether `condition` came true within `timeout` seconds.

    For effects that announce themselves to nobody (a descriptor closed by another thread); where
    there is an event or a future, wait for that.
    """
    pause = threading.Event()
    end = monotonic() + timeout
    while not condition():
        if monotonic() > end:
            return False
        pause.wait(0.005)
    return True


@pytest.fixture
def eventually() -> Callable[..., bool]:
    """Give `wait_until` to a test: ``assert eventually(lambda: ..., timeout=5.0)``."""
    return wait_until


def open_descriptors() -> set[tuple[int, str]]:
    """Return this process's open descriptors, each with what it leads to where that is known."""
    linux = os.path.isdir("/proc/self/fd")
    found = set()
    for name in os.listdir("/proc/self/fd" if linux else "/dev/fd"):
        try:
            os.fstat(int(name))
            found.add((int(name), os.readlink(f"/proc/self/fd/{name}") if linux else ""))
        except OSError:  # the listing's own descriptor, closed again by now
            continue
    return found


@pytest.fixture
def run_python() -> Callable[[str], str]:
    """Give a function that runs code in a fresh interpreter and returns what it prints."""

    def run(code: str) -> str:
        command = [sys.executable, "-W", "error", "-c", code]
        # An empty environment, so that a coverage run does not load its own modules there.
        done = subprocess.run(
            command, cwd=ROOT, env={}, capture_output=True, text=True, timeout=30, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="module")
def cell_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Serve cells from a process of its own, as lab; give its connection file."""
    folder = tmp_path_factory.mktemp("cells")
    file = folder / "connection.json"
    options = ["--allow-exec", "--port", "0", "--name", "lab", "--connection-file", str(file)]
    process = subprocess.Popen(
        [sys.executable, "-m", "rpcnb", "serve", *options],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert "serving 0 functions" in process.stdout.readline()
        yield file
        process.terminate()


@pytest.fixture(autouse=True)
def no_leaked_threads() -> Iterator[None]:
    """Fail the test that leaves a non-daemon thread running: it would keep the process alive."""
    before = set(threading.enumerate())
    yield
    left = [t for t in threading.enumerate() if t not in before and not t.daemon]
    end = monotonic() + GRACE
    for thread in left:
        thread.join(max(0.0, end - monotonic()))
    alive = sorted(t.name for t in left if t.is_alive())
    assert alive == [], f"threads left running: {alive}"


@pytest.fixture
def no_leaked_fds() -> Iterator[None]:
    """Fail the test that leaves a descriptor open."""
    gc.collect()
    before = open_descriptors()
    yield
    gc.collect()
    wait_until(lambda: open_descriptors() <= before, GRACE)
    leaked = sorted(open_descriptors() - before)
    assert leaked == [], f"descriptors left open: {leaked}"


@pytest.fixture
def no_leaked_handles() -> Iterator[Callable[[Callable[[], int]], None]]:
    """Give a function that takes a counter of live handles, which must end where it began."""
    watched: list[tuple[Callable[[], int], int]] = []

    def watch(count: Callable[[], int]) -> None:
        watched.append((count, count()))

    yield watch
    gc.collect()
    wait_until(lambda: all(count() <= before for count, before in watched), GRACE)
    leaked = [count() - before for count, before in watched if count() > before]
    assert leaked == [], f"handles left alive: {leaked}"
