"""Forks of a process with sessions: each belongs to the process that opened it."""

from __future__ import annotations

import os
import select

import pytest

from rpcnb.core.errors import SessionClosed
from rpcnb.endpoint.client.connect import open_session
from rpcnb.endpoint.serving.server import Server
from rpcnb.session.functions import FunctionRegistry


def in_a_child(work) -> str:
    """Run `work` in a forked child and return the text it returns."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writer, work().encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as file:
        assert select.select([file], [], [], 10.0)[0], "the child hangs"
        text = file.read()
    os.waitpid(pid, 0)
    return text


@pytest.mark.parametrize("url", ["tcp://127.0.0.1:0", "memory://forks"])
def test_a_child_has_lost_the_session_and_the_parent_has_not(tmp_path, url) -> None:
    registry = FunctionRegistry()
    registry.add("t.double", lambda n: 2 * n)
    with Server(
        url=url, in_process=True, registry=registry, connection_file=tmp_path / "s.json"
    ) as server:
        session = open_session(server.url, token=server.token)
        double = session.get_function("t.double")

        def use() -> str:
            try:
                session.call_func(double, (1,))
            except SessionClosed as error:
                session.free_handle(double.handle, double.type_code)
                session.shutdown()
                return str(error)
            return "it worked"

        assert "belongs to the process that was forked" in in_a_child(use)
        assert session.call_func(double, (4,)) == 8
        session.shutdown()
        assert "closed" in in_a_child(lambda: "closed" if session.closed else "open")
