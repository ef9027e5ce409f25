"""Opening a session from a URL: one table of schemes."""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from dataclasses import field
from importlib import import_module
from typing import TYPE_CHECKING, Any

from rpcnb.core.deadline import Deadline
from rpcnb.core.errors import (
    AddressError,
    AuthenticationError,
    ConnectError,
    ConnectionClosed,
    OutcomeUnknown,
    PermissionDenied,
    RpcnbError,
    SessionError,
    SessionTaken,
    TransportError,
    WorkerDied,
)
from rpcnb.core.frozen import frozen
from rpcnb.core.visible import visible
from rpcnb.endpoint.client.socket_session import SocketSession
from rpcnb.endpoint.credentials import (
    find_server,
    find_token,
    fingerprint_in,
    read_connection_file,
    remember_token,
    secret_of,
)
from rpcnb.endpoint.greeting import KILL, claim, exchange
from rpcnb.endpoint.recovery import TAKEN
from rpcnb.transport import pipes, registry as transports
from rpcnb.wire.client_handshake import ClientHandshake
from rpcnb.wire.handshake import Agreement, Intent
from rpcnb.wire.messages import Side
from rpcnb.wire.resumable import ResumableV1

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rpcnb.session.base import RPCSession
    from rpcnb.transport.base import Transport

ENTRY_POINT_GROUP = "rpcnb.sessions"
AUTOPSY_TIMEOUT = 4.0
"""Seconds to ask a server how a session ended."""

KILL_TIMEOUT = 5.0
"""Seconds for a server to kill a session's process, and to say that it has ended."""
COME_BACK_TIMEOUT = 10.0
"""Seconds for each attempt to reach a session again."""

SCHEMES: dict[str, str] = {
    "local": "rpcnb.endpoint.client.connect:open_local",
    "rpcnb": "rpcnb.endpoint.client.connect:open_socket",
    "ssh": "rpcnb.endpoint.client.ssh:open_ssh",
    "tcp": "rpcnb.endpoint.client.connect:open_socket",
    "tls": "rpcnb.endpoint.client.connect:open_socket",
    "unix": "rpcnb.endpoint.client.connect:open_socket",
    "memory": "rpcnb.endpoint.client.connect:open_socket",
    "tvm": "rpcnb.endpoint.tvm.connect:open_tvm",
    "tvm+tracker": "rpcnb.endpoint.tvm.connect:open_tvm_tracker",
}
"""Scheme of a URL → ``module:function`` that opens a session; other packages add theirs by entry
points of the group `ENTRY_POINT_GROUP`."""

PLANNED = {
    "dask": "dask is not there yet",
}


@frozen
class Target:
    """What a user's URL says."""

    scheme: str
    transport_url: str = ""
    """Where the transport connects to."""
    session_name: str = ""
    token: str | None = field(default=None, repr=False)
    shortcut: str = ""
    """Where the same server may be reached faster; known from a connection file."""


def parse_url(text: str) -> Target:
    """Read what a user may write after ``%connect_remote``.

    ``host:port``, ``rpcnb://host:port/session-name``, ``ssh://user@host``, ``unix:///path.sock``,
    ``local:``, or the path of a connection file. A token may follow: ``rpcnb://host:port/#keyid.secret.fingerprint``.

    Raises
    ------
    AddressError
        None of these; the message shows one, and never the token.
    """
    text, _, token = text.strip().partition("#")
    if text.endswith(".json") and "://" not in text:
        info = read_connection_file(os.path.expanduser(text))  # noqa: PTH111 -- see there
        return Target("rpcnb", info.url, "", info.token, info.shortcut)
    if text in ("local", "local:"):
        return Target("local")
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "rpcnb", text
    if scheme in PLANNED:
        message = f"{scheme}:// cannot be opened: {PLANNED[scheme]}"
        raise AddressError(message)
    if scheme in {"unix", "memory", "ssh", "tls", "tvm", "tvm+tracker"}:  # read further down
        return Target(scheme, text, token=token or None)
    match = re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[^/:\s]+):(\d{1,5})(?:/([\w.-]{0,64}))?", rest)
    if match is None:
        message = (
            f"{text!r} is no address: write host:port (for example 127.0.0.1:9090), "
            "unix:///path/to.sock, local:, or the path of a connection file"
        )
        raise AddressError(message)
    if scheme not in SCHEMES:
        return Target(scheme, text)
    return Target(scheme, f"tcp://{match[1]}:{match[2]}", match[3] or "", token or None)


def without_secret(url: str) -> str:
    """Return a user's URL as it may be shown."""
    return url.partition("#")[0].rstrip("/") if "#" in url else url


def secured(url: str, token: str) -> str:
    """Return the transport's URL for an address: encrypted if the token names a certificate."""
    fingerprint = fingerprint_in(token)
    if fingerprint and url.startswith("tcp://"):
        return f"tls://{url.removeprefix('tcp://')}?fingerprint={fingerprint}"
    return url


