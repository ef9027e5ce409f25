"""Tests of `rpcnb.endpoint.client.housekeeper`."""

from __future__ import annotations

import gc
import os
import threading

from rpcnb.endpoint.client.housekeeper import Housekeeper


class Leaver:
    """Counts its flushes."""

    def __init__(self) -> None:
        self.flushed = threading.Event()
        self.count = 0

    def flush_released(self) -> None:
        self.count += 1
        self.flushed.set()


def test_what_is_left_is_flushed_soon() -> None:
    keeper, leaver = Housekeeper(), Leaver()
    keeper.register(leaver)
    keeper.notice()
    assert leaver.flushed.wait(5.0)


def test_many_notices_make_few_flushes() -> None:
    keeper, leaver = Housekeeper(), Leaver()
    keeper.register(leaver)
    for _ in range(10_000):
        keeper.notice()
    assert leaver.flushed.wait(5.0)
    assert leaver.count < 100


def test_it_keeps_nobody_alive() -> None:
    keeper, leaver = Housekeeper(), Leaver()
    other = Leaver()
    keeper.register(leaver)
    keeper.register(other)
    flushed = leaver.flushed
    del leaver
    gc.collect()
    keeper.notice()
    assert other.flushed.wait(5.0)
    assert not flushed.is_set()


def test_a_forked_child_gets_a_thread_of_its_own() -> None:
    keeper = Housekeeper()
    keeper.register(Leaver())
    keeper._pid = os.getpid() - 1  # what a fork looks like from inside
    leaver = Leaver()
    keeper.register(leaver)
    keeper.notice()
    assert leaver.flushed.wait(5.0)
