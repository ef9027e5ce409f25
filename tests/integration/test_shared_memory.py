"""Nothing of shared memory is left, whoever dies, however."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest

from rpcnb.core.errors import RpcnbError
from rpcnb.endpoint.client.connect import open_session
from rpcnb.remote.array import RemoteArray
from rpcnb.remote.client import Remote

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memfd_create is Linux's")

CLIENT = """
import numpy as np
from rpcnb.remote.client import Remote
remote = Remote(session)
arrays = [remote.array(np.ones(1 << 18)) for _ in range(3)]
say(remote.get_function("t.pid")(), session.statistics()["bulk_path"])
time.sleep(60)
"""


def shared_inodes(pid: int) -> set[str]:
    """Return the inodes of the shared memory that a process has mapped."""
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    return {line.split()[4] for line in lines if "memfd:rpcnb" in line}


def holders(inodes: set[str]) -> set[int]:
    """Return the processes of this machine that have any of it."""
    found = set()
    for pid in psutil.pids():
        try:
            if shared_inodes(pid) & inodes:
                found.add(pid)
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found


def test_when_the_client_is_killed_nobody_has_its_memory_any_more(own_server, eventually) -> None:
    client = own_server.client(CLIENT)
    worker, path = client.hear()
    assert path == "shared memory"
    inodes = shared_inodes(client.pid)
    assert len(inodes) == 3
    assert holders(inodes) == {client.pid, worker}
    client.kill()
    assert eventually(lambda: holders(inodes) == set(), timeout=10.0)
    assert eventually(lambda: own_server.session_folders() == [])


def test_when_the_worker_is_killed_the_client_lets_go_and_keeps_its_views(
    own_server, eventually
) -> None:
    remote = Remote(own_server.connect())
    array, kept = remote.array(np.ones(1 << 18)), remote.array(np.full(1 << 18, 2.0))
    view = kept.to_numpy(copy=False)
    inodes = shared_inodes(os.getpid())
    worker = int(remote.get_function("t.pid")())
    assert len(inodes) == 2
    os.kill(worker, signal.SIGKILL)
    with pytest.raises(RpcnbError):
        remote.get_function("t.sleep")(30)
    with pytest.raises(RpcnbError):
        array.copy_from(np.zeros(1 << 18))
    assert (view == 2.0).all()
    assert eventually(lambda: len(shared_inodes(os.getpid()) & inodes) == 1)
    del view
    assert eventually(lambda: holders(inodes) == set())
    remote.close()
    assert eventually(lambda: own_server.session_folders() == [])


def test_it_goes_on_when_the_connection_is_cut(own_server) -> None:
    mine = np.arange(1 << 18, dtype=np.float64)
    with Remote(own_server.connect()) as remote:
        array = remote.array(mine)
        double = array * 2
        for number in range(4):
            remote.session._connection.transport.abort()
            array.copy_from(mine + number)
            assert (array.to_numpy() == mine + number).all()
            assert (double.to_numpy() == 2 * mine).all()
            assert (remote.array(mine * number).to_numpy() == mine * number).all()
        assert remote.session.statistics()["bulk_path"] == "shared memory"


def test_who_takes_a_session_up_shares_memory_of_their_own(own_server) -> None:
    mine = np.arange(1 << 18, dtype=np.float64)
    views = []
    for number in range(3):
        session = open_session(own_server.url, token=own_server.token, name="kept")
        remote = Remote(session)
        array = remote.array(mine + number)
        assert (array.to_numpy() == mine + number).all()
        assert session.statistics()["bulk_path"] == "shared memory"
        views.append(array.to_numpy(copy=False))
        found = [each for each in remote.adopt().values() if isinstance(each, RemoteArray)]
        assert sorted(float(each[0]) for each in found) == list(range(number))
        assert all((each.to_numpy()[1:] > 0).all() for each in found)
        remote.detach()
    assert [view[0] for view in views] == [0.0, 1.0, 2.0]
