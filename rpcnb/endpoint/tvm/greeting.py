"""The server's half of a TVM connection's first bytes."""

from __future__ import annotations

import math
from threading import TIMEOUT_MAX
from typing import TYPE_CHECKING, NamedTuple

from rpcnb.core.errors import ConnectionClosed, HandshakeError, TransportTimeout
from rpcnb.wire.tvm.greeting import LONGEST_KEY, MAGIC, NO_MATCH
from rpcnb.wire.tvm.values import I32

if TYPE_CHECKING:
    from rpcnb.core.deadline import Deadline
    from rpcnb.transport.base import Transport

_CLIENT, _TIMEOUT = "client:", "-timeout="


class Hello(NamedTuple):
    """What a client says first."""

    key: str
    seconds: float | None
    """How long the session may last; None for as long as it likes."""


def read_hello(transport: Transport, deadline: Deadline) -> Hello:
    """Receive the client's half.

    Raises
    ------
    HandshakeError
        It is no TVM client.
    TransportTimeout, ConnectionClosed
        It does not say what it wants.
    """
    _read_number(transport, deadline, range(MAGIC, MAGIC + 1))
    nbytes = _read_number(transport, deadline, range(LONGEST_KEY + 1))
    words = receive(transport, nbytes, deadline).decode("utf-8", "replace").split()
    if not words or not words[0].startswith(_CLIENT):
        message = "what connected is no TVM client: it does not say what it is"
        raise HandshakeError(message)
    return Hello(words[0].removeprefix(_CLIENT), session_timeout(words[1:]))


def _read_number(transport: Transport, deadline: Deadline, legal: range) -> int:
    """Receive a number and look at it at once: who speaks something else is waited for no longer."""
    (number,) = I32.unpack(receive(transport, 4, deadline))
    if number not in legal:
        message = "what connected is no TVM client"
        raise HandshakeError(message)
    return int(number)


def welcome(transport: Transport, key: str) -> None:
    """Let the client in; `key` is what the server calls itself."""
    own = f"server:{key}".encode()
    transport.send([I32.pack(MAGIC) + I32.pack(len(own)) + own])


def refuse(transport: Transport) -> None:
    """Tell the client that there is nothing for its key here."""
    transport.send([I32.pack(NO_MATCH)])


def session_timeout(options: list[str]) -> float | None:
    """Return the seconds of ``-timeout=…``, the one option there is; others are ignored.

    Raises
    ------
    HandshakeError
        They are no number.
    """
    given = [option.removeprefix(_TIMEOUT) for option in options if option.startswith(_TIMEOUT)]
    if not given:
        return None
    try:
        seconds = float(given[-1])
    except ValueError:
        seconds = math.nan
    if math.isnan(seconds):
        message = f"a TVM client wants a session of {given[-1][:80]!r} seconds"
        raise HandshakeError(message)
    return min(max(0.0, seconds), TIMEOUT_MAX)


def receive(transport: Transport, nbytes: int, deadline: Deadline) -> bytes:
    """Receive exactly so many bytes.

    Raises
    ------
    TransportTimeout, ConnectionClosed
        They did not come.
    """
    data = bytearray()
    while len(data) < nbytes:
        if not transport.wait_readable(deadline.remaining()):
            message = "a TVM client did not say what it wants"
            raise TransportTimeout(message)
        piece = memoryview(bytearray(nbytes - len(data)))
        count = transport.receive_into(piece)
        if not count:
            message = "a TVM client left during the greeting"
            raise ConnectionClosed(message)
        data += piece[:count]
    return bytes(data)
