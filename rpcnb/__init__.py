"""A remote machine inside a notebook: its functions, its arrays, and what happens in between.

The names below are the public ones.  Each is imported when it is first used, because a package's
``__init__`` runs for every module below it: `import rpcnb` costs milliseconds, and a part such as
`rpcnb.wire` loads alone.  The block for type checkers and the table say the same thing twice;
``tests/test_exports.py`` compares them.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from rpcnb.core.importing import uncollected
from rpcnb.core.version import VERSION

if TYPE_CHECKING:
    from rpcnb.array.policy import (
        implicit_transfers as implicit_transfers,
        set_implicit_transfers as set_implicit_transfers,
    )
    from rpcnb.array.scipy_fft import fft_backend as fft_backend
    from rpcnb.array.synchrony import set_sync_mode as set_sync_mode, sync_mode as sync_mode
    from rpcnb.core.cancelled import RemoteCancelled as RemoteCancelled
    from rpcnb.core.device import Device as Device
    from rpcnb.core.errors import (
        AddressError as AddressError,
        ArrayMismatch as ArrayMismatch,
        AuthenticationError as AuthenticationError,
        CodecError as CodecError,
        ConnectError as ConnectError,
        ConnectionClosed as ConnectionClosed,
        DeadlineExceeded as DeadlineExceeded,
        DecodeError as DecodeError,
        DeviceError as DeviceError,
        EncodeError as EncodeError,
        FunctionNotFound as FunctionNotFound,
        HandshakeError as HandshakeError,
        ImplicitTransferError as ImplicitTransferError,
        IntegrityError as IntegrityError,
        InvalidHandle as InvalidHandle,
        LeakedHandleWarning as LeakedHandleWarning,
        LimitExceeded as LimitExceeded,
        LocalProtocolError as LocalProtocolError,
        OutcomeUnknown as OutcomeUnknown,
        PermissionDenied as PermissionDenied,
        ProtocolError as ProtocolError,
        QuotaExceeded as QuotaExceeded,
        RemoteError as RemoteError,
        RemoteInterrupted as RemoteInterrupted,
        RemoteProtocolError as RemoteProtocolError,
        RemoteWarning as RemoteWarning,
        RpcnbError as RpcnbError,
        RpcnbWarning as RpcnbWarning,
        SessionClosed as SessionClosed,
        SessionError as SessionError,
        SessionTaken as SessionTaken,
        TransportError as TransportError,
        TransportTimeout as TransportTimeout,
        WorkerDied as WorkerDied,
    )
    from rpcnb.endpoint.serving.server import Server as Server
    from rpcnb.manager import (
        connect as connect,
        local as local,
        manager as manager,
    )
    from rpcnb.notebook.extension import (
        load_ipython_extension as load_ipython_extension,
        unload_ipython_extension as unload_ipython_extension,
    )
    from rpcnb.remote.array import RemoteArray as RemoteArray
    from rpcnb.remote.client import Remote as Remote
    from rpcnb.remote.device import RemoteDevice as RemoteDevice
    from rpcnb.remote.function import RemoteFunction as RemoteFunction
    from rpcnb.remote.future import RemoteFuture as RemoteFuture
    from rpcnb.remote.module import RemoteModule as RemoteModule
    from rpcnb.remote.object import RemoteObject as RemoteObject
    from rpcnb.session.base import RPCSession as RPCSession
    from rpcnb.session.calls import (
        report_progress as report_progress,
        track as track,
    )
    from rpcnb.session.functions import register as register
    from rpcnb.session.local import LocalSession as LocalSession

__version__ = VERSION

_PUBLIC = {
    "rpcnb.array.policy": "implicit_transfers set_implicit_transfers",
    "rpcnb.array.scipy_fft": "fft_backend",
    "rpcnb.array.synchrony": "set_sync_mode sync_mode",
    "rpcnb.core.cancelled": "RemoteCancelled",
    "rpcnb.core.device": "Device",
    "rpcnb.core.errors": """
        AddressError ArrayMismatch AuthenticationError CodecError ConnectError ConnectionClosed
        DeadlineExceeded DecodeError DeviceError EncodeError FunctionNotFound HandshakeError
        ImplicitTransferError IntegrityError InvalidHandle LeakedHandleWarning LimitExceeded LocalProtocolError
        OutcomeUnknown PermissionDenied ProtocolError QuotaExceeded RemoteError
        RemoteInterrupted RemoteProtocolError RemoteWarning RpcnbError RpcnbWarning
        SessionClosed SessionError SessionTaken TransportError TransportTimeout WorkerDied
    """,
    "rpcnb.endpoint.serving.server": "Server",
    "rpcnb.manager": "connect local manager",
    "rpcnb.notebook.extension": "load_ipython_extension unload_ipython_extension",
    "rpcnb.remote.array": "RemoteArray",
    "rpcnb.remote.client": "Remote",
    "rpcnb.remote.device": "RemoteDevice",
    "rpcnb.remote.function": "RemoteFunction",
    "rpcnb.remote.future": "RemoteFuture",
    "rpcnb.remote.module": "RemoteModule",
    "rpcnb.remote.object": "RemoteObject",
    "rpcnb.session.base": "RPCSession",
    "rpcnb.session.calls": "report_progress track",
    "rpcnb.session.functions": "register",
    "rpcnb.session.local": "LocalSession",
}
"""Module -> the public names it defines."""

_HOME = {name: module for module, names in _PUBLIC.items() for name in names.split()}

_MODULES = frozenset({"tvm"})
"""Modules for people, found without an import of their own."""

__all__ = sorted(_HOME)  # noqa: PLE0605 - a plain list of strings, computed from the table


class _Package(ModuleType):
    """A package which never lets a submodule hide a public name.

    The import system binds every submodule to its package; `rpcnb.manager` is such a module, and
    to users the `SessionManager` in it.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> object:
    """Import a public name from the module that defines it, once."""
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with uncollected():
        module = import_module(_HOME[name])
    value = globals()[name] = getattr(module, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME, *_MODULES})
