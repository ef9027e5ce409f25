"""A recording of TVM's own client with TVM's own server."""

from __future__ import annotations

from collections.abc import Callable  # noqa: TC003 -- fixtures
from pathlib import Path

import pytest

from rpcnb.wire.tvm.greeting import MAGIC

RECORDING = Path(__file__).parent.parent.parent / "data" / "tvm" / "session_0_27.txt"


@pytest.fixture(scope="session")
def recorded() -> Callable[[str], bytes]:
    """Give a function of ``">"`` or ``"<"``: all that went that way."""
    lines = [line.split() for line in RECORDING.read_text().splitlines()]
    return lambda mark: b"".join(bytes.fromhex(rest[0]) for way, *rest in lines if way == mark)


@pytest.fixture(scope="session")
def after_greeting(recorded) -> Callable[[str], bytes]:
    """Give the same without the greeting."""

    def cut(mark: str) -> bytes:
        data = recorded(mark)
        assert data[:4] == MAGIC.to_bytes(4, "little")
        return data[8 + int.from_bytes(data[4:8], "little") :]

    return cut
