"""Tests of `rpcnb.endpoint.serving.rehearsal`: sessions played before anybody comes."""

from __future__ import annotations

import dis
import threading
from functools import partial

import pytest

from rpcnb.endpoint.serving.rehearsal import TIMES, rehearse
from rpcnb.endpoint.serving.stage import Stage
from rpcnb.endpoint.serving.worker import Service, serve
from rpcnb.session.functions import FunctionRegistry


@pytest.fixture
def service() -> Service:
    return Service(registry=FunctionRegistry())


@pytest.fixture
def make_stage(service):
    return partial(Stage, service, "", None, lambda: None)


def test_each_session_is_played_to_its_end(service, make_stage) -> None:
    played: list[Stage] = []

    def play(transport, ticket, folder, stage) -> None:
        serve(transport, ticket, service, lambda _: None, folder, stage=stage)
        assert transport.closed
        played.append(stage)

    rehearse(make_stage, play)
    ended = [stage.session.statistics() for stage in played]
    assert [(each["calls"], each["handles"]) for each in ended] == [(2, 0)] * TIMES


def test_no_session_starts_a_thread_and_none_is_left(service, make_stage, monkeypatch) -> None:
    def play(transport, ticket, folder, stage) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(
                threading.Thread, "start", lambda self: pytest.fail(f"{self} was started")
            )
            serve(transport, ticket, service, lambda _: None, folder, stage=stage)

    before = set(threading.enumerate())
    rehearse(make_stage, play)
    assert set(threading.enumerate()) == before


def test_nothing_is_left_and_code_is_run_in(service, make_stage, no_leaked_fds) -> None:
    def play(transport, ticket, folder, stage) -> None:
        serve(transport, ticket, service, lambda _: None, folder, stage=stage)

    def operations() -> list[str]:
        return [each.opname for each in dis.get_instructions(play, adaptive=True)]

    as_made = operations()
    rehearse(make_stage, play)
    assert operations() != as_made
