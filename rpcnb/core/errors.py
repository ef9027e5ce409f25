"""Every exception rpcnb raises, as one tree.

::

    RpcnbError
    ├── TransportError                (also OSError)
    │   ├── ConnectError              .address; the cause is chained
    │   ├── ConnectionClosed          .reason
    │   └── TransportTimeout          (also TimeoutError)
    ├── ProtocolError
    │   ├── LocalProtocolError        we tried something this state forbids
    │   └── RemoteProtocolError       the peer's bytes are wrong
    │       ├── LimitExceeded         .what .size .limit
    │       └── HandshakeError        magic, version, refused by the peer
    │           └── AuthenticationError   a proof of the secret did not hold
    ├── CodecError
    │   ├── EncodeError               (also TypeError) a value cannot cross
    │   └── DecodeError               (also ValueError)
    ├── AddressError                  (also ValueError) a URL nobody can read
    ├── SessionError
    │   ├── SessionClosed
    │   ├── SessionTaken
    │   ├── WorkerDied                .signal .exit_code
    │   ├── FunctionNotFound          (also LookupError) .name .near
    │   ├── InvalidHandle             (also LookupError) .handle .reason
    │   ├── QuotaExceeded
    │   ├── ArrayMismatch             (also ValueError) shapes, dtypes, sizes
    │   ├── IntegrityError            bytes did not arrive as they were sent
    │   ├── ImplicitTransferError     (also TypeError) data would have moved unasked
    │   ├── DeviceError               .device
    │   └── PermissionDenied          (also PermissionError) the server does not allow it
    ├── RemoteError                   .type_name .message .remote_traceback .hops
    │   └── RemoteValueError, …       (also ValueError, …) see `remote_error_class`
    ├── RemoteCancelled               (also concurrent.futures.CancelledError) in `rpcnb.core.cancelled`
    ├── DeadlineExceeded              (also TimeoutError)
    └── OutcomeUnknown                the connection went before the outcome was known
    RemoteInterrupted                 (a KeyboardInterrupt) the stop button, confirmed over there
    RpcnbWarning
    ├── LeakedHandleWarning           (also ResourceWarning)
    └── RemoteWarning                 a warning of a category that does not exist here

Rules for this file: a class says when it is raised; second bases keep old ``except`` clauses
working. Nothing below ``remote/`` retries or swallows, except finalizers.
"""

from __future__ import annotations

from dataclasses import field, replace
from functools import cache

from rpcnb.core.frozen import frozen
from rpcnb.core.visible import coloured, visible


class RpcnbError(Exception):
    """Base of everything rpcnb raises, save `RemoteInterrupted`."""


# --- transport -------------------------------------------------------------------------------


class TransportError(RpcnbError, OSError):
    """Bytes could not be moved."""

    # OSError.__str__ looks for errno; ours always carry a sentence.
    def __str__(self) -> str:
        return str(self.args[0]) if self.args else type(self).__name__


class ConnectError(TransportError):
    """Nobody could be reached at the address."""


class ConnectionClosed(TransportError):
    """The connection ended: by us, by the peer, or by the network."""


class TransportTimeout(TransportError, TimeoutError):
    """The deadline passed before the bytes had moved."""


# --- protocol --------------------------------------------------------------------------------


class ProtocolError(RpcnbError):
    """The rules of the wire protocol were broken."""


class LocalProtocolError(ProtocolError):
    """This side tried to send something the current state forbids."""


class RemoteProtocolError(ProtocolError):
    """The peer sent bytes that have no meaning in the current state."""


class LimitExceeded(RemoteProtocolError):
    """The peer announced more than the agreed limit.

    Parameters
    ----------
    what : str
        The limit's name, for example ``"frame header"``.
    size, limit : int
        What was announced, and what is allowed; same unit.
    """

    def __init__(self, what: str, size: int, limit: int) -> None:
        super().__init__(f"{what} of {size:,} exceeds the limit of {limit:,}")
        self.what = what
        self.size = size
        self.limit = limit


class HandshakeError(RemoteProtocolError):
    """The two ends could not agree to talk: wrong magic, version, or refused."""


class AuthenticationError(HandshakeError):
    """One side could not prove that it knows the secret."""


# --- codec and addresses ---------------------------------------------------------------------


class CodecError(RpcnbError):
    """A value and its bytes do not correspond."""


class EncodeError(CodecError, TypeError):
    """This value is not one of those that may cross a session."""


class DecodeError(CodecError, ValueError):
    """These bytes are not a value."""


