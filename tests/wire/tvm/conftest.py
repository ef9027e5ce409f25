"""Recordings of TVM's own client with TVM's own server, one for each dialect."""

from __future__ import annotations

from collections.abc import Callable  # noqa: TC003 -- fixtures
from pathlib import Path

import pytest

from rpcnb.wire.tvm.greeting import MAGIC

DATA = Path(__file__).parent.parent.parent / "data" / "tvm"


def stream(version: str, mark: str) -> bytes:
    lines = [line.split() for line in (DATA / f"session_{version}.txt").read_text().splitlines()]
    return b"".join(bytes.fromhex(rest[0]) for way, *rest in lines if way == mark)


@pytest.fixture(scope="session")
def recorded() -> Callable[..., bytes]:
    """Give a function of ``">"`` or ``"<"``: all that went that way."""
    return lambda mark, version="0_27": stream(version, mark)


@pytest.fixture(scope="session")
def after_greeting(recorded) -> Callable[..., bytes]:
    """Give the same without the greeting."""

    def cut(mark: str, version: str = "0_27") -> bytes:
        data = recorded(mark, version)
        assert data[:4] == MAGIC.to_bytes(4, "little")
        return data[8 + int.from_bytes(data[4:8], "little") :]

    return cut
