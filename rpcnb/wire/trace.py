"""One line for a person about one message, for logs and for the protocol lens.

Rules for this file: a line is bounded whatever the message holds, never raises, and contains no
character that a terminal obeys. Values are shown as types and sizes where they are not short.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rpcnb.core.errors import ErrorInfo
from rpcnb.core.values import OWNED_REFS, CallbackRef, DenseArray
from rpcnb.wire.messages import FreeHandles, Goodbye

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.wire.messages import Message

LONGEST = 60
"""Characters of one value."""
_MOST_ITEMS = 4
_DEEPEST = 2
_LONGEST_INT = 128  # bits; longer ones are slow to write in decimal, or refused


def describe(message: Message) -> str:
    """Return one line: the message's name, its request id, and its fields in short."""
    names = message._fields
    if isinstance(message, FreeHandles | Goodbye):
        start, head = 0, type(message).__name__
    else:
        start, head = 1, f"{type(message).__name__} #{message.id}"
    fields = zip(names[start:], message[start:], strict=True)
    return " ".join([head, *(f"{name}={short(value)}" for name, value in fields)])


def short(value: Any, depth: int = 0) -> str:
    """Return what a value is, in at most `LONGEST` characters."""
    describe_value = _DESCRIPTIONS.get(type(value), _other)
    text = describe_value(value, depth)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _plain(value: Any, _depth: int) -> str:
    return ascii(value)


def _str(value: str, _depth: int) -> str:
    cut = ascii(value[:LONGEST])
    return cut if len(value) <= LONGEST else f"{cut[:40]}… {len(value):,} characters"


def _int(value: int, _depth: int) -> str:
    bits = value.bit_length()
    return str(value) if bits <= _LONGEST_INT else f"<int of {bits:,} bits>"


def _bytes(value: Any, _depth: int) -> str:
    return f"<{memoryview(value).nbytes:,} bytes>"


def _slice(value: slice, depth: int) -> str:
    return f"slice{_items((value.start, value.stop, value.step), depth)}"


def _array(value: DenseArray, depth: int) -> str:
    return f"<array {short(value.shape, depth)} {short(value.dtype)}>"


def _error(value: ErrorInfo, _depth: int) -> str:
    return f"<{short(value.type_name)[1:-1]}: {short(value.message)}>"


def _ref(value: Any, _depth: int) -> str:
    return f"<{type(value).__name__} {short(value.handle)}>"


def _items(value: Any, depth: int) -> str:
    if depth >= _DEEPEST or len(value) > _MOST_ITEMS:
        return f"<{type(value).__name__} of {len(value):,}>"
    inner = ", ".join([short(item, depth + 1) for item in value])
    return f"[{inner}]" if type(value) is list else f"({inner})"


def _dict(value: Any, depth: int) -> str:
    if depth >= _DEEPEST or len(value) > _MOST_ITEMS:
        return f"<dict of {len(value):,}>"
    inner = [f"{short(k, depth + 1)}: {short(v, depth + 1)}" for k, v in value.items()]
    return f"{{{', '.join(inner)}}}"


def _other(value: Any, _depth: int) -> str:
    return f"<{type(value).__name__}>"


_DESCRIPTIONS: dict[type, Callable[[Any, int], str]] = {
    **dict.fromkeys((type(None), bool, float, complex, type(Ellipsis)), _plain),
    **dict.fromkeys((bytes, bytearray, memoryview), _bytes),
    **dict.fromkeys((*OWNED_REFS, CallbackRef), _ref),
    **dict.fromkeys((list, tuple), _items),
    str: _str,
    int: _int,
    dict: _dict,
    slice: _slice,
    DenseArray: _array,
    ErrorInfo: _error,
}
