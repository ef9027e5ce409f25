"""Tests of `rpcnb.endpoint.serving.lanes`."""

from __future__ import annotations

import threading

from rpcnb.endpoint.serving.lanes import Lane


def test_work_runs_in_order_on_one_other_thread() -> None:
    lane, seen, finished = Lane("lane"), [], threading.Event()
    for number in range(100):
        lane.put(lambda n=number: seen.append((n, threading.get_ident())))  # type: ignore[misc]
    lane.put(finished.set)
    assert finished.wait(5.0)
    assert [number for number, _ in seen] == list(range(100))
    assert threading.get_ident() not in {thread for _, thread in seen}


def test_a_lane_that_fell_idle_starts_again() -> None:
    lane = Lane("lane")
    for _ in range(3):
        finished = threading.Event()
        lane.put(finished.set)
        assert finished.wait(5.0)


def test_a_closed_lane_drops_what_has_not_begun() -> None:
    lane, began, go_on, ran = Lane("lane"), threading.Event(), threading.Event(), []

    def block() -> None:
        began.set()
        go_on.wait(5.0)

    lane.put(block)
    assert began.wait(5.0)
    lane.put(lambda: ran.append(1))
    lane.close()
    lane.put(lambda: ran.append(2))
    go_on.set()
    done = threading.Event()
    other = Lane("other")
    other.put(done.set)
    assert done.wait(5.0)
    assert ran == []
