"""Cells in a worker process of a real server."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest

import rpcnb
from rpcnb.core.errors import (
    EncodeError,
    PermissionDenied,
    RemoteError,
    RemoteInterrupted,
    SessionError,
    WorkerDied,
)
from rpcnb.remote.cells import get_name, run_cell, set_name
from rpcnb.session.functions import FunctionRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Recorder:
    """Keeps what a cell shows and prints, in order."""

    def __init__(self, remote: rpcnb.Remote) -> None:
        self.remote = remote
        self.seen: list[tuple[str, Any]] = []
        self.on_text = threading.Event()
        remote.on_output = self.write

    def write(self, stream: str, text: str) -> None:
        self.seen.append((stream, text))
        self.on_text.set()

    def show(
        self, what: str, data: dict[str, Any], metadata: dict[str, Any], display_id: str
    ) -> None:
        self.seen.append((what, data.get("text/plain", metadata)))
        self.data = data

    def run(self, source: str, number: int = 0) -> list[tuple[str, Any]]:
        self.seen = []
        run_cell(self.remote, source, self, number)
        return self.seen


@pytest.fixture
def over_there(cell_server: Path) -> Iterator[Recorder]:
    with rpcnb.connect(str(cell_server)) as remote:
        yield Recorder(remote)


def test_prints_and_values_come_in_order(over_there: Recorder) -> None:
    seen = over_there.run("print('one')\ndisplay('two')\nprint('three')\n40 + 2")
    shown = [("display", "'two'"), ("stdout", "three\n"), ("display", "42")]
    assert seen == [("stdout", "one\n"), *shown]


def test_what_ends_with_a_semicolon_is_not_shown(over_there: Recorder) -> None:
    assert over_there.run("1;") == []


def test_the_namespace_stays_and_is_the_sessions_own(
    over_there: Recorder, cell_server: Path
) -> None:
    over_there.run("x = 1")
    with rpcnb.connect(str(cell_server)) as second:
        other = Recorder(second)
        other.run("x = 2")
        assert over_there.run("x, __name__") == [("display", "(1, '__main__')")]
        assert get_name(second, "x") == 2


def test_displays_are_updated_and_cleared(over_there: Recorder) -> None:
    seen = over_there.run(
        "from IPython.display import clear_output\n"
        "h = display('a', display_id='q')\nh.update('b')\nclear_output(wait=True)"
    )
    assert seen == [("display", "'a'"), ("update", "'b'"), ("clear", {"wait": True})]


def test_a_figure_is_a_picture(over_there: Recorder) -> None:
    over_there.run("import matplotlib.pyplot as plt\nplt.figure(figsize=(1, 1)).gca();")
    assert over_there.data["image/png"].startswith("iVBOR")


def test_top_level_await_and_magics_work(over_there: Recorder) -> None:
    seen = over_there.run("import asyncio\nawait asyncio.sleep(0)\n%xmode\n!echo from a shell")
    assert ("stdout", "from a shell\n") in [(s, t.replace("\r", "")) for s, t in seen]


def test_warnings_are_written_as_in_a_local_cell(over_there: Recorder) -> None:
    ((stream, text),) = over_there.run("import warnings\nwarnings.warn('careful')")
    assert stream == "stderr"
    assert "UserWarning: careful" in text


def test_a_traceback_has_the_cells_number_and_lines(over_there: Recorder) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        over_there.run("x = 1\nx / 0", number=7)
    assert isinstance(caught.value, RemoteError)
    assert "Cell In[7], line 2" in caught.value.remote_traceback
    assert "----> 2 x / 0" in caught.value.remote_traceback
    assert "rpcnb" not in caught.value.remote_traceback


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("x = = 1", "SyntaxError: invalid syntax"),
        ("if x:\n  1\n 2", "IndentationError"),
        ("%nosuch", "UsageError: Line magic function `%nosuch` not found"),
        ("input('?')", "input() has nobody to ask"),
        ("from getpass import getpass\ngetpass()", "getpass() has nobody to ask"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("exit()", "%disconnect_remote ends a session"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("raise ExceptionGroup('many', [ValueError(1)])", "ExceptionGroup: many"),
    ],
)
def test_what_fails_is_told_and_the_next_cell_runs(
    over_there: Recorder, source: str, told: str
) -> None:
    with pytest.raises(RemoteError) as caught:
        over_there.run(source)
    assert told in str(caught.value)
    assert over_there.run("'next'") == [("display", "'next'")]


def test_functions_are_callable_at_once_also_of_a_cell_that_failed(over_there: Recorder) -> None:
    over_there.run("def twice(x: int) -> int:\n    'Double.'\n    return 2 * x")
    remote = over_there.remote
    assert remote.fn.twice(21) == 42
    assert remote.fn.twice.describe() == "twice(x: int) -> int"
    over_there.run("def twice(x): return x * x")
    assert remote.fn.twice(5) == 25
    with pytest.raises(RemoteError):
        over_there.run("def thrice(x): return 3 * x\n1 / 0")
    assert remote.fn.thrice(2) == 6


def test_names_cross_in_both_directions(over_there: Recorder) -> None:
    remote = over_there.remote
    set_name(remote, "n", 3)
    set_name(remote, "a", remote.arange(4))
    over_there.run("b = a * n\nlabel = 'x'")
    assert get_name(remote, "label") == "x"
    assert get_name(remote, "b").to_numpy().tolist() == [0, 3, 6, 9]
    with pytest.raises(EncodeError, match="cannot stay on"):
        set_name(remote, "f", print)


def test_an_interrupt_stops_it_there_and_the_namespace_stays(over_there: Recorder) -> None:
    ended = threading.Event()

    def interrupt() -> None:
        """Press as soon as it prints, and again where that came just before a system call.

        CPython then runs the handler when the call returns, and the text makes just that likely.
        """
        assert over_there.on_text.wait(20)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        while not ended.wait(5):
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    for waiting in ("import time\nprint('in')\ntime.sleep(30)", "await asyncio.sleep(30)"):
        over_there.on_text.clear()
        ended.clear()
        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(RemoteInterrupted, match=r"%%remote stopped .* \(confirmed by lab\)"):
            over_there.run(f"import asyncio\nx = 'kept'\nprint('in')\n{waiting}\nx = 'lost'")
        ended.set()
        thread.join()
    assert over_there.run("x") == [("display", "'kept'")]


def test_the_end_of_its_process_is_told(over_there: Recorder) -> None:
    with pytest.raises(WorkerDied, match="ended with status 3"):
        over_there.run("import os\nos._exit(3)")


def test_cells_run_through_a_gateway(cell_server: Path) -> None:
    def open_next() -> Any:
        from rpcnb.endpoint.client.connect import open_session
        from rpcnb.endpoint.credentials import read_connection_file

        file = read_connection_file(cell_server)
        return open_session(file.url, token=file.token)

    with (
        rpcnb.Server(name="gate", open_next=open_next, in_process=True) as gateway,
        rpcnb.connect(gateway.url, gateway.token) as remote,
    ):
        over_there = Recorder(remote)
        assert over_there.run("def f(): return 'far'\nprint(1)\n2") == [
            ("stdout", "1\n"),
            ("display", "2"),
        ]
        assert remote.fn.f() == "far"


def test_a_server_that_does_not_allow_it_names_the_flag() -> None:
    with (
        rpcnb.Server(registry=FunctionRegistry(), in_process=True) as server,
        rpcnb.connect(server.url, server.token) as remote,
        pytest.raises(PermissionDenied, match="--allow-exec"),
    ):
        run_cell(remote, "1", Recorder(remote))


def test_another_kind_of_server_runs_none(over_there: Recorder) -> None:
    remote = over_there.remote
    remote.session.get_function = lambda name: None  # type: ignore[method-assign]
    with pytest.raises(SessionError, match="lab is no rpcnb server"):
        over_there.run("1")
