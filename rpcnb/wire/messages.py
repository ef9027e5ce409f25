"""Every message two endpoints may exchange, and nothing else.

The requests are the operations of `RPCSession` (the seed's interface); everything more (files,
modules, timing, listing) is an ordinary call of a function that the session itself registers, so
this list stays as short as the interface is.

Rules for this file: data only. Named tuples, because a message is made and taken apart on every
call: creating one costs 0.25 µs against 0.9 µs for a frozen dataclass.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from rpcnb.core.errors import ErrorInfo
    from rpcnb.core.values import Value

Buffer: TypeAlias = bytes | bytearray | memoryview


ShortCall: TypeAlias = "tuple[int, int, tuple[Value, ...], dict[str, Value]]"
"""The first four fields of a `CallFunc` whose others are as usual."""
ShortReturn: TypeAlias = "tuple[int, Value]"
"""The first two fields of a `Return`."""
Short: TypeAlias = "ShortCall | ShortReturn"
"""A message as a plain tuple, which takes a tenth of the time to make. See
`WireProtocol.received_short`."""


def in_full(message: Message | Short) -> Message:
    """Return a message that may be a short one as the message it is."""
    if type(message) is tuple:
        return Return(*message) if len(message) == 2 else CallFunc(*message)
    return message  # type: ignore[return-value] # messages are subclasses of tuple


class Side(IntEnum):
    """Which end of a connection this is."""

    CLIENT = 0
    SERVER = 1


class CancelReason(IntEnum):
    """Why a call was stopped."""

    ASKED = 0
    DEADLINE = 1


# --- requests: answered by exactly one of Return, Raised, Stopped ------------------------------


class GetFunction(NamedTuple):
    """`RPCSession.get_function`; returns a `FunctionRef` or None."""

    id: int
    name: str


class CallFunc(NamedTuple):
    """`RPCSession.call_func`; from the server: call a function the client lent (a callback)."""

    id: int
    function: int
    args: tuple[Value, ...] = ()
    kwargs: dict[str, Value] = {}  # noqa: RUF012 -- immutable use, like every field
    stream: int = 0
    timeout: float | None = None
    parent: int = 0
    """The receiver's own open request in whose service this call is made: it runs on the thread
    that waits for that request. 0 for none."""


class CopyToRemote(NamedTuple):
    """One piece of a host-to-remote copy; only the piece marked `last` is answered."""

    id: int
    target: int
    offset: int
    """Bytes from the start of the target's C-order content."""
    nbytes: int
    """Bytes in this piece."""
    last: bool
    payload: Buffer = b""


class CopyFromRemote(NamedTuple):
    """`RPCSession.copy_from_remote`; answered by `CopyData` pieces, or Raised."""

    id: int
    source: int
    offset: int
    nbytes: int


class DeviceCall(NamedTuple):
    """One operation of `DeviceAPI`, by name."""

    id: int
    device: str
    operation: str
    args: tuple[Value, ...] = ()


class StreamWait(NamedTuple):
    """`RPCSession.async_stream_wait`: answered when the stream has drained."""

    id: int
    device: str
    stream: int


# --- replies ------------------------------------------------------------------------------------


class Return(NamedTuple):
    """The request succeeded."""

    id: int
    value: Value = None
    elapsed: float = 0.0
    """Seconds it ran; 0.0 when not measured."""


class Raised(NamedTuple):
    """The request raised."""

    id: int
    error: ErrorInfo


class Stopped(NamedTuple):
    """The request was cancelled or ran out of time, and is no longer running."""

    id: int
    reason: int = CancelReason.ASKED


class CopyData(NamedTuple):
    """One piece of a remote-to-host copy, in order of offset."""

    id: int
    offset: int
    """Bytes from where the copy started."""
    nbytes: int
    last: bool
    payload: Buffer = b""


# --- notices: no answer ---------------------------------------------------------------------------


class Cancel(NamedTuple):
    """Stop the request of this id; its own reply is the confirmation."""

    id: int


class FreeHandles(NamedTuple):
    """Give up handles: `RPCSession.free_handle`, many at once."""

    handles: tuple[tuple[int, int, int], ...]
    """Triples of handle, type code and count."""


class Started(NamedTuple):
    """The call runs now; sent only for calls that do not end at once."""

    id: int


class Progress(NamedTuple):
    """How far a running call is."""

    id: int
    done: float
    total: float | None = None
    description: str = ""


class Output(NamedTuple):
    """Text a running call wrote."""

    id: int
    stream: str
    """``stdout``, ``stderr`` or ``warning``."""
    text: str


class Ping(NamedTuple):
    """Ask whether the peer is there."""

    id: int


class Pong(NamedTuple):
    """Answer a `Ping` of this id."""

    id: int


class Goodbye(NamedTuple):
    """The sender closes, and says why; nothing follows."""

    reason: str = ""
    error: bool = False
    """The sender closes because of what this receiver sent."""
    keep: bool = False
    """From a client: the session is to go on without one, until somebody takes it up."""


Request: TypeAlias = (
    GetFunction | CallFunc | CopyToRemote | CopyFromRemote | DeviceCall | StreamWait
)
Reply: TypeAlias = Return | Raised | Stopped | CopyData
Notice: TypeAlias = Cancel | FreeHandles | Started | Progress | Output | Ping | Pong | Goodbye
Message: TypeAlias = Request | Reply | Notice


class Kind(IntEnum):
    """The byte that says which message a frame carries."""

    GET_FUNCTION = 0x01
    CALL_FUNC = 0x02
    COPY_TO_REMOTE = 0x03
    COPY_FROM_REMOTE = 0x04
    DEVICE_CALL = 0x05
    STREAM_WAIT = 0x06
    RETURN = 0x11
    RAISED = 0x12
    STOPPED = 0x13
    COPY_DATA = 0x14
    CANCEL = 0x21
    FREE_HANDLES = 0x22
    STARTED = 0x23
    PROGRESS = 0x24
    OUTPUT = 0x25
    PING = 0x31
    PONG = 0x32
    GOODBYE = 0x33


KIND_OF: dict[type[Message], Kind] = {
    GetFunction: Kind.GET_FUNCTION,
    CallFunc: Kind.CALL_FUNC,
    CopyToRemote: Kind.COPY_TO_REMOTE,
    CopyFromRemote: Kind.COPY_FROM_REMOTE,
    DeviceCall: Kind.DEVICE_CALL,
    StreamWait: Kind.STREAM_WAIT,
    Return: Kind.RETURN,
    Raised: Kind.RAISED,
    Stopped: Kind.STOPPED,
    CopyData: Kind.COPY_DATA,
    Cancel: Kind.CANCEL,
    FreeHandles: Kind.FREE_HANDLES,
    Started: Kind.STARTED,
    Progress: Kind.PROGRESS,
    Output: Kind.OUTPUT,
    Ping: Kind.PING,
    Pong: Kind.PONG,
    Goodbye: Kind.GOODBYE,
}
"""The one list from which encoder, decoder and dispatch are checked for completeness."""
