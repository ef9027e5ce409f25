from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import rpcnb
from rpcnb.cli import main
from rpcnb.cli.share import seconds
from rpcnb.core.errors import PermissionDenied
from rpcnb.session.functions import FunctionRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def server(environment: dict[str, str]) -> Iterator[rpcnb.Server]:
    registry = FunctionRegistry()
    registry.add("stats.load", lambda: 0.5, role="inspector")
    registry.add("demo.run", lambda: "ran")
    with rpcnb.Server(host="0.0.0.0", name="mine", registry=registry, in_process=True) as server:
        yield server


def test_a_link_works_and_does_less(
    server: rpcnb.Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["share", "--role", "inspector", "--functions", "stats.*", "--expires", "1h"]) == 0
    link = capsys.readouterr().out.strip()
    assert link.startswith("rpcnb://")
    assert server.token.split(".")[1] not in link
    here = "rpcnb://127.0.0.1:" + link.partition("://")[2].partition(":")[2]
    with rpcnb.connect(here) as remote:
        assert list(remote.functions) == ["stats.load"]
        assert remote.get_function("stats.load")() == 0.5
        with pytest.raises(PermissionDenied):
            remote.get_function("demo.run")
        assert link.partition("#")[2].split(".")[1] not in repr(remote) + remote.url


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--role", "admin"], "roles are inspector"),
        (["--expires", "soon"], "write 90s, 30m, 12h or 7d"),
        (["--functions", "a b"], "no caveat"),
    ],
)
def test_what_cannot_be_meant_is_said(
    server: rpcnb.Server, capsys: pytest.CaptureFixture[str], options: list[str], expected: str
) -> None:
    assert main(["share", *options]) == 2
    assert expected in capsys.readouterr().err


def test_times_are_read() -> None:
    assert [seconds(t) for t in ("90s", "30m", "12h", "7d")] == [90, 1800, 43200, 604800]
