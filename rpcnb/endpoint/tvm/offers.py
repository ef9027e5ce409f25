"""What a TVM client finds by TVM's own names, done with what every rpcnb session has.

Files, modules, timing, the list of functions, and the sessions that a client may ask for instead of
the server's own. A function of the same name that the session itself has goes first.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import pack
from typing import TYPE_CHECKING, Any, TypeAlias

from rpcnb.core.errors import EncodeError, FunctionNotFound
from rpcnb.core.values import FunctionRef, ModuleRef
from rpcnb.endpoint.tvm.connect import TVMAddress, connect_tvm
from rpcnb.endpoint.tvm.table import Entry, Offer, SystemLibrary

if TYPE_CHECKING:
    from rpcnb.core.values import Value
    from rpcnb.session.base import RPCSession

PIECE = 1 << 20
"""Bytes of a file read at a time."""

Run: TypeAlias = Callable[..., "Value | Entry"]


def find(session: RPCSession, name: str) -> Offer | None:
    """Return the function of one of TVM's names, or None."""
    function = _OFFERS.get(name)
    return None if function is None else Offer(lambda *args: function(session, *args))


def run(session: RPCSession, name: str, *args: Value) -> Value:
    """Call one of the functions that every rpcnb session has."""
    function = session.get_function(name)
    if function is None:
        raise FunctionNotFound(name)
    try:
        return session.call_func(function, args)
    finally:
        session.free_handle(function.handle, function.type_code)


# --- files ---------------------------------------------------------------------------------------


def write_file(session: RPCSession, name: str, data: bytes) -> None:
    """Write a whole file of the session's work folder."""
    run(session, "rpcnb.upload", name, 0, data, True)


def read_file(session: RPCSession, name: str) -> bytes:
    """Read a whole file of the session's work folder."""
    data = bytearray()
    while piece := run(session, "rpcnb.download", name, len(data), PIECE):
        data += piece
    return bytes(data)


def list_folder(session: RPCSession, path: str) -> str:
    """Return the names in a folder with commas between, as TVM's C++ server does."""
    return ",".join(entry[0] for entry in run(session, "rpcnb.listdir", path))


def remove_file(session: RPCSession, name: str) -> None:
    """Remove a file of the session's work folder."""
    run(session, "rpcnb.remove", name)


# --- modules and functions -----------------------------------------------------------------------


def load_module(session: RPCSession, name: str) -> Value:
    """Load a module that the server allows: its Python modules are what it has to load."""
    return run(session, "rpcnb.load_module", name)


def system_library(_session: RPCSession, *_prefix: str) -> SystemLibrary:
    """Return the module of all the server's functions."""
    return SystemLibrary()


def module_function(session: RPCSession, module: Entry, name: str, *_imports_too: object) -> Value:
    """Look a function up in a module; None where it has none of that name."""
    if isinstance(module, SystemLibrary):
        return session.get_function(name)
    if not isinstance(module, ModuleRef):
        raise EncodeError(f"{type(module).__name__} is no module")
    try:
        return run(session, "rpcnb.module_function", module, name)
    except AttributeError:  # one of over there is both that and a RemoteError
        return None


def import_module(_session: RPCSession, *_: object) -> None:
    """Refuse to link modules with each other: these are Python's, which import what they need."""
    raise EncodeError("modules of an rpcnb server are Python's and are not linked with each other")


def time_evaluator(  # noqa: PLR0917 -- as TVM calls it
    session: RPCSession,
    module: Entry | None,
    name: str,
    _device_type: int,
    _device_id: int,
    number: int,
    repeat: int,
    min_repeat_ms: float = 0,
    *_: object,
) -> Offer:
    """Return a function that measures another: seconds a call, as the bytes of ``float64``."""
    function = module_function(session, SystemLibrary() if module is None else module, name)
    if not isinstance(function, FunctionRef):
        raise FunctionNotFound(name)
    try:
        arguments = (function, number, repeat, float(min_repeat_ms))
        measure = run(session, "rpcnb.time_evaluator", *arguments)
    finally:
        session.free_handle(function.handle, function.type_code)

    def evaluate(*args: Value) -> bytes:
        seconds = session.call_func(measure, args)
        return pack(f"<{len(seconds)}d", *seconds)

    return Offer(evaluate, (measure,))


def list_functions(session: RPCSession) -> Offer:
    """Return TVM's function of names: the n-th one, or how many there are for -1."""
    names = [entry["name"] for entry in run(session, "rpcnb.functions")]
    return Offer(lambda number: len(names) if number < 0 else names[number])


_OFFERS: dict[str, Run] = {
    "ffi.FunctionListGlobalNamesFunctor": list_functions,
    "ffi.SystemLib": system_library,
    "runtime.RPCTimeEvaluator": time_evaluator,
    "tvm.rpc.server.ImportModule": import_module,
    "tvm.rpc.server.ModuleGetFunction": module_function,
    "tvm.rpc.server.download": read_file,
    "tvm.rpc.server.listdir": list_folder,
    "tvm.rpc.server.load_module": load_module,
    "tvm.rpc.server.remove": remove_file,
    "tvm.rpc.server.upload": write_file,
}


# --- sessions ------------------------------------------------------------------------------------


def construct(open_own: Callable[[], RPCSession], name: str, *args: Any) -> RPCSession:
    """Open the session that a client asks for by the name of a function that makes it.

    Raises
    ------
    FunctionNotFound
        There is none of that name.
    EncodeError
        Its arguments are others.
    """
    if name == "rpc.LocalSession" and not args:
        return open_own()
    if name != "rpc.Connect":
        raise FunctionNotFound(name, ("rpc.Connect", "rpc.LocalSession"))
    match args:
        case (str(host), int(port), str(key), _, *further):
            return connect_tvm(TVMAddress(host, port, key, constructor=tuple(further)))
        case _:
            raise EncodeError("rpc.Connect takes a host, a port, a key, and whether to log")