def open_session(
    url: str, *, token: str | None = None, timeout: float | None = 10.0, name: str = ""
) -> RPCSession:
    """Open a session.

    Parameters
    ----------
    url : str
        See `parse_url`.
    token : str, optional
        The server's secret; found by itself for a server of this user on this machine.
    timeout : float [s], optional
        For connecting and the handshake.
    name : str
        What the session is to be called on the server.

    Raises
    ------
    AddressError, ConnectError, AuthenticationError, HandshakeError, TransportTimeout
    """
    target = parse_url(url)
    opener = _find_opener(target.scheme)
    return opener(target, token or target.token, timeout, name or target.session_name)


def _find_opener(scheme: str) -> Callable[[Target, str | None, float | None, str], RPCSession]:
    where = SCHEMES.get(scheme)
    if where is None:
        from importlib.metadata import entry_points

        found = {point.name: point.value for point in entry_points(group=ENTRY_POINT_GROUP)}
        where = found.get(scheme)
        if where is None:
            known = ", ".join(sorted({*SCHEMES, *found}))
            message = f"nothing opens {scheme}://; known schemes are {known}"
            raise AddressError(message)
    module, _, attribute = where.partition(":")
    opener: Callable[[Target, str | None, float | None, str], RPCSession]
    opener = getattr(import_module(module), attribute)
    return opener


def open_local(target: Target, token: str | None, timeout: float | None, name: str) -> RPCSession:
    """Open a session in this process."""
    del target, token, timeout
    from rpcnb.session.local import LocalSession

    return LocalSession(name=name or "local")


def open_socket(target: Target, token: str | None, timeout: float | None, name: str) -> RPCSession:
    """Open a session on a server."""
    url = target.transport_url
    shortcut = target.shortcut
    if target.scheme == "rpcnb" and not shortcut:  # ``tcp://`` means TCP
        known = find_server(url)
        if known is not None:
            token, shortcut = token or known.token, known.shortcut
    token = token or find_token(url)
    if token is None:
        transports.connect(url, timeout).close()  # that nobody listens would be the thing to say
        message = (
            f"no token for {url}: pass token=…, or give the path of the server's connection file; "
            "`rpcnb token` on the server's machine shows both"
        )
        raise AuthenticationError(message)
    secret, url = secret_of(token), secured(url, token)
    transport, agreement = _greet_by_shortcut(shortcut, secret, timeout, name) or greet(
        url, secret, timeout, Intent.NEW, name=name
    )
    protocol = ResumableV1(Side.CLIENT, epoch=agreement.epoch)
    ways = [shortcut, url] if transport.peer_address == shortcut else [url]
    return SocketSession(
        transport,
        protocol,
        agreement,
        url=url,
        keep_token=lambda: remember_token(url, token),
        autopsy=lambda reason: how_it_ended(url, secret, agreement, reason),
        reach=lambda: come_back(ways, secret, agreement),
        kill=lambda: kill_worker(ways, secret, agreement),
    )


def _greet_by_shortcut(
    shortcut: str, secret: bytes, timeout: float | None, name: str
) -> tuple[Transport, Agreement] | None:
    """Open a session at a server's Unix socket; None where that does not answer."""
    if not shortcut:
        return None
    try:
        return greet(shortcut, secret, timeout, Intent.NEW, name=name)
    except (ConnectError, AddressError):  # its address will do, or say what is wrong
        return None


def greet(
    url: str,
    secret: bytes,
    timeout: float | None,
    intent: Intent,
    *,
    name: str = "",
    session_id: bytes = bytes(16),
) -> tuple[Transport, Agreement]:
    """Connect and shake hands.

    Raises
    ------
    PermissionDenied
        What is said there could be read on the way.
    """
    deadline = Deadline.after(timeout)
    transport = transports.connect(url, timeout)
    try:
        _require_privacy(transport)
        handshake = ClientHandshake(
            secret,
            keyid=getattr(secret, "keyid", b""),
            caveats=getattr(secret, "caveats", ""),
            intent=intent,
            session_name=name,
            session_id=session_id,
            channel=transport.channel,
        )
        exchange(transport, handshake, "done", deadline, exactly=True)
        if handshake.result.text == pipes.OFFER:
            transport = pipes.propose(transport, deadline.remaining())
        return transport, handshake.result
    except AuthenticationError as error:
        transport.close()
        message = f"{url}: {error}; get the right token with `rpcnb token` on that machine"
        raise AuthenticationError(message) from error
    except BaseException:
        transport.close()
        raise


def _require_privacy(transport: Transport) -> None:
    if not transport.is_private:
        where = transport.peer_address.partition("://")[2]
        message = (
            f"will not talk to {where} without encryption; its address is what `rpcnb token` shows "
            "over there, with #… at the end; or come by ssh://"
        )
        raise PermissionDenied(message)