class AddressError(RpcnbError, ValueError):
    """A URL or address cannot be read; the message shows a correct one."""


# --- sessions --------------------------------------------------------------------------------


class SessionError(RpcnbError):
    """A session could not do what was asked."""


class SessionClosed(SessionError):
    """The session was closed; connect again."""


class SessionTaken(SessionError):
    """Another client took this session up; this one has no part in it any more."""


class WorkerDied(SessionError):
    """The process that ran this session ended without being asked to.

    Parameters
    ----------
    message : str
        One sentence with the reason.
    signal : int or None
        Number of the signal that killed it.
    exit_code : int or None
        Exit status, when it exited by itself.
    """

    def __init__(
        self, message: str, *, signal: int | None = None, exit_code: int | None = None
    ) -> None:
        super().__init__(message)
        self.signal = signal
        self.exit_code = exit_code


class FunctionNotFound(SessionError, LookupError):
    """The session has no function of that name.

    Parameters
    ----------
    name : str
        What was asked for.
    near : sequence of str
        Names that look like it.
    """

    def __init__(self, name: str, near: tuple[str, ...] = ()) -> None:
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        super().__init__(f"no remote function {name!r}{hint}")
        self.name = name
        self.near = near


class QuotaExceeded(SessionError):
    """The session has all that it may have of something; the message says of what."""


class InvalidHandle(SessionError, LookupError):
    """A handle is unknown here, was freed, or names another kind of object."""

    def __init__(self, message: str, *, handle: int = 0, reason: str = "unknown") -> None:
        super().__init__(message)
        self.handle = handle
        self.reason = reason


class ArrayMismatch(SessionError, ValueError):
    """Shapes, dtypes or sizes do not fit together."""


class IntegrityError(SessionError):
    """Bytes that were copied twice are not the same at both ends; perhaps somebody writes there."""


class ImplicitTransferError(SessionError, TypeError):
    """An operation would have moved array data that nobody asked to move."""


class DeviceError(SessionError):
    """A device does not exist there, or cannot do this."""


class PermissionDenied(SessionError, PermissionError):
    """The server does not allow this."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else type(self).__name__


# --- how a call can end, other than with a result ----------------------------------------------


class DeadlineExceeded(RpcnbError, TimeoutError):
    """The call's deadline passed; the server stopped it."""


class OutcomeUnknown(RpcnbError):
    """The connection was lost while the call was out; it may or may not have run."""


class RemoteInterrupted(KeyboardInterrupt):
    """A blocking call was interrupted here, and stopped over there.

    A `KeyboardInterrupt`, so that ``except Exception`` in a loop does not swallow a stop.

    Attributes
    ----------
    confirmed : bool
        The server said that the call is no longer running.
    """

    def __init__(self, message: str = "", *, confirmed: bool = False) -> None:
        super().__init__(message)
        self.confirmed = confirmed


@frozen
class ErrorInfo:
    """A remote exception as data: what may cross a session about an error."""

    type_name: str
    """Qualified class name over there, builtins without a prefix."""
    message: str
    known: str = ""
    """First class of its method resolution order that both sides know, or empty."""
    args: tuple[object, ...] = ()
    """The exception's ``args``, as far as they are plain scalars."""
    traceback: str = ""
    """Formatted over there, in full."""
    hops: tuple[str, ...] = field(default=())
    """Names of the sessions it crossed, innermost first."""


class RemoteError(RpcnbError):
    """Remote code raised.

    Well-known builtin classes arrive as a subclass that is also that builtin, so that
    ``except ValueError`` and ``except RemoteError`` both catch a remote `ValueError`.

    Attributes
    ----------
    type_name : str
        Qualified name of the class over there.
    message : str
        ``str()`` of the exception over there.
    remote_traceback : str
        Formatted over there.
    hops : tuple of str
        Names of the sessions it crossed, innermost first.
    """

    def __init__(self, info: ErrorInfo) -> None:
        super().__init__(*(info.args or (info.message,)))
        self.info = info
        self.type_name = info.type_name
        self.message = info.message
        self.remote_traceback = info.traceback
        self.hops = info.hops

    def __str__(self) -> str:
        own = type(self).__name__.removeprefix("Remote")
        text = self.message if self.type_name == own else f"{self.type_name}: {self.message}"
        through = f"\n\nthrough {' → '.join(self.hops)}" if len(self.hops) > 1 else ""
        where = f"\n\nRemote traceback:\n{self.remote_traceback}" if self.remote_traceback else ""
        return f"{text}{through}{where}".rstrip()


