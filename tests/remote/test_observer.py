from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

import pytest

from rpcnb.core.errors import InvalidHandle
from rpcnb.core.values import CallbackRef, Handle
from rpcnb.remote.future import RemoteFuture
from rpcnb.remote.observer import BlockingObserver, Lender
from rpcnb.session.base import CallStatus

if TYPE_CHECKING:
    from rpcnb.remote.client import Remote

CELL: ContextVar[str] = ContextVar("CELL", default="none")


def test_only_lent_functions_can_be_called(remote: Remote) -> None:
    observer = Lender(remote, {1: lambda x, y=0: x + y})
    assert observer.call_back(CallbackRef(Handle(1)), [1], {"y": 2}) == 3
    with pytest.raises(InvalidHandle, match="not lent"):
        observer.call_back(CallbackRef(Handle(2)), [], {})


def test_output_is_shown_in_the_context_of_the_caller(remote: Remote) -> None:
    shown: list[tuple[str, str]] = []
    remote.on_output = lambda stream, text: shown.append((CELL.get(), text))
    token = CELL.set("cell 3")
    observer = BlockingObserver(remote, "f", {})
    CELL.reset(token)
    observer.output("stdout", "hello")
    assert shown == [("cell 3", "hello")]


def test_a_view_is_made_only_when_there_is_progress(remote: Remote) -> None:
    made: list[str] = []
    remote.on_progress = made.append
    BlockingObserver(remote, "f", {}).close()
    assert made == []


def test_the_collector_tells_of_the_start(remote: Remote) -> None:
    future = RemoteFuture(remote, "f", {})
    assert not future.running()
    future.observer.started()
    assert future.running()
    future.finish(CallStatus.RETURN, 3)
    future.observer.started()  # too late, and nobody minds
    assert future.result(0) == 3
