"""Tests of `rpcnb.endpoint.client.socket_session`: the session contract over every way to a server."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

import pytest

from rpcnb.endpoint.client.connect import open_session
from rpcnb.endpoint.serving.server import Server
from rpcnb.session.functions import FunctionRegistry
from rpcnb.testing.session_functions import register_all
from rpcnb.testing.session_suite import SessionSuite

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rpcnb.session.base import RPCSession


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RPCNB_RUNTIME_DIR", str(folder))
        yield folder


def a_server(url: str, *, in_process: bool = False, next_one: Server | None = None) -> Server:
    registry = FunctionRegistry()
    register_all(registry)
    return Server(
        url=url,
        name=f"server-at-{url.partition(':')[0]}",
        registry=registry,
        allowed_modules=["math"],
        in_process=in_process,
        open_next=None if next_one is None else partial(connect_to, next_one),
    )


def connect_to(server: Server) -> RPCSession:
    return open_session(server.url, token=server.token)


class OnServer(SessionSuite):
    @pytest.fixture
    def session(self, server: Server) -> Iterator[RPCSession]:
        with connect_to(server) as session:
            yield session


@pytest.fixture(scope="class")
def server(request: pytest.FixtureRequest, folder: Path) -> Iterator[Server]:
    with ExitStack() as stack:
        yield request.cls.open_server(stack, folder)


class TestInMemory(OnServer):
    has_process = False

    @staticmethod
    def open_server(stack: ExitStack, folder: Path) -> Server:
        return stack.enter_context(a_server("memory://suite", in_process=True))


class TestOverUnixSocket(OnServer):
    @staticmethod
    def open_server(stack: ExitStack, folder: Path) -> Server:
        return stack.enter_context(a_server(f"unix://{folder}/suite.sock"))


class TestOverTcp(OnServer):
    @staticmethod
    def open_server(stack: ExitStack, folder: Path) -> Server:
        return stack.enter_context(a_server("tcp://127.0.0.1:0"))


class TestOverTls(OnServer):
    @staticmethod
    def open_server(stack: ExitStack, folder: Path) -> Server:
        return stack.enter_context(a_server("tls://127.0.0.1:0"))


class TestOverTlsToThreads(OnServer):
    has_process = False

    @staticmethod
    def open_server(stack: ExitStack, folder: Path) -> Server:
        return stack.enter_context(a_server("tls://127.0.0.1:0", in_process=True))


class TestThroughOneGateway(OnServer):
    @staticmethod
    def open_server(stack: ExitStack, folder: Path) -> Server:
        far = stack.enter_context(a_server(f"unix://{folder}/far.sock"))
        return stack.enter_context(a_server("memory://gateway", in_process=True, next_one=far))


class TestThroughTwoGateways(OnServer):
    @staticmethod
    def open_server(stack: ExitStack, folder: Path) -> Server:
        far = stack.enter_context(a_server("tcp://127.0.0.1:0"))
        middle = stack.enter_context(a_server(f"unix://{folder}/middle.sock", next_one=far))
        return stack.enter_context(a_server(f"unix://{folder}/near.sock", next_one=middle))


def test_every_hop_of_a_chain_is_named(folder: Path) -> None:
    with ExitStack() as stack:
        near: Server | None = None
        for _ in range(3):
            near = stack.enter_context(
                a_server("tcp://127.0.0.1:0", in_process=True, next_one=near)
            )
        session = stack.enter_context(connect_to(near))
        hops = session.hops()
        assert [hop.name for hop in hops] == ["server-at-tcp"] * 3
        assert len({hop.address for hop in hops}) == 3
        assert hops[0].address == near.url.removeprefix("tcp://")
        assert all(0 < hop.seconds < 5 for hop in hops)
