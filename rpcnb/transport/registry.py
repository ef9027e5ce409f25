"""Which scheme is made by which backend: one table, plus the entry points of other packages.

Backends are named as text, so that a process only loads the transports it uses.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from rpcnb.core.errors import AddressError
from rpcnb.transport.address import Address, parse_address

if TYPE_CHECKING:
    from rpcnb.transport.base import Backend, Listener, Transport

ENTRY_POINT_GROUP = "rpcnb.transports"
"""Entry points of other packages: name is the scheme, value is ``module:Class``."""

_backends: dict[str, str] = {
    "tcp": "rpcnb.transport.tcp:TcpBackend",
    "ssh": "rpcnb.transport.ssh:SshBackend",
    "tls": "rpcnb.transport.tls:TlsBackend",
    "unix": "rpcnb.transport.unix:UnixBackend",
    "memory": "rpcnb.transport.memory:MemoryBackend",
}


def register_transport(scheme: str, backend: str) -> None:
    """Add a transport, or replace one.

    Parameters
    ----------
    scheme : str
        What stands before ``://``.
    backend : str
        ``"module:Class"``, imported at first use; the class is a `Backend` made without arguments.
    """
    _backends[scheme] = backend


def connect(url: str | Address, timeout: float | None = None) -> Transport:
    """Connect to the listener at `url`.

    Raises
    ------
    AddressError, ConnectError, TransportTimeout
        See `Backend.connect`; also for a scheme that nobody knows.
    """
    address = parse_address(url) if isinstance(url, str) else url
    return find_backend(address.scheme).connect(address, timeout)


def listen(url: str | Address) -> Listener:
    """Listen at `url`.

    Raises
    ------
    AddressError, ConnectError, PermissionDenied
        See `Backend.listen`; also for a scheme that nobody knows.
    """
    address = parse_address(url) if isinstance(url, str) else url
    return find_backend(address.scheme).listen(address)


def find_backend(scheme: str) -> Backend:
    """Return a backend for `scheme`.

    Raises
    ------
    AddressError
        No such scheme; the message names the known ones.
    """
    target = _backends.get(scheme)
    if target is None:
        installed = _installed_backends()
        if scheme not in installed:
            known = ", ".join(sorted({*_backends, *installed}))
            message = f"no transport for {scheme}://; known schemes are {known}"
            raise AddressError(message)
        target = _backends[scheme] = installed[scheme]
    module, _, name = target.partition(":")
    backend: Backend = getattr(import_module(module), name)()
    return backend


def _installed_backends() -> dict[str, str]:
    # Reading the installed packages takes milliseconds: only for schemes the table lacks.
    from importlib.metadata import entry_points

    return {point.name: point.value for point in entry_points(group=ENTRY_POINT_GROUP)}
