from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

import rpcnb
from rpcnb.endpoint.credentials import is_running

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Running

    Command = Callable[..., Running]

pytestmark = pytest.mark.slow
WAIT = 20.0


def served(running: Running) -> tuple[str, Path]:
    """Wait until a server listens; return its address and its connection file."""
    address = running.line("serving").rpartition(" ")[2]
    return address, Path(running.line("connection file: ").partition(": ")[2])


def test_it_serves_what_a_file_registers_until_sigterm(command: Command) -> None:
    running = command("serve", "lab.py", "--port", "0", "--name", "lab")
    address, path = served(running)
    assert running.seen[0] == f"serving 2 functions on {address}"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with rpcnb.connect(address) as remote:
        assert remote.name == "lab"
        assert remote.get_function("lab.add")(40, 2) == 42
    running.process.terminate()
    assert running.end() == (0, "")
    assert not path.exists()


def test_a_secret_goes_to_a_terminal_only(command: Command) -> None:
    running = command("serve", "lab.py", "--port", "0", "--log-level", "debug")
    _, path = served(running)
    secret = json.loads(path.read_text())["token"]
    rpcnb.connect(str(path)).close()
    running.process.terminate()
    status, errors = running.end()
    assert status == 0
    assert secret not in "\n".join(running.seen) + errors


def test_stop_ends_a_server_and_waits_for_that(command: Command) -> None:
    running = command("serve", "lab.py", "--port", "0")
    address, path = served(running)
    stopping = command("stop", "--port", address.rpartition(":")[2])
    assert stopping.end() == (0, "")
    assert running.end() == (0, "")
    assert not path.exists()


def test_the_broker_stays_small(command: Command) -> None:
    running = command("serve", "lab.py", "--port", "0")
    served(running)
    assert psutil.Process(running.process.pid).memory_info().rss < 45 * 1024**2


def test_tvm_clients_are_served_from_worker_processes_too(command: Command) -> None:
    running = command("serve", "lab.py", "--port", "0", "--tvm-port", "0", "--key", "lab")
    served(running)
    address = running.line("TVM clients with the key lab").rpartition(" ")[2]
    with rpcnb.connect(f"tvm://{address}?key=lab") as remote:
        assert remote.get_function("lab.add")(40, 2) == 42
        assert remote.upload(b"content", "file") == "file"
        assert remote.download("file") == b"content"
        assert remote.array([1.5, 2.5]).to_numpy().tolist() == [1.5, 2.5]
    running.process.terminate()
    assert running.end() == (0, "")


def test_a_gateway_serves_another_server_s_functions(command: Command) -> None:
    address, _ = served(command("serve", "lab.py", "--port", "0"))
    gateway, _ = served(command("serve", "--forward", address, "--port", "0"))
    with rpcnb.connect(gateway) as remote:
        assert remote.get_function("lab.add")(40, 2) == 42


def test_threads_of_the_process_serve_when_asked(command: Command) -> None:
    running = command("serve", "lab.py", "--port", "0", "--in-process")
    address, _ = served(running)
    with rpcnb.connect(address) as remote:
        assert remote.stats()["there"]["pid"] == running.process.pid


def test_a_unix_socket_and_a_connection_file_where_they_are_wanted(
    command: Command, tmp_path: Path
) -> None:
    path = tmp_path / "here.json"
    running = command("serve", "lab.py", "--unix", "s.sock", "--connection-file", str(path))
    address, written = served(running)
    assert (address, written) == (f"unix://{tmp_path}/s.sock", path)
    with rpcnb.connect(str(path)) as remote:
        assert remote.get_function("lab.add")(1, 1) == 2


def test_modules_that_are_allowed_can_be_loaded(command: Command) -> None:
    address, _ = served(command("serve", "lab", "--port", "0", "--allow-module", "numpy.linalg"))
    with rpcnb.connect(address) as remote:
        assert remote.load_module("numpy.linalg").norm(remote.ones(4)) == 2


