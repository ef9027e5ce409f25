"""How many processes one session may have: its worker, and what its functions start.

A control group counts them, and its bound holds for what has left the worker's process group as
well; ending the group then leaves nothing behind. Where there is no group to be had, `RLIMIT_NPROC`
bounds what this user may have in all; root has no such bound. The system counts threads, too: a
worker has 4 of its own, and numerical libraries one for each core.

Version 1 of control groups needs a writable ``pids`` hierarchy (root), version 2 a group that was
delegated, with no process in it: systemd's ``Delegate=yes`` and ``DelegateSubgroup=``.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")
KILL_ROUNDS, KILL_PAUSE = 200, 0.002
"""Times to look whether all have ended that were killed, and seconds in between: most need one."""


@dataclass(slots=True)
class Bound:
    """The bound of this process's session."""

    most: int = 0
    """0 is none."""
    by: str = ""
    """``cgroup``, ``rlimit``, or nothing when nobody counts."""
    group: Path | None = None


_bound = Bound()


def parent_group(groups: Path = GROUPS, own: str | None = None) -> Path | None:
    """Return the group below which groups for sessions can be made; None when there is none.

    Parameters
    ----------
    groups : path
        Where the system shows its groups.
    own : str, optional
        What ``/proc/self/cgroup`` says.
    """
    with suppress(OSError):
        lines = (own if own is not None else Path("/proc/self/cgroup").read_text()).splitlines()
        for line in lines:
            _, controllers, path = line.split(":", 2)
            if "pids" in controllers.split(","):
                return _writable(groups / "pids" / path.lstrip("/"))
            if not controllers:
                for place in (path, str(Path(path).parent)):
                    found = _delegated(groups / place.lstrip("/"))
                    if found is not None:
                        return found
    return None


def _delegated(group: Path) -> Path | None:
    """Return a group of version 2 if it may count processes for groups below it."""
    try:
        if "pids" not in (group / "cgroup.controllers").read_text().split():
            return None
        if (group / "cgroup.procs").read_text().strip():  # a group has processes, or groups
            return None
        (group / "cgroup.subtree_control").write_text("+pids")
    except OSError:
        return None
    return _writable(group)


def _writable(group: Path) -> Path | None:
    return group if os.access(group, os.W_OK) else None


def group_of(parent: Path, session_id: str) -> Path:
    """Return the group of a session, which need not exist."""
    return parent / f"rpcnb-{session_id}"


def limit_processes(most: int, session_id: str, parent: Path | None) -> str:
    """Bound this process and what it starts; return by what: see `Bound.by`.

    Parameters
    ----------
    most : int
        With this process and all threads; 0 is no bound.
    session_id : str
        Of this process's session.
    parent : path, optional
        From `parent_group`.
    """
    _bound.most, _bound.by, _bound.group = most, "", None
    if not most:
        return ""
    if parent is not None and _enter(group_of(parent, session_id), most):
        _bound.by, _bound.group = "cgroup", group_of(parent, session_id)
    elif os.getuid() != 0 and _limit_user(most):
        _bound.by = "rlimit"
    return _bound.by


def _enter(group: Path, most: int) -> bool:
    try:
        group.mkdir(exist_ok=True)
        (group / "pids.max").write_text(str(most))
        (group / "cgroup.procs").write_text(str(os.getpid()))
    except OSError:
        with suppress(OSError):
            group.rmdir()
        return False
    return True


def _limit_user(most: int) -> bool:
    import resource

    try:
        _, hard = resource.getrlimit(resource.RLIMIT_NPROC)
        wanted = _tasks_of_others(os.getuid()) + most
        if hard != resource.RLIM_INFINITY:
            wanted = min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NPROC, (wanted, hard))
    except (OSError, ValueError, AttributeError):
        return False
    return True


def _tasks_of_others(uid: int) -> int:
    """Return how many threads a user has in all, but for this process's."""
    count, own = 0, str(os.getpid())
    for path in Path("/proc").glob("[0-9]*/status"):
        with suppress(OSError):  # ended meanwhile
            fields = dict(line.split(":", 1) for line in path.read_text().splitlines())
            if int(fields["Uid"].split()[0]) == uid and fields["Pid"].strip() != own:
                count += int(fields["Threads"])
    return count


def process_report() -> dict[str, object]:
    """Return the bound of this process's session, and how much of it is used, if that is counted."""
    report: dict[str, object] = {"processes": _bound.most, "processes_by": _bound.by}
    if _bound.group is not None:
        with suppress(OSError, ValueError):
            report["processes_used"] = int((_bound.group / "pids.current").read_text())
    return report


def end_group(group: Path) -> None:
    """Kill what is in a session's group, and remove it; nothing happens when there is none."""
    for _ in range(KILL_ROUNDS):
        try:
            group.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            _kill_all(group)
            time.sleep(KILL_PAUSE)
        else:
            return


def _kill_all(group: Path) -> None:
    with suppress(OSError):
        for pid in (group / "cgroup.procs").read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
