"""TVM's own Python client served by us."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from rpcnb import tvm
from rpcnb.core.errors import HandshakeError
from rpcnb.endpoint.tvm.connect import TVMAddress, connect_tvm
from rpcnb.endpoint.tvm.server import TVMServer, serve_here
from rpcnb.remote.client import open_remote
from rpcnb.session.functions import FunctionRegistry
from rpcnb.session.local import LocalSession

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent
BOARD = "board:with:colons"  # as client.py has it
QUICK = 0.05


def run_client(port: int, *cases: str) -> str:
    command = [sys.executable, str(HERE / "client.py"), str(port), *cases]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    return done.stdout or done.stderr


@contextmanager
def rpcnb_serving(folder: Path, key: str, *options: str):
    """Run ``rpcnb serve``; give the port of TVM clients and the process."""
    command = [
        sys.executable, "-m", "rpcnb", "serve", str(HERE / "lab.py"), "--port", "0",
        "--tvm-port", "0", "--key", key, "--allow-module", "math",
        "--connection-file", str(folder / "server.json"), *options,
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = next(line for line in process.stdout if "TVM clients" in line)
            yield int(line.rpartition(":")[2]), process
        finally:
            process.terminate()
            process.wait(20)


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    with rpcnb_serving(tmp_path_factory.mktemp("serve"), "k") as (port, _):
        yield port


@pytest.mark.parametrize(
    "cases",
    [["values", "arrays", "objects", "files"], ["modules", "constructors"], ["timeout"]],
    ids="-".join,
)
def test_tvms_own_client_passes_tvms_own_cases(port, cases) -> None:
    assert run_client(port, *cases) == "passed\n"


# --- through a tracker -----------------------------------------------------------------------


def test_tvms_own_tracker_sends_tvms_own_clients_one_after_the_other(
    run_script, tmp_path, eventually
) -> None:
    with run_script("track.py") as tracker_port, tvm.Tracker("127.0.0.1", tracker_port) as tracker:
        where = ("--tracker", f"127.0.0.1:{tracker_port}")
        with rpcnb_serving(tmp_path, BOARD, *where) as (port, process):
            assert eventually(lambda: free(tracker) == 1)
            (info,) = tracker.summary()["server_info"]
            assert info == {"key": f"server:{BOARD}", "addr": ["127.0.0.1", port]}
            assert run_client(tracker_port, "tracker") == "passed\n"
            process.terminate()
            assert process.wait(20) == 0
        assert eventually(lambda: tracker.summary()["server_info"] == [])
        assert free(tracker) == 0


def free(tracker: tvm.Tracker) -> int:
    return tracker.summary()["queue_info"].get(BOARD, {"free": 0})["free"]


@pytest.fixture
def registered():
    """Give a function that starts a server which looks at its tracker often."""
    registry = FunctionRegistry()
    registry.add("t.one", lambda: 1)
    started = []

    def start(tracker_port: int) -> TVMServer:
        where = ("127.0.0.1", tracker_port)
        server = TVMServer(
            serve_here(lambda: LocalSession(registry)), BOARD, tracker=where, tracker_period=QUICK
        )
        started.append(server)
        return server

    yield start
    for server in started:
        server.close()


def test_a_server_is_back_when_its_tracker_is(run_script, registered, eventually) -> None:
    with run_script("track.py") as port, tvm.Tracker("127.0.0.1", port) as tracker:
        registered(port)
        assert eventually(lambda: free(tracker) == 1)
    with run_script("track.py", str(port)), tvm.Tracker("127.0.0.1", port) as tracker:
        assert eventually(lambda: free(tracker) == 1)
        with connect_by(tracker) as session:
            assert session.call_func(session.get_function("t.one")) == 1
            assert free(tracker) == 0
        assert eventually(lambda: free(tracker) == 1)


def test_a_client_that_was_sent_and_does_not_come_is_not_waited_for(
    run_script, registered, eventually
) -> None:
    with run_script("track.py") as port, tvm.Tracker("127.0.0.1", port) as tracker:
        registered(port)
        host, where, key = tracker.request(BOARD)
        assert free(tracker) == 0
        assert eventually(lambda: free(tracker) == 1)
        with pytest.raises(HandshakeError, match="no key"):
            connect_tvm(TVMAddress(host, where, key), 5.0)
        with connect_by(tracker) as session:
            assert session.call_func(session.get_function("t.one")) == 1


def test_who_was_not_sent_is_not_let_in(run_script, registered, eventually) -> None:
    with run_script("track.py") as port, tvm.Tracker("127.0.0.1", port) as tracker:
        server = registered(port)
        assert eventually(lambda: free(tracker) == 1)
        for key in (BOARD, f"{BOARD}:0.5", ""):
            with pytest.raises(HandshakeError, match="no key"):
                connect_tvm(TVMAddress("127.0.0.1", server.port, key), 5.0)
        host, where, key = tracker.request(BOARD)
        with connect_tvm(TVMAddress(host, where, key), 5.0), pytest.raises(HandshakeError):
            connect_tvm(TVMAddress(host, where, key), 5.0)  # each key lets one client in


def connect_by(tracker: tvm.Tracker):
    host, port, key = tracker.request(BOARD, timeout=5.0)
    return connect_tvm(TVMAddress(host, port, key), 5.0)


# --- and on to a device ------------------------------------------------------------------------


def test_a_gateway_leads_to_a_tvm_device(serving, tmp_path) -> None:
    file = tmp_path / "gateway.json"
    with serving("device") as port:
        command = [
            sys.executable, "-m", "rpcnb", "serve", "--forward", f"tvm://127.0.0.1:{port}?key=device",
            "--port", "0", "--connection-file", str(file),
        ]  # fmt: skip
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                assert "connection file" in next(line for line in process.stdout if "file" in line)
                with open_remote(str(file)) as remote:
                    assert remote.get_function("test.add_one").submit(1).result(20) == 2
                    array = remote.array(np.arange(6.0))
                    assert array[2:4].to_numpy().tolist() == [2, 3]
                    assert remote.get_function("test.sum")(array) == 15
                    with pytest.raises(RuntimeError, match="abc"):
                        remote.get_function("test.fail")("ValueError", "abc")
            finally:
                process.terminate()
