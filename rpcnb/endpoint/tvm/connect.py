"""Opening TVM sessions: ``tvm://host:port?key=K&timeout=S`` and ``tvm+tracker://…``."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from rpcnb.core.deadline import Deadline
from rpcnb.core.errors import AddressError, HandshakeError, TransportTimeout
from rpcnb.core.frozen import frozen
from rpcnb.endpoint.tvm.session import TVMSession
from rpcnb.endpoint.tvm.tracker import Tracker
from rpcnb.transport import registry as transports
from rpcnb.wire.tvm.greeting import Greeting

if TYPE_CHECKING:
    from rpcnb.endpoint.client.connect import Target
    from rpcnb.session.base import RPCSession
    from rpcnb.transport.base import Transport
    from rpcnb.wire.tvm.values import TVMValue

EXAMPLE = "tvm://192.168.1.20:9090?key=rasp4"


@frozen
class TVMAddress:
    """What a ``tvm://`` URL says."""

    host: str
    port: int
    key: str = ""
    timeout: float | None = None
    """Seconds after which the server ends the session, whatever it does."""
    priority: int = 1
    """At a tracker: higher ones are served first."""
    constructor: tuple[TVMValue, ...] = ()
    """See `TVMSession`."""


def parse_tvm_url(url: str) -> TVMAddress:
    """Read a URL.

    Raises
    ------
    AddressError
        It cannot be read, or has a parameter that TVM does not.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        given = {name: values[-1] for name, values in parse_qs(parts.query, True).items()}
        timeout = given.pop("timeout", None)
        constructor = json.loads(given.pop("constructor", "[]"))
        address = TVMAddress(
            host or "", port or 0, given.pop("key", ""),
            None if timeout is None else float(timeout),
            int(given.pop("priority", "1")), tuple(constructor),
        )  # fmt: skip
    except (ValueError, TypeError) as error:
        message = f"{url!r} cannot be read ({error}); write {EXAMPLE}"
        raise AddressError(message) from None
    if given or not address.host or not address.port or parts.path not in {"", "/"}:
        unknown = f" (unknown: {', '.join(given)})" if given else ""
        message = f"{url!r} is no address of a TVM server{unknown}; write {EXAMPLE}"
        raise AddressError(message)
    return address


def open_tvm(target: Target, token: str | None, timeout: float | None, name: str) -> RPCSession:
    """Open a session on a TVM server."""
    del token, name  # TVM knows neither
    return connect_tvm(parse_tvm_url(target.transport_url), timeout)


def open_tvm_tracker(
    target: Target, token: str | None, timeout: float | None, name: str
) -> RPCSession:
    """Ask a tracker for a free server, and open a session on it."""
    del token, name
    address = parse_tvm_url(target.transport_url)
    deadline = Deadline.after(timeout)
    with Tracker(address.host, address.port, timeout=timeout) as tracker:
        host, port, key = tracker.request(address.key, address.priority, timeout)
    return connect_tvm(replace(address, host=host, port=port, key=key), deadline.remaining())


def connect_tvm(address: TVMAddress, timeout: float | None = 10.0) -> TVMSession:
    """Connect to a TVM server.

    Raises
    ------
    ConnectError, TransportTimeout
        Nobody answers.
    HandshakeError
        Not a TVM server, or another key.
    """
    host = f"[{address.host}]" if ":" in address.host else address.host
    deadline = Deadline.after(timeout)
    transport = transports.connect(f"tcp://{host}:{address.port}", timeout)
    try:
        greeting = greet(transport, Greeting(address.key, address.timeout), deadline)
        name = (greeting.server_key or "").removeprefix("server:") or f"{host}:{address.port}"
        url = f"tvm://{host}:{address.port}?key={address.key}"
        return TVMSession(transport, name=name, url=url, constructor=address.constructor)
    except BaseException:
        transport.close()
        raise


def greet(transport: Transport, greeting: Greeting, deadline: Deadline) -> Greeting:
    """Exchange the first bytes."""
    transport.send([greeting.sends])
    while greeting.missing:
        if not transport.wait_readable(deadline.remaining()):
            message = (
                f"{transport.peer_address} accepted the connection and says nothing: a TVM server "
                "serves one client at a time, and another may have it"
            )
            raise TransportTimeout(message)
        buffer = memoryview(bytearray(greeting.missing))
        nbytes = transport.receive_into(buffer)
        if not nbytes:
            message = f"{transport.peer_address} closed the connection during the greeting"
            raise HandshakeError(message)
        greeting.receive(bytes(buffer[:nbytes]))
    return greeting
