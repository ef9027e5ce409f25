"""Tests of `rpcnb.session.processes`, with the system's own bounds where it lets us have them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil
import pytest

from rpcnb.core.errors import RpcnbError
from rpcnb.endpoint.client.connect import open_session
from rpcnb.session.processes import end_group, parent_group, process_report

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST = 24
needs_groups = pytest.mark.skipif(parent_group() is None, reason="no control group can be made")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

STARTS = """
import os, subprocess, sys
from pathlib import Path
from rpcnb.session.processes import limit_processes, parent_group, process_report
{become}
print(limit_processes(12, "test", {parent}), flush=True)
started = []
try:
    for _ in range(30):
        started.append(subprocess.Popen(["sleep", "60"], start_new_session=True))
except BlockingIOError:
    pass
print(len(started), process_report().get("processes_used"))
for process in started:
    process.kill()
    process.wait()
"""


def started(**how: str) -> list[str]:
    code = STARTS.format(**how)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    return done.stdout.split()


@needs_groups
def test_a_control_group_bounds_and_counts_what_a_process_starts() -> None:
    assert started(become="", parent="parent_group()") == ["cgroup", "11", "12"]
    end_group(parent_group() / "rpcnb-test")


@needs_root
def test_without_a_group_the_system_bounds_what_a_user_starts() -> None:
    assert started(become="import resource; os.setuid(54321)", parent="None") == [
        "rlimit",
        "11",
        "None",
    ]


def test_without_a_bound_none_is_reported() -> None:
    assert process_report() == {"processes": 0, "processes_by": ""}


def test_groups_of_the_first_version_are_found_where_they_can_be_written(tmp_path) -> None:
    place = tmp_path / "pids" / "mine"
    assert parent_group(tmp_path, "9:cpu:/\n8:pids:/mine\n0::/") is None
    place.mkdir(parents=True)
    assert parent_group(tmp_path, "9:cpu:/\n8:pids:/mine\n0::/") == place
    assert parent_group(tmp_path, "") is None


def test_a_group_of_the_second_version_must_be_delegated_and_without_processes(tmp_path) -> None:
    service = tmp_path / "user" / "rpcnb.service"
    own = service / "server"
    own.mkdir(parents=True)
    for group, controllers, processes in ((service, "cpu pids", ""), (own, "cpu pids", "17\n")):
        (group / "cgroup.controllers").write_text(controllers)
        (group / "cgroup.procs").write_text(processes)
    assert parent_group(tmp_path, "0::/user/rpcnb.service/server") == service
    assert (service / "cgroup.subtree_control").read_text() == "+pids"
    (service / "cgroup.controllers").write_text("cpu")
    assert parent_group(tmp_path, "0::/user/rpcnb.service/server") is None


START_SLEEPERS = """
import subprocess
import rpcnb

@rpcnb.register("t.start")
def start_sleepers(count: int) -> list[int]:
    pids = []
    try:
        pids += (
            subprocess.Popen(["sleep", "60"], start_new_session=True).pid for _ in range(count)
        )
    except OSError as error:
        raise MemoryError(str(error)) from None
    return pids
"""


@pytest.fixture
def bounded(tmp_path) -> Iterator[dict[str, str]]:
    """Serve from a fresh process; give what its connection file says.

    Python 3.12 and later fork where they find no room for a process, and after that SciPy starts the
    threads of its transforms again: one has no room either, and the process is ended. This one has them.
    """
    (tmp_path / "lab.py").write_text(START_SLEEPERS, "utf-8")
    file = tmp_path / "c.json"
    where = ["--unix", str(tmp_path / "s.sock"), "--connection-file", str(file)]
    command = [sys.executable, "-m", "rpcnb", "serve", "lab.py", *where]
    with subprocess.Popen(
        [*command, "--session-processes", str(MOST)],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert "serving 1 function" in process.stdout.readline()
        yield json.loads(file.read_text("utf-8"))
        process.terminate()


@needs_groups
def test_one_session_that_starts_too_much_hurts_no_other_and_leaves_nothing(
    bounded, eventually
) -> None:
    before = {process.pid for process in psutil.process_iter()}
    url, token = bounded["url"], bounded["token"]
    with open_session(url, token=token) as greedy, open_session(url, token=token) as bystander:
        start = greedy.get_function("t.start")
        with pytest.raises((MemoryError, RpcnbError), match="Resource temporarily"):
            greedy.call_func(start, (2 * MOST,))
        assert len(bystander.call_func(bystander.get_function("t.start"), (2,))) == 2
        told = greedy.call_func(greedy.get_function("rpcnb.statistics"), ())["quotas"]
        assert (told["processes"], told["processes_by"]) == (MOST, "cgroup")
        assert told["processes_used"] == MOST
    sleepers = [p for p in psutil.process_iter() if p.pid not in before and is_sleep(p)]
    assert eventually(lambda: not any(map(is_sleep, sleepers)), timeout=10.0)
    assert eventually(lambda: not list(parent_group().glob("rpcnb-*")), timeout=10.0)


def is_sleep(process: psutil.Process) -> bool:
    try:
        return process.name() == "sleep" and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
