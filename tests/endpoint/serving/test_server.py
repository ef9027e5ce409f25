"""Tests of `rpcnb.endpoint.serving.server`: a server as a script, a test and a notebook use it."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path
from time import monotonic

import pytest

from rpcnb.core.errors import (
    AddressError,
    ConnectError,
    PermissionDenied,
    RpcnbError,
    SessionError,
)
from rpcnb.endpoint.client.connect import ask_status, open_session
from rpcnb.endpoint.credentials import read_connection_file, secret_of
from rpcnb.endpoint.serving.estate import estate_path
from rpcnb.endpoint.serving.server import Server, forking_is_safe
from rpcnb.session.functions import FunctionRegistry

ROOT = Path(__file__).parent.parent.parent
WAIT = 10.0


@pytest.fixture(autouse=True)
def runtime_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("RPCNB_RUNTIME_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def registry() -> FunctionRegistry:
    registry = FunctionRegistry()
    registry.add("t.double", lambda n: 2 * n)
    registry.add("t.pid", os.getpid)
    return registry


def call(session, name, *args):
    return session.call_func(session.get_function(name), args)


def wait_in_slices(seconds: float) -> None:
    """Wait where an interrupt of a thread other than the main one gets through."""
    end, pause = monotonic() + seconds, threading.Event()
    while monotonic() < end:
        pause.wait(0.01)


def connect(server: Server):
    return open_session(server.url, token=server.token)


@pytest.mark.parametrize("in_process", [True, False])
def test_it_serves_what_is_registered_until_the_block_ends(registry, in_process) -> None:
    with Server(registry=registry, in_process=in_process, name="here") as server:
        assert "listening" in repr(server)
        with connect(server) as session:
            assert call(session, "t.double", 21) == 42
            assert (call(session, "t.pid") == os.getpid()) is in_process
            assert server.sessions == 1
        assert ask_status(server.url, server.token)["name"] == "here"
    assert "closed" in repr(server)
    with pytest.raises(ConnectError):
        connect(server)


def test_nothing_is_left_of_a_server(registry, runtime_folder, no_leaked_fds, eventually) -> None:
    threads = set(threading.enumerate())
    for in_process in (True, False):
        with Server(registry=registry, in_process=in_process) as server:
            connection_file = server.connection_file
            assert connection_file.exists()
            connect(server).shutdown()
        assert not connection_file.exists()
    # two of the process, and one that is just ending
    names = ("rpcnb-heartbeat", "rpcnb-housekeeper", "rpcnb-reader")

    def left():
        return [t for t in set(threading.enumerate()) - threads if t.name not in names]

    assert eventually(lambda: left() == []), left()
    assert list(runtime_folder.iterdir()) in ([], [runtime_folder / "rpcnb"])
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_a_script_needs_three_lines(tmp_path) -> None:
    script = tmp_path / "served.py"
    script.write_text(
        "import rpcnb, sys\n"
        "@rpcnb.register('s.add')\n"
        "def add(a, b): return a + b\n"
        "if __name__ == '__main__':\n"
        "    with rpcnb.Server() as server:\n"
        "        print(server.url, server.token, server.function_count, flush=True)\n"
        "        sys.stdin.read()\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT), "RPCNB_RUNTIME_DIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        url, token, _ = process.stdout.readline().split()
        with open_session(url, token=token) as session:
            assert call(session, "s.add", 2, 3) == 5
        process.stdin.close()
        assert process.wait(WAIT) == 0


def test_workers_inherit_no_modules_that_few_of_them_need(run_python, tmp_path) -> None:
    code = f"""
import sys
import rpcnb
from rpcnb.endpoint.client.connect import open_session
rpcnb.register("t.loaded")(lambda: sorted(set(sys.modules) & {{"tempfile", "random", "_lzma", "asyncio"}}))
file = {str(tmp_path / "s.json")!r}
with rpcnb.Server(in_process=False, connection_file=file), open_session(file) as session:
    print(session.call_func(session.get_function("t.loaded")))
