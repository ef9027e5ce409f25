"""Tests of `rpcnb.endpoint.serving.stage`: a session that is ready before anybody comes for it."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from rpcnb.core.errors import PermissionDenied
from rpcnb.endpoint.client.connect import open_session
from rpcnb.endpoint.client.socket_session import SocketSession
from rpcnb.endpoint.serving.server import Server
from rpcnb.endpoint.serving.stage import Stage
from rpcnb.endpoint.serving.ticket import Ticket
from rpcnb.endpoint.serving.worker import Service, serve
from rpcnb.endpoint.share_links import share_caveats
from rpcnb.session.functions import FunctionRegistry
from rpcnb.transport.memory import memory_pair
from rpcnb.wire.handshake import Agreement, Intent
from rpcnb.wire.messages import Side
from rpcnb.wire.resumable import ResumableV1

if TYPE_CHECKING:
    from rpcnb.endpoint.serving.seat import Post

WAIT = 10.0


@pytest.fixture
def registry() -> FunctionRegistry:
    registry = FunctionRegistry()
    registry.add("t.pid", os.getpid)
    registry.add("u.pid", os.getpid)
    return registry


def call(session, name: str, *args):
    return session.call_func(session.get_function(name), args)


@pytest.mark.parametrize("shared", [False, True])
def test_a_session_that_was_ready_is_as_any_other(registry, tmp_path, shared) -> None:
    caveats = share_caveats("executor", "t.*", 60.0) if shared else ""
    service = Service(registry=registry)
    near, far = memory_pair()
    posts: list[Post] = []

    def work() -> None:
        stage = Stage(service, "", None, ended.set)
        stage.prepare()
        ticket = Ticket("a" * 32, "", 1, caveats)
        serve(far, ticket, service, posts.append, str(tmp_path), on_end=ended.set, stage=stage)

    ended = threading.Event()
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    agreement = Agreement(bytes(16), 1, "", "here", 1, Intent.NEW)
    session = SocketSession(near, ResumableV1(Side.CLIENT), agreement)
    assert call(session, "t.pid") == os.getpid()
    if shared:
        with pytest.raises(PermissionDenied, match="not among those"):
            session.get_function("u.pid")
    call(session, "rpcnb.upload", "a.txt", 0, b"content", True)
    assert (tmp_path / "a.txt").read_bytes() == b"content"
    assert 0 <= call(session, "rpcnb.statistics")["uptime"] < WAIT
    session.shutdown()
    thread.join(WAIT)
    assert not thread.is_alive()
    assert ended.is_set()


def test_sessions_of_forked_workers_have_nothing_in_common(registry, tmp_path) -> None:
    registry.add("t.make", object)
    path = tmp_path / "server.json"
    with (
        Server(registry=registry, in_process=False, connection_file=path),
        open_session(str(path)) as one,
        open_session(str(path)) as other,
    ):
        assert len({call(session, "t.pid") for session in (one, other)} - {os.getpid()}) == 2
        held = call(one, "t.make"), call(one, "t.make")
        call(one, "rpcnb.upload", "a.txt", 0, b"content", True)
        assert call(other, "rpcnb.listdir") == []
        assert call(one, "rpcnb.listdir") == [["a.txt", False, 7]]
        there = [call(session, "rpcnb.statistics") for session in (one, other)]
        assert there[0]["handles"] - there[1]["handles"] >= len(held)