def come_back(ways: Sequence[str], secret: bytes, agreement: Agreement) -> tuple[Transport, int]:
    """Connect to a session again that has lost its connection: by the first way that there is.

    Returns
    -------
    transport : Transport
        Nothing was said on it.
    epoch : int
        Which connection of the session it is.

    Raises
    ------
    TransportError, HandshakeError
        Not now, perhaps later.
    WorkerDied, SessionTaken, OutcomeUnknown
        There is nothing to come back to.
    """
    url, *others = ways
    try:
        return _come_back(url, secret, agreement)
    except ConnectError:  # a server that was started again has another shortcut
        if not others:
            raise
    return come_back(others, secret, agreement)


def _come_back(url: str, secret: bytes, agreement: Agreement) -> tuple[Transport, int]:
    proof = claim(agreement.resume_key, agreement.session_id)
    transport, answer = greet(
        url, secret, COME_BACK_TIMEOUT, Intent.ATTACH, name=proof, session_id=agreement.session_id
    )
    if answer.epoch:
        return transport, answer.epoch
    transport.close()
    name = agreement.server_name or url
    raise what_became(json.loads(answer.text), name, "while it was away")


def how_it_ended(url: str, secret: bytes, agreement: Agreement, reason: Exception) -> Exception:
    """Ask the server how a session ended whose connection was lost."""
    name = agreement.server_name or url
    try:
        transport, answer = greet(
            url, secret, AUTOPSY_TIMEOUT, Intent.ASK, session_id=agreement.session_id
        )
        transport.close()
        ending = json.loads(answer.text)
    except (RpcnbError, TransportError, ValueError):
        return OutcomeUnknown(f"the connection to {name} was lost ({reason}); it does not answer")
    return what_became(ending, name, str(reason))


def kill_worker(ways: Sequence[str], secret: bytes, agreement: Agreement) -> Exception | None:
    """Have the server kill the process of a session; see `killing.Kill`.

    Raises
    ------
    SessionError
        There is no such process, it is another client's now, or it has not ended yet.
    RpcnbError
        The server could not be reached.
    """
    url, *others = ways
    proof = claim(agreement.resume_key, agreement.session_id, KILL)
    try:
        transport, answer = greet(
            url, secret, KILL_TIMEOUT, Intent.KILL, name=proof, session_id=agreement.session_id
        )
    except ConnectError:  # a server that was started again has another shortcut
        if not others:
            raise
        return kill_worker(others, secret, agreement)
    transport.close()
    fate, name = _read_fate(answer.text), agreement.server_name or url
    if "gateway" in fate:
        return None
    if "obstacle" in fate:
        message = f"{name}: {visible(fate['obstacle'], '')[:300]}"
        raise SessionError(message)
    if fate.get("code", 0) is None:
        message = f"the session's process on {name} was killed, and has not ended yet; ask again"
        raise SessionError(message)
    told = what_became(fate, name, "it was to be killed")
    if isinstance(told, SessionTaken):  # it is another client's
        raise told
    return told


def _read_fate(text: str) -> dict[str, Any]:
    """Read what a server says of a session, perhaps one of somebody who means us no good."""
    with suppress(ValueError):
        fate = json.loads(text)
        if isinstance(fate, dict):
            return fate
    message = "the server's answer cannot be understood"
    raise OutcomeUnknown(message)


def what_became(ending: dict[str, int], name: str, reason: str) -> Exception:
    """Turn what a server says about a session into an exception."""
    if ending.get("taken"):
        return SessionTaken(f"{TAKEN} on {name}; connect by its name to take it back")
    obstacle = ending.get("obstacle")
    if obstacle:
        said = visible(obstacle, "")[:200]
        return OutcomeUnknown(f"the connection to {name} was lost ({reason}), and for good: {said}")
    code = ending.get("code")
    if code is None or code == 0:
        known = "has ended" if code == 0 else "is known no more"
        return OutcomeUnknown(f"the connection to {name} was lost ({reason}); the session {known}")
    if code < 0 and ending.get("killed"):
        return WorkerDied(
            f"the session's process on {name} was killed, as its client asked for; with it went all "
            "that the session held: connect again",
            signal=-code,
        )
    if code < 0:
        return WorkerDied(
            f"the session's process on {name} was killed by {signal_name(-code)}; connect again",
            signal=-code,
        )
    return WorkerDied(
        f"the session's process on {name} ended with status {code}; connect again", exit_code=code
    )


def signal_name(number: int) -> str:
    """Return ``SIGSEGV (11)`` and the like."""
    import signal

    try:
        return f"{signal.Signals(number).name} ({number})"
    except ValueError:
        return f"signal {number}"


def ask_status(
    url: str, token: str, timeout: float = 5.0, *, command: str = ""
) -> dict[str, object]:
    """Ask a server for its status, without opening a session.

    With the token that administers it, after a command: ``rotate`` replaces the secret, and ``rotate
    all`` also ends the sessions that were opened with it.
    """
    url = secured(url, token)
    transport, agreement = greet(url, secret_of(token), timeout, Intent.CONTROL, name=command)
    transport.close()
    status = json.loads(agreement.text)
    if not isinstance(status, dict):
        message = f"{url} gave no status"
        raise ConnectionClosed(message)
    return status