"""
    assert run_python(code) == "[]\n"


def test_files_and_modules_are_loaded_where_workers_come_from(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    (tmp_path / "loaded_file.py").write_text(
        "from rpcnb.session.functions import register\n"
        "register('load.file')(lambda: 'from a file')\n"
    )
    (tmp_path / "loaded_module.py").write_text(
        "from rpcnb.session.functions import register\n"
        "register('load.module')(lambda: 'from a module')\n"
    )
    with Server(
        load=[str(tmp_path / "loaded_file.py"), "loaded_module"], in_process=False
    ) as server:
        assert "loaded_file" not in sys.modules
        assert server.function_count >= 2
        with connect(server) as session:
            assert call(session, "load.file") == "from a file"
            assert call(session, "load.module") == "from a module"


def test_a_file_that_raises_stops_the_start_and_shows_its_traceback(tmp_path) -> None:
    broken = tmp_path / "broken_file.py"
    broken.write_text("x = 1 / 0\n")
    with pytest.raises(SessionError, match="ZeroDivisionError") as raised:
        Server(load=[str(broken)], in_process=False).start()
    assert "x = 1 / 0" in raised.value.__notes__[0]
    with pytest.raises(ZeroDivisionError):
        Server(load=[str(broken)], in_process=True).start()


def test_a_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(AddressError, match=r"nowhere\.py does not exist"):
        Server(load=[str(tmp_path / "nowhere.py")], in_process=True).start()


def test_more_functions_than_fit_into_a_socket_are_no_obstacle() -> None:
    def documented() -> None:
        pass

    documented.__doc__ = "x" * 8000
    registry = FunctionRegistry()
    for number in range(300):
        registry.add(f"t.f{number}", documented)
    with Server(registry=registry, in_process=False) as server, connect(server) as session:
        assert len(call(session, "rpcnb.functions")) == 300


@pytest.mark.parametrize("in_process", [True, False])
def test_a_taken_port_is_said_to_be_taken(registry, in_process, no_leaked_fds) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConnectError, match=f"port {port} is in use"):
            Server(port, registry=registry, in_process=in_process).start()


@pytest.mark.parametrize(("host", "scheme"), [("0.0.0.0", "tls"), ("127.0.0.1", "tcp")])
def test_beyond_loopback_everything_is_encrypted(registry, host, scheme) -> None:
    with Server(host=host, registry=registry, in_process=False) as server:
        assert server.url.startswith(f"{scheme}://{host}:")
        with connect(server) as session:
            assert session.url == server.url
            assert call(session, "t.double", 21) == 42


def test_plaintext_beyond_loopback_is_refused(registry) -> None:
    with pytest.raises(PermissionDenied, match="without encryption"):
        Server(url="tcp://0.0.0.0:0", registry=registry, in_process=True).start()


def test_an_encrypted_server_tells_its_clients_that_it_stops(registry) -> None:
    with Server(host="0.0.0.0", registry=registry, in_process=False) as server:
        session = connect(server)
        assert call(session, "t.double", 1) == 2
        server.close()
        with pytest.raises(RpcnbError, match="the server is stopping"):
            call(session, "t.double", 1)
        session.shutdown()


def test_an_unwritable_connection_file_starts_nothing(registry, tmp_path, no_leaked_fds) -> None:
    missing = tmp_path / "no" / "such" / "folder.json"
    for in_process in (True, False):
        with pytest.raises(FileNotFoundError):
            Server(registry=registry, in_process=in_process, connection_file=missing).start()


def test_it_starts_once_and_closes_twice(registry) -> None:
    server = Server(registry=registry, in_process=True)
    assert "not started" in repr(server)
    assert server.sessions == 0
    server.start()
    with pytest.raises(SessionError, match="started already"):
        server.start()
    server.close()
    server.close()


def test_a_server_that_was_never_started_can_be_closed() -> None:
    Server(in_process=True).close()


def test_waiting_ends_when_another_thread_closes(registry) -> None:
    server = Server(registry=registry, in_process=True).start()
    closer = threading.Timer(0.05, server.close)
    closer.start()
    server.wait()
    closer.join(WAIT)


def test_its_secret_is_in_a_private_file_and_nowhere_else(registry, capfd) -> None:
    with Server(registry=registry, in_process=True) as server:
        mode = stat.S_IMODE(server.connection_file.stat().st_mode)
        assert mode == 0o600
        content = json.loads(server.connection_file.read_text())
        assert (content["url"], content["token"]) == (server.url, server.token)
        assert content["pid"] == os.getpid()
        assert server.token not in repr(server)
        with open_session(str(server.connection_file)) as session:
            assert call(session, "t.double", 1) == 2
        with open_session(server.url) as session:  # found by its address
            assert call(session, "t.double", 2) == 4
    assert server.token not in "".join(capfd.readouterr())


@pytest.mark.parametrize("in_process", [True, False])
def test_closing_tells_clients_whose_calls_run(registry, in_process) -> None:
    registry.add("t.wait", wait_in_slices)
    server = Server(registry=registry, in_process=in_process).start()
    session = connect(server)
    closer = threading.Timer(0.2, server.close)
    closer.start()
    with pytest.raises(RpcnbError, match="the server is stopping"):
        call(session, "t.wait", 30.0)
    closer.join(WAIT)
    assert not closer.is_alive()


@pytest.mark.parametrize("in_process", [True, False])
def test_a_gateway_whose_next_server_is_gone_says_so(registry, in_process) -> None:
    def open_next():
        return open_session("127.0.0.1:9", token="a" * 52)

    with Server(registry=registry, open_next=open_next, in_process=in_process) as gateway:
        session = connect(gateway)
        with pytest.raises(RpcnbError, match="cannot be opened: ConnectError"):
            session.get_function("t.double")


def test_a_thread_makes_forking_unsafe() -> None:
    over = threading.Event()
    thread = threading.Thread(target=over.wait, args=(WAIT,))
    thread.start()
    assert not forking_is_safe()
    over.set()
    thread.join()


def find_estate_line(url: str) -> dict[str, str]:
    """Return what is known of a living server's estate, without its sessions' lines."""
    return json.loads(estate_path(url).read_text(encoding="utf-8").splitlines()[0])


def test_what_a_killed_broker_leaves_has_the_secret_that_is_in_force(registry) -> None:
    with Server(registry=registry, in_process=False) as server:
        old = server.token
        connect(server).shutdown()
        admin = read_connection_file(server.connection_file).admin
        ask_status(server.url, admin, command="rotate")
        kept = find_estate_line(server.url)["secret"]
        assert kept == secret_of(server.token).hex() != secret_of(old).hex()
        assert admin not in estate_path(server.url).read_text(encoding="utf-8")
