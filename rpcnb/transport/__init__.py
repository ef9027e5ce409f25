"""Bytes to and from the world, by URL: TCP, Unix sockets, and memory within one process.

Rules for this folder: nothing here knows about messages; blocking calls on threads, no event loop;
every `OSError` becomes one of ours at this edge, with the cause chained.
"""

from __future__ import annotations

from rpcnb.transport.address import Address, parse_address
from rpcnb.transport.base import Backend, Credentials, Listener, Transport
from rpcnb.transport.registry import connect, listen, register_transport

__all__ = [
    "Address",
    "Backend",
    "Credentials",
    "Listener",
    "Transport",
    "connect",
    "listen",
    "parse_address",
    "register_transport",
]
