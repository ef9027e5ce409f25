"""The two dialects of TVM's RPC: how values are written and read, and how objects are given back.

Both have the same greeting, packets and version string. The server's first answer tells them apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rpcnb.core.frozen import frozen
from rpcnb.wire.tvm import old_values, values
from rpcnb.wire.tvm.values import Reader, TVMPointer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rpcnb.wire.tvm.values import TVMValue


@frozen
class Dialect:
    """One of them."""

    versions: str
    encode_values: Callable[[Sequence[TVMValue]], bytes]
    read_values: Callable[[Reader], list[TVMValue]]
    read_result: Callable[[Sequence[TVMValue]], TVMValue]
    """Given what a call returned, returns the one value it stands for."""
    release_args: Callable[[int, int], tuple[TVMValue, ...]]
    """Given a pointer and its type index of today, returns the arguments of FREE_HANDLE."""


NEW = Dialect(
    "0.21 and later",
    values.encode_values,
    Reader.values,
    values.read_result,
    lambda pointer, _: (TVMPointer(pointer),),
)
OLD = Dialect(
    "before 0.21",
    old_values.encode_values,
    old_values.read_values,
    old_values.read_result,
    lambda pointer, index: (TVMPointer(pointer), int(old_values.old_code(index))),
)
