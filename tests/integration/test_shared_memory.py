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
