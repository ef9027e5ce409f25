"""Tests of `rpcnb.endpoint.client.waiting`: real SIGINTs to this process, whose server has threads."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from rpcnb.core.errors import RemoteInterrupted
from rpcnb.endpoint.client.connect import open_session
from rpcnb.endpoint.serving.server import Server
from rpcnb.session.functions import FunctionRegistry
from rpcnb.session.observer import CallObserver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rpcnb.core.values import FunctionRef
    from rpcnb.endpoint.client.socket_session import SocketSession

WAIT = 10.0


class Remote:
    """What the server's functions share with the test."""

    def __init__(self) -> None:
        self.cleaned = threading.Event()
        self.let_go = threading.Event()

    def loop(self) -> str:
        """Run until interrupted."""
        try:
            while not self.let_go.wait(0.01):
                pass
        finally:
            self.cleaned.set()
        return "let go"

    def stubborn(self) -> str:
        """Run on whatever comes."""
        while not self.let_go.is_set():
            try:
                self.let_go.wait(0.01)
            except KeyboardInterrupt:
                continue
        return "let go"


BLOCKED = 0.1
"""Seconds after which the main thread waits in the kernel again: what is pressed in the instant before that
is noticed only when the kernel comes back, by a second press or a message, as anywhere in Python."""


class Presser(CallObserver):
    """Presses Ctrl-C a moment after the call says that it runs, and then again."""

    def __init__(self, *pauses: float) -> None:
        self._pauses = pauses
        self.thread = threading.Thread(target=self._press)

    def started(self) -> None:
        self.thread.start()

    def _press(self) -> None:
        for pause in (BLOCKED, *self._pauses):
            time.sleep(pause)  # a person's pause between two presses: what is tested
            os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def remote() -> Remote:
    return Remote()


@pytest.fixture(params=["tcp://127.0.0.1:0", "memory://"])
def session(request: pytest.FixtureRequest, remote: Remote) -> Iterator[SocketSession]:
    registry = FunctionRegistry()
    registry.add("loop", remote.loop)
    registry.add("stubborn", remote.stubborn)
    registry.add("stubborn_array", lambda: (remote.stubborn(), np.zeros(3))[1])
    registry.add("echo", lambda value: value)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with Server(url=request.param, registry=registry, in_process=True) as server:
        session = open_session(server.url, token=server.token)
        yield session
        remote.let_go.set()
        session.shutdown()
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def look_up(session: SocketSession) -> Callable[[str], FunctionRef]:
    def find(name: str) -> FunctionRef:
        ref = session.get_function(name)
        assert ref is not None
        return ref

    return find


def test_one_press_stops_the_call_over_there(session, remote, look_up) -> None:
    presser = Presser()
    echo = look_up("echo")
    with pytest.raises(RemoteInterrupted, match=r"loop stopped after .*\(confirmed by") as caught:
        session.call_func(look_up("loop"), observer=presser)
    presser.thread.join(WAIT)
    assert caught.value.confirmed
    assert remote.cleaned.wait(WAIT)
    assert [session.call_func(echo, (n,)) for n in (1, 2, 3)] == [1, 2, 3]


def test_a_second_press_stops_waiting_for_what_cannot_be_stopped(session, remote, look_up) -> None:
    presser = Presser(1.0)
    echo = look_up("echo")
    with pytest.raises(
        RemoteInterrupted, match=r"stubborn may still run on .*remote\.kill\(\)"
    ) as caught:
        session.call_func(look_up("stubborn"), observer=presser)
    presser.thread.join(WAIT)
    assert not caught.value.confirmed
    remote.let_go.set()
    assert [session.call_func(echo, (n,)) for n in (1, 2, 3)] == [1, 2, 3]


def test_what_an_orphaned_call_returns_is_given_back(session, remote, look_up) -> None:
    presser = Presser(1.0)
    statistics, make = look_up("rpcnb.statistics"), look_up("stubborn_array")
    held = session.call_func(statistics)["handles"]
    with pytest.raises(RemoteInterrupted, match="may still run"):
        session.call_func(make, observer=presser)
    presser.thread.join(WAIT)
    remote.let_go.set()
    end = time.monotonic() + WAIT
    while session.call_func(statistics)["handles"] > held and time.monotonic() < end:
        session.flush_released()
    assert session.call_func(statistics)["handles"] == held


def test_a_call_that_ends_by_itself_says_so_and_gives_its_result_back(
    session, remote, look_up
) -> None:
    class LetGo(Presser):
        def _press(self) -> None:
            super()._press()
            remote.let_go.set()

    presser = LetGo()
    with pytest.raises(RemoteInterrupted, match="ended by itself before it could be stopped"):
        session.call_func(look_up("stubborn"), observer=presser)
    presser.thread.join(WAIT)
    assert session.statistics()["calls_in_flight"] == 0


def test_what_another_handler_raises_comes_once_the_call_has_ended(
    session, remote, look_up
) -> None:
    def handler(*_: object) -> None:
        raise LookupError("the program's own")

    signal.signal(signal.SIGINT, handler)
    presser = Presser()
    with pytest.raises(LookupError, match="the program's own"):
        session.call_func(look_up("loop"), observer=presser)
    presser.thread.join(WAIT)
    assert remote.cleaned.wait(WAIT)


def test_another_thread_waits_undisturbed(session, look_up) -> None:
    echo, answers = look_up("echo"), []
    thread = threading.Thread(target=lambda: answers.append(session.call_func(echo, (5,))))
    thread.start()
    thread.join(WAIT)
    assert answers == [5]
