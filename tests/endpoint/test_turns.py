"""Tests of `rpcnb.endpoint.turns`: who reads, when several threads could."""

from __future__ import annotations

import random
import threading

from rpcnb.core.deadline import Deadline
from rpcnb.session.base import CallStatus
from rpcnb.wire.messages import CallFunc, Return

SOON = 5.0


def test_many_waiters_each_get_their_own_answer(link) -> None:
    wrong: list[tuple[object, object]] = []

    def work(seed: int) -> None:
        numbers = random.Random(seed)
        for _ in range(300):
            value = numbers.getrandbits(40)
            answer = link.ask(value).value
            if answer != value:
                wrong.append((value, answer))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30.0)
    assert not any(thread.is_alive() for thread in threads)
    assert wrong == []


def test_answers_out_of_order_find_their_waiters(link) -> None:
    kept: list[CallFunc] = []
    all_in = threading.Event()

    def keep(message: CallFunc) -> None:
        kept.append(message)
        if len(kept) == 5:
            all_in.set()

    link.server_owner.answer = keep
    answers: dict[int, object] = {}
    threads = [
        threading.Thread(target=lambda n=n: answers.update({n: link.ask(n).value}))  # type: ignore[misc]
        for n in range(5)
    ]
    for thread in threads:
        thread.start()
    assert all_in.wait(SOON)
    for message in reversed(kept):
        link.server.post(Return(message.id, message.args[0]))
    for thread in threads:
        thread.join(SOON)
    assert answers == {n: n for n in range(5)}


def test_a_callback_is_called_by_the_background_thread(link) -> None:
    outcome: list[object] = []
    arrived = threading.Event()

    def callback(status: CallStatus, value: object) -> None:
        outcome.append((status, value))
        arrived.set()

    pending = link.client.open_request(callback)
    link.client.send_request(pending, CallFunc(pending.id, 1, ("x",)))
    assert arrived.wait(SOON)
    assert outcome == [(CallStatus.RETURN, "x")]


def test_the_background_thread_parks_under_a_long_wait_and_comes_back(make_link) -> None:
    link = make_link(start=False)
    link.client._reading.acquire()  # this thread is the reader, and stays at it
    link.start()
    pause, end = threading.Event(), Deadline.after(SOON)
    while not link.client._parked and not end.expired():
        pause.wait(0.005)
    assert link.client._parked
    link.client.leave_reading()
    arrived = threading.Event()
    pending = link.client.open_request(lambda *_: arrived.set())
    link.client.send_request(pending, CallFunc(pending.id, 1))
    assert arrived.wait(SOON)


def test_taking_over_is_announced_to_the_owner(link) -> None:
    assert link.server_owner.takeover.wait(SOON)


def test_a_poked_reader_polls_and_can_be_told_to_stop(link) -> None:
    link.server_owner.answer = lambda message: None
    pending = link.client.open_request()
    link.client.send_request(pending, CallFunc(pending.id, 1))
    timer = threading.Timer(0.05, lambda: pending.resolve(CallStatus.CANCELLED, None))
    link.client.poke()
    timer.start()
    link.client.wait(pending)
    timer.join()
    link.client.be_quick()
    assert pending.status is CallStatus.CANCELLED
