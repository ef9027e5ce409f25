"""A server that never answers, or never ends: whoever presses Ctrl-C gets control back.

The first press asks the server to stop, the second one waits no longer. What cannot be left in the
middle is given up with the connection, by a press that comes a second after the second one; two more
end the attempt to connect again.
"""

from __future__ import annotations

import signal
import socket
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from rpcnb.core.errors import RpcnbError
from rpcnb.core.values import ArrayRef, FunctionRef, Handle
from rpcnb.endpoint.client.connect import open_session
from rpcnb.wire import messages as m

sys.path.insert(0, str(Path(__file__).parent))
from hostile import TOKEN, frame  # beside this file, which is no package

QUICK, SLOW = 0.3, 0.6
"""Seconds between two presses."""
LARGE = 64 << 20


def for_ever(*messages):
    def script(server, number: int) -> None:
        while True:
            server.say(*(make(number) for make in messages))

    return script


def say_nothing(server, number: int) -> None:
    """Read no more, either."""


def say_half(server, number: int) -> None:
    server.shout(frame(m.Kind.RETURN, b"\xc0", header=1000))


def call(session) -> None:
    session.call_func(FunctionRef(Handle(1)), (1,))


def download(session) -> None:
    session.copy_from_remote(ArrayRef(Handle(7), (LARGE,), "|u1"), bytearray(LARGE), LARGE)


def upload(session) -> None:
    session.copy_to_remote(bytes(LARGE), ArrayRef(Handle(7), (LARGE,), "|u1"), LARGE)


IN_THE_MIDDLE = {"nobody takes a copy": 4, "half an answer to a copy": 6}
"""How many presses at most, where two do not help."""

CASES = {
    "no answer to a look-up": (lambda session: session.get_function("f"), say_nothing),
    "no answer to a call": (call, say_nothing),
    "no answer to a copy": (download, say_nothing),
    "nobody takes a copy": (upload, say_nothing),
    "half an answer": (call, say_half),
    "half an answer to a copy": (download, say_half),
    "output": (call, for_ever(lambda n: m.Output(n, "stdout", "x" * 1000))),
    "progress": (call, for_ever(lambda n: m.Progress(n, 0.0, 1.0))),
    "starts": (call, for_ever(m.Started)),
    "pings": (call, for_ever(lambda _n: m.Ping(3))),
    "answers to others": (call, for_ever(lambda n: m.Return(n + 1000, 1))),
    "errors to others in a copy": (download, for_ever(lambda n: m.Stopped(n + 1000))),
    "calls of what was not lent": (call, for_ever(lambda n: m.CallFunc(9, 1, (), {}, 0, None, n))),
    "the same piece of a copy": (
        download,
        for_ever(lambda n: m.CopyData(n, 0, 4, False, b"evil")),
    ),
}


@contextmanager
def pressed_again_and_again(began: threading.Event, pause: float):
    """Press Ctrl-C from when it began until the block ends; give the list of presses."""
    done, presses = threading.Event(), []
    main = threading.main_thread().ident

    def press() -> None:
        began.wait(20.0)
        while not done.wait(pause):
            presses.append(True)
            signal.pthread_kill(main, signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    try:
        yield presses
    finally:
        done.set()
        thread.join()


@pytest.mark.untraced
@pytest.mark.parametrize("case", CASES)
def test_control_comes_back_at_the_second_press(hostile, case) -> None:
    use, answer = CASES[case]
    began = threading.Event()

    def script(server) -> None:
        asked = {m.GetFunction, m.CallFunc, m.CopyFromRemote, m.CopyToRemote}
        while not began.is_set():
            count = server.transport.receive_into(server.protocol.receive_buffer())
            for request in server.protocol.received(count):
                if type(request) is m.DeviceCall:  # no shared memory
                    server.say(m.Return(request.id, None))
                elif type(request) in asked and not began.is_set():
                    began.set()
                    number = request.id
        answer(server, number)
        gone.wait(20.0)

    gone = threading.Event()
    most = IN_THE_MIDDLE.get(case, 2)
    session = open_session(hostile(script), token=TOKEN)
    with pressed_again_and_again(began, QUICK if most == 2 else SLOW) as presses:
        with pytest.raises((KeyboardInterrupt, RpcnbError)):
            use(session)
        assert 1 <= len(presses) <= most
    gone.set()
    session.shutdown()


@pytest.mark.untraced
def test_control_comes_back_from_a_greeting_that_is_not_answered() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = threading.Event()
        began.set()
        with pressed_again_and_again(began, QUICK) as presses, pytest.raises(KeyboardInterrupt):
            open_session("tcp://{}:{}".format(*silent.getsockname()), token=TOKEN)
        assert len(presses) == 1