REBUILT: tuple[type[Exception], ...] = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BufferError,
    EOFError,
    Exception,
    FileExistsError,
    FileNotFoundError,
    FloatingPointError,
    ImportError,
    IndexError,
    IsADirectoryError,
    KeyError,
    LookupError,
    MemoryError,
    ModuleNotFoundError,
    NameError,
    NotADirectoryError,
    NotImplementedError,
    OSError,
    OverflowError,
    PermissionError,
    RecursionError,
    ReferenceError,
    RuntimeError,
    TimeoutError,
    TypeError,
    UnicodeError,
    ValueError,
    ZeroDivisionError,
)
"""Builtin classes that are rebuilt. `SystemExit` and its like never are: a server must not end
the client's process."""

_REBUILT_BY_NAME = {cls.__name__: cls for cls in REBUILT}

OURS_BY_NAME: dict[str, type[RpcnbError]] = {
    cls.__name__: cls
    for cls in (
        ArrayMismatch,
        DeviceError,
        EncodeError,
        ImplicitTransferError,
        InvalidHandle,
        PermissionDenied,
        QuotaExceeded,
        SessionClosed,
        SessionError,
        WorkerDied,
    )
}
"""Our own classes with a message-only constructor, which cross a session as themselves."""


@cache
def remote_error_class(known: str) -> type[RemoteError]:
    """Return the subclass of `RemoteError` that is also the builtin `known`.

    Parameters
    ----------
    known : str
        Name of a builtin exception class; an unlisted one gives `RemoteError` itself.
    """
    builtin = _REBUILT_BY_NAME.get(known)
    if builtin is None or builtin is Exception:
        return RemoteError
    doc = f"Remote code raised a `{known}`."
    return type(f"Remote{known}", (RemoteError, builtin), {"__doc__": doc, "__module__": __name__})


def describe_exception(error: BaseException, traceback: str) -> ErrorInfo:
    """Turn an exception into data.

    Parameters
    ----------
    error : BaseException
        Never kept.
    traceback : str
        Its formatted traceback; bounded by the caller.
    """
    if isinstance(error, RemoteError):  # raised one hop further: pass on what arrived
        return error.info
    cls = type(error)
    prefix = "" if cls.__module__ == "builtins" else f"{cls.__module__}."
    names = OURS_BY_NAME if cls.__name__ in OURS_BY_NAME else _REBUILT_BY_NAME
    known = next((base.__name__ for base in cls.__mro__ if base.__name__ in names), "")
    plain = all(type(arg) in (str, int, float, bool, type(None)) for arg in error.args)
    # str() of a foreign exception is foreign code: it may raise, and must not hide the error.
    try:
        message = str(error)
    except Exception as second:  # noqa: BLE001 -- see above
        message = f"<str() of this {cls.__name__} raised {type(second).__name__}>"
    args = tuple(error.args) if plain else ()
    if isinstance(error, FunctionNotFound):
        args, known = (error.name, *error.near), "FunctionNotFound"
    return ErrorInfo(f"{prefix}{cls.__qualname__}", message, known, args, traceback)


def rebuild_exception(info: ErrorInfo) -> RpcnbError:
    """Make the exception to raise on this side from what arrived.

    Only classes from the two tables of this file are ever made; a name from the peer is never
    looked up anywhere else. Nothing in its text acts on a terminal.
    """
    info = _made_visible(info)
    if info.known == "FunctionNotFound":
        name, *near = map(str, info.args or (info.message,))
        return FunctionNotFound(name, tuple(near))
    if info.type_name.startswith("rpcnb.") and info.known in OURS_BY_NAME:
        error = OURS_BY_NAME[info.known](info.message)
        if info.traceback:
            error.add_note(f"Remote traceback:\n{info.traceback}")
        return error
    error = remote_error_class(info.known)(info)
    if isinstance(error, OSError) and len(info.args) > 1 and isinstance(info.args[0], int):
        error.errno = info.args[0]
    return error


def _made_visible(info: ErrorInfo) -> ErrorInfo:
    return replace(
        info,
        type_name=visible(info.type_name, ""),
        message=coloured(info.message),
        traceback=coloured(info.traceback),
        hops=tuple(visible(hop, "") for hop in info.hops),
    )


# --- warnings ----------------------------------------------------------------------------------


class RpcnbWarning(UserWarning):
    """Base of the warnings rpcnb gives."""


class LeakedHandleWarning(RpcnbWarning, ResourceWarning):
    """A remote object was still alive when its session closed."""


class RemoteWarning(RpcnbWarning):
    """Remote code warned, with a category that does not exist on this side."""
