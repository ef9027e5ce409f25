"""Sessions on machines that are reached by ssh."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rpcnb.endpoint.client.connect import Target, open_socket
from rpcnb.transport.address import parse_address
from rpcnb.transport.ssh import tunnel_to

if TYPE_CHECKING:
    from rpcnb.session.base import RPCSession


def open_ssh(target: Target, token: str | None, timeout: float | None, name: str) -> RPCSession:
    """Open a session; the secret comes from over there, through ssh, unless one is given.

    Raises
    ------
    ConnectError, TransportTimeout
        There is no way, or no server.
    """
    tunnel = tunnel_to(parse_address(target.transport_url), timeout)
    return open_socket(target, token or tunnel.answer.token, timeout, name)
