"""Public test suites: subclass one to show that an implementation keeps its interface's contract.

Beside them `FaultProxy`, a way between two ends on which things go wrong as a test says, and
`BadLink`, a whole network that does.

Rules for this folder: nothing of the package imports it; it needs the ``test`` extra (pytest,
hypothesis).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rpcnb.testing.bad_link import BadLink, Quality
    from rpcnb.testing.fault_proxy import Fault, FaultProxy, random_cuts
    from rpcnb.testing.session_suite import SessionSuite
    from rpcnb.testing.transport_suite import TransportSuite
    from rpcnb.testing.wire_suite import WireSuite

__all__ = [
    "BadLink",
    "Fault",
    "FaultProxy",
    "Quality",
    "SessionSuite",
    "TransportSuite",
    "WireSuite",
    "random_cuts",
]

_MODULES = {
    "BadLink": "rpcnb.testing.bad_link",
    "Fault": "rpcnb.testing.fault_proxy",
    "FaultProxy": "rpcnb.testing.fault_proxy",
    "Quality": "rpcnb.testing.bad_link",
    "SessionSuite": "rpcnb.testing.session_suite",
    "TransportSuite": "rpcnb.testing.transport_suite",
    "WireSuite": "rpcnb.testing.wire_suite",
    "random_cuts": "rpcnb.testing.fault_proxy",
}


def __getattr__(name: str) -> object:
    # Lazy: who tests a transport need not be able to import what sessions need.
    if name not in _MODULES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(_MODULES[name]), name)
