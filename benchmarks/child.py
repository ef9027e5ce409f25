"""The processes of a benchmark: fresh, pinned to cores, told in JSON what to do.

A child reads one line of JSON from its standard input and answers with one on its standard output;
a token given this way shows in no list of processes. A server then lives until its input ends.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
ANSWER_TIMEOUT = 180.0
"""Seconds a child may take for what it says next; the slowest figure of the slowest library needs 30."""

Figures: TypeAlias = dict[str, float]
"""What a probe returns: name -> seconds, calls per second or bytes."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Which cores the two ends may use; empty means all."""

    client: tuple[int, ...] = ()
    server: tuple[int, ...] = ()


def placements() -> dict[str, Placement]:
    """Return the placements this machine has: ``free``, and ``one`` and ``two`` cores."""
    found = {"free": Placement()}
    if not hasattr(os, "sched_getaffinity"):  # macOS: unpinned is all there is
        return found | {"one": Placement(), "two": Placement()}
    first, *others = sorted(os.sched_getaffinity(0))
    found["one"] = Placement((first,), (first,))
    if others:
        found["two"] = Placement((first,), (others[0],))
    return found


def pin(cores: list[int]) -> None:
    """Confine this process, and those it starts, to some cores; none given means no change."""
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)


def environment() -> dict[str, str]:
    """Return the environment of all processes: compiled modules are kept, as a user has them."""
    return {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


def start(module: str, task: dict[str, Any]) -> subprocess.Popen[str]:
    """Start ``python -m module`` and hand it its task.

    It leads a process group: what it starts can be killed with it.
    """
    child = subprocess.Popen(
        [sys.executable, "-m", module],
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    tell(child, task)
    return child


def tell(child: subprocess.Popen[str], line: object) -> None:
    assert child.stdin is not None  # by `start`
    print(json.dumps(line), file=child.stdin, flush=True)


def hear(child: subprocess.Popen[str]) -> Any:
    """Return what a child says next.

    Raises
    ------
    RuntimeError
        It ended instead, and has written why to the terminal; or it said nothing in time, and was
        killed with all that it started.
    """
    assert child.stdout is not None  # by `start`
    if not select.select([child.stdout], [], [], ANSWER_TIMEOUT)[0]:
        kill(child)
        raise RuntimeError(f"a benchmark process said nothing for {ANSWER_TIMEOUT:g} s")
    line = child.stdout.readline()
    if not line:
        raise RuntimeError(f"a benchmark process ended with status {child.wait()}")
    return json.loads(line)


def kill(child: subprocess.Popen[str]) -> None:
    """Kill a child that has not been waited for, and what it started."""
    os.killpg(child.pid, signal.SIGKILL)


def finish(child: subprocess.Popen[str]) -> None:
    """End a child by ending its input."""
    try:
        child.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        kill(child)
        raise


@contextmanager
def server(module: str, **task: object) -> Iterator[dict[str, Any]]:
    """Run a server process; the block gets what it says about itself."""
    child = start(module, task)
    try:
        yield hear(child)
    finally:
        finish(child)


def probe(function: str, cores: tuple[int, ...], **arguments: object) -> Figures:
    """Run ``module:function`` in a fresh process and return its figures."""
    return probe_together(function, cores, 1, **arguments)[0]


def probe_together(
    function: str, cores: tuple[int, ...], count: int, **arguments: object
) -> list[Figures]:
    """Run a probe in several processes, which wait for each other in `wait_for_others`."""
    task = {"function": function, "cores": cores, "arguments": arguments}
    children = [start("benchmarks.child", task) for _ in range(count)]
    try:
        answers = [hear(child) for child in children]
        if answers[0] == "ready":
            for child in children:
                tell(child, "go")
            answers = [hear(child) for child in children]
        return answers
    except KeyboardInterrupt:  # which a terminal sends to its own process group only
        for child in children:
            kill(child)
        raise
    finally:
        for child in children:
            finish(child)


def wait_for_others() -> None:
    """Go on when all processes of this measurement have got here.  For probes."""
    print(json.dumps("ready"), flush=True)
    sys.stdin.readline()


def main() -> None:
    task = json.loads(sys.stdin.readline())
    pin(task["cores"])
    module, _, name = task["function"].partition(":")
    figures = getattr(import_module(module), name)(**task["arguments"])
    print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    # Under its real name, so that a probe which imports this module meets the same one.
    import_module("benchmarks.child").main()
