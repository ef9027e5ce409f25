"""Tests of `rpcnb.endpoint.client.callback`: functions lent to the other side."""

from __future__ import annotations

import threading

import pytest

from rpcnb.core.cancelled import RemoteCancelled
from rpcnb.core.errors import InvalidHandle
from rpcnb.core.values import CallbackRef, FunctionInfo, Handle
from rpcnb.endpoint.client.callback import SERVING
from rpcnb.session.base import CallStatus
from rpcnb.session.local import LocalSession
from rpcnb.session.observer import CallObserver
from rpcnb.wire.messages import CallFunc

WAIT = 10.0
LENT = CallbackRef(Handle(1), FunctionInfo("lent"))


class Lender(CallObserver):
    def __init__(self, function) -> None:
        self.function = function

    def call_back(self, callback, args, kwargs):
        return self.function(*args, **kwargs)


@pytest.fixture
def client(serve):
    return serve(LocalSession).client


@pytest.fixture
def call(client):
    ref = client.get_function("t.call")
    return lambda function, *args: client.call_func(ref, (LENT, *args), observer=Lender(function))


def test_it_runs_on_the_thread_that_waits_and_its_result_is_given(call) -> None:
    threads: list[int] = []

    def triple(n: int) -> int:
        threads.append(threading.get_ident())
        return 3 * n

    assert call(triple, 5) == 15
    assert threads == [threading.get_ident()]


def test_its_error_goes_through_the_caller_and_back(call) -> None:
    def fail() -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        call(fail)


def test_a_result_that_cannot_cross_is_an_error(call) -> None:
    with pytest.raises(TypeError):
        call(object)


def test_calls_made_meanwhile_name_what_they_serve(client, call) -> None:
    echo = client.get_function("t.echo")
    seen: list[int] = []

    def ask(n: int) -> int:
        seen.append(SERVING.get())
        return client.call_func(echo, (n,)) + 1

    assert call(ask, 1) == 2
    assert seen[0] > 0
    assert SERVING.get() == 0


def test_one_that_ends_the_program_ends_the_call_it_served(client, call) -> None:
    with pytest.raises(SystemExit):
        call(lambda: (_ for _ in ()).throw(SystemExit(3)))
    echo = client.get_function("t.echo")
    assert client.call_func(echo, ("free again",)) == "free again"


def test_a_keyboard_interrupt_on_another_thread_leaves_the_main_one_alone(client, call) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    outcomes: list[BaseException] = []

    def work() -> None:
        try:
            call(interrupt)
        except BaseException as error:  # noqa: BLE001 -- whatever it is
            outcomes.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(WAIT)
    assert isinstance(outcomes[0], RemoteCancelled)
    echo = client.get_function("t.echo")
    assert client.call_func(echo, (1,)) == 1


def test_one_lent_to_a_submitted_call_runs_on_a_thread_of_its_own(client) -> None:
    threads: list[str] = []
    ended, told = threading.Event(), []

    def note() -> None:
        threads.append(threading.current_thread().name)

    def callback(*outcome) -> None:
        told.append(outcome)
        ended.set()

    ref = client.get_function("t.call")
    client.async_call_func(ref, (LENT,), {}, callback, observer=Lender(note))
    assert ended.wait(WAIT)
    assert told == [(CallStatus.RETURN, None)]
    assert threads == ["rpcnb-callback"]


def test_one_whose_call_has_ended_is_not_lent_any_more(serve) -> None:
    served = serve(LocalSession)
    pending = served.connection.open_request()
    message = CallFunc(pending.id, 1, parent=12345)
    served.connection.send_request(pending, message)
    served.connection.wait(pending)
    assert pending.status is CallStatus.EXCEPTION
    assert "lent for a call that has ended" in pending.value.message
    assert pending.value.known == InvalidHandle.__name__
