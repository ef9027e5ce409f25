"""`rpcnb find` as ssh runs it; the whole way is in tests/endpoint/client/test_ssh.py."""

from __future__ import annotations

import io
import json

import rpcnb
from rpcnb.cli import main
from rpcnb.session.functions import FunctionRegistry


def test_it_says_where_the_youngest_server_is_and_waits(environment, capsys, monkeypatch) -> None:
    registry = FunctionRegistry()
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with (
        rpcnb.Server(registry=registry, in_process=True),
        rpcnb.Server(registry=registry, in_process=True) as younger,
    ):
        assert main(["find"]) == 0
    said = json.loads(capsys.readouterr().out)["rpcnb"]
    assert said["token"] == younger.token
    assert said["socket"].endswith(".sock")
