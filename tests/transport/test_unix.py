from __future__ import annotations

import os
import socket
import stat
from contextlib import closing, suppress

import pytest

from rpcnb.core.errors import AddressError, ConnectError, PermissionDenied, TransportTimeout
from rpcnb.testing import TransportSuite
from rpcnb.testing.transport_suite import PATIENCE, Background
from rpcnb.transport import connect, listen
from rpcnb.transport.base import Credentials
from rpcnb.transport.sockets import SocketTransport
from rpcnb.transport.unix import is_friend


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new" / "rpcnb.sock"


class TestUnix(TransportSuite):
    @pytest.fixture
    def url(self, path):
        return f"unix://{path}"


@pytest.fixture
def listener(path):
    with listen(f"unix://{path}") as listener:
        yield listener


def test_only_the_owner_may_enter_the_folder_and_connect(listener, path):
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o701])
def test_a_folder_that_others_may_enter_is_refused_and_left_as_it_is(path, mode):
    path.parent.mkdir()
    path.parent.chmod(mode)
    with pytest.raises(PermissionDenied, match="chmod 700"):
        listen(f"unix://{path}")
    assert stat.S_IMODE(path.parent.stat().st_mode) == mode
    assert list(path.parent.iterdir()) == []


def test_a_socket_of_another_user_is_not_spoken_to(listener, monkeypatch):
    monkeypatch.setattr(SocketTransport, "peer_credentials", lambda self: Credentials(1, 12345, 1))
    with pytest.raises(PermissionDenied, match="belongs to user 12345"):
        connect(listener.url, PATIENCE)


def test_another_user_who_gets_to_the_socket_is_not_listened_to(listener, path, monkeypatch):
    monkeypatch.setattr(SocketTransport, "peer_credentials", lambda self: Credentials(1, 12345, 1))
    with closing(socket.socket(socket.AF_UNIX)) as stranger:
        stranger.settimeout(PATIENCE)
        stranger.connect(str(path))
        with pytest.raises(TransportTimeout):
            listener.accept(0.1)
        with suppress(ConnectionResetError):
            assert stranger.recv(1) == b""


def test_this_user_and_root_are_friends():
    assert is_friend(Credentials(1, os.geteuid(), 1))
    assert is_friend(Credentials(1, 0, 0))
    assert is_friend(None)  # where the system does not say
    assert not is_friend(Credentials(1, 12345, 1))


def test_each_end_knows_who_the_other_is(listener):
    with connect(listener.url, PATIENCE) as near, listener.accept(PATIENCE) as far:
        for end in near, far:
            who = end.peer_credentials()
            assert (who.pid, who.uid, who.gid) == (os.getpid(), os.getuid(), os.getgid())
        far.close()
        assert far.peer_credentials() is None


def test_stale_socket_file_is_replaced(path):
    path.parent.mkdir(mode=0o700)
    with closing(socket.socket(socket.AF_UNIX)) as gone:
        gone.bind(str(path))
        gone.listen()
    with listen(f"unix://{path}") as listener, connect(listener.url, PATIENCE) as near:
        assert near.peer_address == listener.url


def test_live_server_is_not_pushed_aside(listener, path):
    with pytest.raises(ConnectError, match="a server already listens"):
        listen(listener.url)
    with listener.accept(PATIENCE) as probe:  # it was asked, and sees it leave
        assert probe.receive_into(memoryview(bytearray(1))) == 0
    with connect(listener.url, PATIENCE) as near, listener.accept(PATIENCE):
        assert not near.closed


def test_live_server_with_a_full_queue_is_not_pushed_aside(path):
    path.parent.mkdir(mode=0o700)
    with closing(socket.socket(socket.AF_UNIX)) as busy:
        busy.bind(str(path))
        busy.listen(0)
        with (
            connect(f"unix://{path}", PATIENCE),
            pytest.raises(ConnectError, match="a server already listens"),
        ):
            listen(f"unix://{path}")


def test_other_files_are_never_removed(path):
    path.parent.mkdir(mode=0o700)
    path.write_text("precious")
    with pytest.raises(ConnectError, match="is not a socket"):
        listen(f"unix://{path}")
    assert path.read_text() == "precious"


def test_close_removes_the_socket_file(listener, path):
    assert path.exists()
    listener.close()
    assert not path.exists()


def test_close_leaves_the_file_of_a_successor(listener, path):
    path.unlink()
    with listen(listener.url) as successor:
        listener.close()
        with connect(successor.url, PATIENCE) as near:
            assert not near.closed


def test_close_survives_a_folder_that_is_gone(listener, path):
    path.unlink()
    path.parent.rmdir()
    listener.close()


def test_child_process_does_not_remove_the_file_of_its_parent(path, run_python):
    code = f"""
import os
from rpcnb.transport import connect, listen
from rpcnb.transport.base import Credentials
from rpcnb.transport.sockets import SocketTransport
from rpcnb.transport.unix import is_friend
with listen("unix://{path}") as listener:
    child = os.fork()
    if not child:
        listener.close()
        os._exit(0)
    os.waitpid(child, 0)
    with connect(listener.url) as near:
        print(near.closed)
"""
    assert run_python(code) == "False\n"


def test_two_servers_that_start_together_do_not_remove_each_other(path):
    url = f"unix://{path}"
    for _ in range(20):
        starting = [Background(lambda: listen(url)) for _ in range(4)]
        listeners, refused = [], 0
        for start in starting:
            try:
                listeners.append(start.result())
            except ConnectError:
                refused += 1
        assert (len(listeners), refused) == (1, 3)
        connect(url, PATIENCE).close()
        listeners[0].close()


def test_path_longer_than_the_system_takes_is_an_address_error(tmp_path):
    url = f"unix://{tmp_path}/{'x' * 120}"
    for use in listen, lambda url: connect(url, PATIENCE):
        with pytest.raises(AddressError, match=r"too long for a Unix socket.*for example unix:///"):
            use(url)


def test_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConnectError, match="cannot listen at"):
        listen(f"unix://{tmp_path}/file/a.sock")