def test_a_port_that_is_taken_is_named(command: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        status, errors = command("serve", "lab.py", "--port", str(port)).end()
    assert status == 1
    assert str(port) in errors
    assert errors.count("\n") == 1


FAILURES = [
    ("def x(:", ["SyntaxError", "bad.py", "def x(:"]),
    ("def f():\n    return 1 / 0\nf()", ["ZeroDivisionError", "bad.py", "return 1 / 0"]),
    ("import no_such_thing", ["ModuleNotFoundError", "no_such_thing", "bad.py"]),
]


@pytest.mark.parametrize("how", [(), ("--in-process",)])
@pytest.mark.parametrize(("code", "told"), FAILURES)
def test_a_file_that_cannot_be_imported_is_shown_with_its_own_traceback(
    command: Command, tmp_path: Path, code: str, told: list[str], how: tuple[str, ...]
) -> None:
    (tmp_path / "bad.py").write_text(code)
    status, errors = command("serve", "bad.py", "--port", "0", *how).end()
    assert status == 1
    assert [text for text in told if text not in errors] == []
    assert str(Path(rpcnb.__file__).parent) not in errors


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        ((), 2, "nothing to serve"),
        (("nowhere.py",), 2, "there is no file nowhere.py"),
        (("no_such_module",), 1, "No module named 'no_such_module'"),
        (("lab.py", "--host", "192.0.2.1"), 1, "cannot listen at"),
        (("--forward", "127.0.0.1:1"), 1, "no token for 127.0.0.1:1"),
        (("--forward", "nonsense"), 2, "is no address"),
        (("--forward", "127.0.0.1:1", "--allow-exec"), 2, "give --allow-exec to that server"),
        (("--in-process", "--allow-exec"), 1, "cells need a worker process"),
    ],
)
def test_what_cannot_be_served_is_said_in_one_line(
    command: Command, arguments: tuple[str, ...], status: int, told: str
) -> None:
    ended, errors = command("serve", "--port", "0", *arguments).end()
    assert ended == status
    assert told in errors
    assert errors.count("\n") == 1


# --- on a terminal ------------------------------------------------------------------------------

# A new session whose controlling terminal is stdin, as a terminal window makes one.
ON_A_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, "-m", "rpcnb", *sys.argv[1:]])
"""


class Terminal:
    """A terminal with `rpcnb serve` in it."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.screen = ""
        self._keyboard, theirs = os.openpty()
        arguments = ["serve", "lab.py", "--port", "0"]
        self.process = subprocess.Popen(
            [sys.executable, "-c", ON_A_TERMINAL, *arguments],
            cwd=folder,
            env=environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)

    def press_ctrl_c(self) -> None:
        os.write(self._keyboard, b"\x03")

    def wait_for(self, text: str) -> None:
        while text not in self.screen:
            self.screen += os.read(self._keyboard, 4096).decode()

    def close(self) -> None:
        self.process.kill()
        self.process.wait(WAIT)
        os.close(self._keyboard)


@pytest.fixture
def terminal(environment: dict[str, str], tmp_path: Path):
    terminal = Terminal(tmp_path, environment)
    yield terminal
    terminal.close()


def test_a_terminal_shows_the_line_to_paste_and_ctrl_c_stops(terminal: Terminal) -> None:
    terminal.wait_for("Ctrl-C stops it.")
    path = Path(re.findall(r"connection file: (\S+)", terminal.screen)[0])
    info = json.loads(path.read_text())
    assert f"%connect_remote {info['url'].removeprefix('tcp://')}" in terminal.screen
    assert info["token"] in terminal.screen
    terminal.press_ctrl_c()
    assert terminal.process.wait(WAIT) == 0
    assert not path.exists()


def test_a_second_ctrl_c_ends_it_at_once(
    terminal: Terminal, eventually: Callable[..., bool]
) -> None:
    terminal.wait_for("Ctrl-C stops it.")
    path = Path(re.findall(r"connection file: (\S+)", terminal.screen)[0])
    remote = rpcnb.connect(str(path))
    workers: list[int] = []
    call = remote.get_function("lab.deaf").submit(workers.append)
    assert eventually(lambda: workers, timeout=WAIT)
    terminal.press_ctrl_c()
    terminal.wait_for("stopping")
    began = time.monotonic()
    terminal.press_ctrl_c()
    assert terminal.process.wait(WAIT) == 130
    assert time.monotonic() - began < 2.0
    assert not path.exists()
    os.kill(workers[0], signal.SIGKILL)
    assert eventually(lambda: not is_running(workers[0]), timeout=WAIT)
    remote.close()  # it would wait for the server to be started again
    with pytest.raises(rpcnb.RpcnbError):
        call.result(timeout=WAIT)
