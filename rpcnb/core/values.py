"""The closed set of values that may cross a session.

None, bool, int of any size, float, complex, str, bytes, list, tuple, dict, slice, Ellipsis, and
the classes of this file. Everything else stays where it is and crosses as an `ObjectRef`.
Nothing is pickled, and no class is ever looked up by a name that the peer sent.

A *ref* names something that lives in one session. Refs that a session returns are owned by the
caller, who frees each exactly once (`RPCSession.free_handle`).
"""

from __future__ import annotations

from dataclasses import field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, NewType, TypeAlias

from rpcnb.core.device import CPU, Device
from rpcnb.core.frozen import frozen

if TYPE_CHECKING:
    from rpcnb.core.dtype import DType

Handle = NewType("Handle", int)
"""Names one object in the session that issued it: a counter, never reused, never a pointer."""


class TypeCode(IntEnum):
    """What a handle names; given again when it is freed, and checked."""

    FUNCTION = 1
    ARRAY = 2
    MODULE = 3
    OBJECT = 4
    ITERATOR = 5
    CALLBACK = 6
    STREAM = 7


TYPE_CODES = {int(code): code for code in TypeCode}
"""By their numbers: an enumeration's own look-up is Python code."""


@frozen
class Parameter:
    """One parameter of a remote function."""

    name: str
    kind: int = 1
    """Number of `inspect.Parameter.kind`: 0 positional-only … 4 ``**kwargs``."""
    default: str | None = None
    """``repr`` of the default over there; None when it has none."""
    annotation: str = ""
    """As written over there."""


RESERVED = "rpcnb."
"""Prefix of the functions that every session offers by itself."""


@frozen
class FunctionInfo:
    """What is known about a function without calling it."""

    name: str
    parameters: tuple[Parameter, ...] | None = None
    """None when the function has no signature to be read."""
    returns: str = ""
    """Return annotation, as written over there."""
    doc: str = ""
    is_generator: bool = False
    is_async: bool = False


@frozen
class FunctionRef:
    """A function over there."""

    handle: Handle
    info: FunctionInfo = FunctionInfo("")
    type_code = TypeCode.FUNCTION


@frozen
class ArrayRef:
    """An array over there: metadata here, data there (the seed's NDArray handle)."""

    handle: Handle
    shape: tuple[int, ...] = ()
    dtype: DType = "|u1"
    device: Device = CPU
    byte_offset: int = 0
    """Where a copy starts, in bytes of the array's C-order content."""
    base: int = 0
    """Number of the buffer this array lies in; views of one array share it."""
    strides: tuple[int, ...] | None = None
    """Bytes to step in each dimension; None for C order without gaps."""
    writeable: bool = True
    type_code = TypeCode.ARRAY


@frozen
class ModuleRef:
    """A module over there: functions behind one handle."""

    handle: Handle
    name: str = ""
    names: tuple[str, ...] = ()
    """The functions it offers."""
    doc: str = ""
    type_code = TypeCode.MODULE


@frozen
class ObjectRef:
    """Any other object over there: it can be passed back, and freed."""

    handle: Handle
    type_name: str = "object"
    summary: str = ""
    """Bounded ``repr``, made over there."""
    type_code = TypeCode.OBJECT


@frozen
class IteratorRef:
    """A generator over there."""

    handle: Handle
    name: str = ""
    type_code = TypeCode.ITERATOR


@frozen
class CallbackRef:
    """A function of the *caller*, lent to the callee for the length of one call."""

    handle: Handle
    info: FunctionInfo = FunctionInfo("callback")
    type_code = TypeCode.CALLBACK


Ref: TypeAlias = FunctionRef | ArrayRef | ModuleRef | ObjectRef | IteratorRef | CallbackRef
OWNED_REFS = (FunctionRef, ArrayRef, ModuleRef, ObjectRef, IteratorRef)
"""Refs whose receiver must free them."""


@frozen
class DTypeValue:
    """A dtype as a value."""

    dtype: DType


@frozen
class DenseArray:
    """A small array, or a NumPy scalar, by value."""

    dtype: DType
    shape: tuple[int, ...]
    data: bytes | bytearray | memoryview = field(repr=False)
    """Elements in C order; read-only use."""
    is_scalar: bool = False


Value: TypeAlias = Any
"""Documents that something is of the closed set; a recursive alias buys no safety here, because
what the codec refuses is decided at run time."""

PLAIN_TYPES = frozenset({type(None), bool, int, float, complex, str, bytes})
"""Immutable values which are the same on both sides: no lowering, no lifting."""
