from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rpcnb.core.errors import QuotaExceeded, RpcnbError
from rpcnb.core.limits import MIB, Limits
from rpcnb.endpoint.client.connect import open_session
from rpcnb.endpoint.serving.server import Server
from rpcnb.session import quota
from rpcnb.session.files import WorkFolder
from rpcnb.session.functions import FunctionRegistry
from rpcnb.session.quota import Spool, machine_memory, session_memory

ROOT = Path(quota.__file__).parent.parent.parent


def test_nothing_said_is_half_of_the_machine():
    assert session_memory(0) == machine_memory() // 2 > 64 * MIB
    assert session_memory(5) == 5


def test_a_process_gets_no_more_than_its_bound_and_lives_on():
    code = f"""
import numpy as np
from rpcnb.session.quota import limit_memory
assert limit_memory({64 * MIB}) is {sys.platform == "linux"}
kept = np.ones({16 * MIB}, "u1")
try:
    np.ones({256 * MIB}, "u1")
except MemoryError:
    print("refused")
print(np.ones({16 * MIB}, "u1").sum() == kept.sum())
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.split() == (["refused"] if sys.platform == "linux" else []) + ["True"]


@pytest.mark.skipif(sys.platform != "linux", reason="only there the system counts it")
def test_what_a_process_has_taken_since_it_was_bounded_is_told():
    code = f"""
from rpcnb.session.quota import limit_memory, memory_report
limit_memory({128 * MIB})
kept = bytearray({40 * MIB})
print(memory_report({128 * MIB}))
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=True)
    told = ast.literal_eval(done.stdout)
    assert told["memory"] == 128 * MIB
    assert 40 * MIB <= told["memory_used"] < 60 * MIB


def test_one_session_that_wants_too_much_hurts_no_other(tmp_path):
    registry = FunctionRegistry()
    registry.add("t.hoard", lambda nbytes: np.ones(nbytes, "u1").size)
    kept = []
    registry.add("t.keep", lambda nbytes: kept.append(np.ones(nbytes, "u1")))
    limits = Limits(session_memory=128 * MIB)
    with (
        Server(
            url=f"unix://{tmp_path}/s.sock",
            registry=registry,
            in_process=False,
            connection_file=tmp_path / "c.json",
            limits=limits,
        ) as server,
        open_session(server.url, token=server.token) as greedy,
        open_session(server.url, token=server.token) as bystander,
    ):
        hoard = greedy.get_function("t.hoard")
        with pytest.raises(MemoryError, match="Unable to allocate"):
            greedy.call_func(hoard, (1 << 30,))
        assert greedy.call_func(hoard, (MIB,)) == MIB
        assert bystander.call_func(bystander.get_function("t.hoard"), (64 * MIB,)) == 64 * MIB
        greedy.call_func(greedy.get_function("t.keep"), (40 * MIB,))
        told = greedy.call_func(greedy.get_function("rpcnb.statistics"), ())
        # Not more exactly: the stacks of this process's former threads are given back meanwhile.
        assert 0 <= told["quotas"].pop("memory_used") < 128 * MIB
        assert told["quotas"] == {
            "memory": 128 * MIB,
            "processes": 0,
            "processes_by": "",
            "handles": limits.handles,
            "handles_used": 3,  # the functions that this test calls
            "calls_waiting": limits.calls_in_flight,
            "calls_waiting_used": 1,
            "spool": limits.upload_spool,
            "spool_used": 0,
        }


@pytest.fixture
def folder(tmp_path):
    return WorkFolder(tmp_path, Limits(upload_spool=1000))


def test_files_take_and_give_back(folder):
    folder.upload("a", 0, b"x" * 600, True)
    assert folder.spool.used == 600
    folder.upload("a", 0, b"x" * 900, True)  # instead of, not besides
    assert folder.spool.used == 900
    folder.upload("b", 50, b"x" * 50)
    folder.upload("b", 0, b"x" * 50)
    assert folder.spool.used == 1000
    folder.remove("a")
    assert folder.spool.used == 100


def test_too_much_is_refused_and_changes_nothing(folder, tmp_path):
    folder.upload("a", 0, b"x" * 600, True)
    for upload in (
        lambda: folder.upload("b", 0, b"y" * 401, True),
        lambda: folder.upload("a", 600, b"y" * 401),
        lambda: folder.upload("b", 1 << 40, b"y"),
    ):
        with pytest.raises(QuotaExceeded, match=r"may have 1,000; remove some"):
            upload()
    assert folder.spool.used == 600
    assert (tmp_path / "a").read_bytes() == b"x" * 600
    folder.upload("c", 0, b"y" * 400, True)


def test_a_write_that_fails_takes_nothing(folder, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("rpcnb.session.files._write_all", full)
    with pytest.raises(OSError, match="No space left"):
        folder.upload("a", 0, b"x" * 100, True)
    assert folder.spool.used == 0


def test_a_nearly_full_disk_takes_no_uploads(tmp_path, monkeypatch):
    spool = Spool(1 << 60)
    spool.disk = str(tmp_path)
    monkeypatch.setattr(quota, "KEPT_FREE", 1.0)
    with pytest.raises(QuotaExceeded, match="disk is nearly full"):
        spool.charge(1)
    spool.charge(-5)
    assert spool.used == 0


def test_a_quota_reaches_the_client_as_what_it_is(tmp_path):
    with (
        Server(
            url="memory://quota",
            registry=FunctionRegistry(),
            in_process=True,
            connection_file=tmp_path / "c.json",
            limits=Limits(upload_spool=10),
        ) as server,
        open_session(server.url, token=server.token) as session,
    ):
        upload = session.get_function("rpcnb.upload")
        with pytest.raises(QuotaExceeded, match="may have 10") as caught:
            session.call_func(upload, ("a", 0, b"x" * 11, True))
        assert isinstance(caught.value, RpcnbError)
