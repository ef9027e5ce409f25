"""`remote.handles`: what lives over there on behalf of this side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, overload

from rpcnb.core.dtype import short_spelling
from rpcnb.core.frozen import frozen
from rpcnb.core.values import ArrayRef, FunctionRef, IteratorRef, ModuleRef, ObjectRef
from rpcnb.session.space import array_nbytes

if TYPE_CHECKING:
    from rpcnb.core.values import Ref


@frozen
class HandleRow:
    """One handle."""

    handle: int
    kind: str
    """``array``, ``function``, ``module``, ``object`` or ``iterator``."""
    summary: str
    nbytes: int = 0
    """Bytes of an array; 0 where nobody knows."""
    base: int = 0
    """Number of the buffer an array lies in; views of one array share it."""
    pins: int = 0
    """Bytes of the buffer that a view keeps alive, where that is known to be more than its own."""


class HandleTable(Sequence[HandleRow]):
    """The handles that were alive when this was made, oldest first."""

    def __init__(self, rows: Iterable[HandleRow]) -> None:
        self._rows = sorted(rows, key=lambda row: row.handle)

    @overload
    def __getitem__(self, index: int) -> HandleRow: ...
    @overload
    def __getitem__(self, index: slice) -> HandleTable: ...
    def __getitem__(self, index: int | slice) -> HandleRow | HandleTable:
        if isinstance(index, slice):
            return HandleTable(self._rows[index])
        return self._rows[index]

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def nbytes(self) -> int:
        """Bytes held by arrays: each buffer once, also where only a view of it is left."""
        largest: dict[int, int] = {}
        for row in self._rows:
            key = row.base or -row.handle
            largest[key] = max(row.nbytes, row.pins, largest.get(key, 0))
        return sum(largest.values())

    def __repr__(self) -> str:
        lines = [f"{len(self)} handles, {self.nbytes:,} bytes in arrays"]
        for row in self._rows:
            view = f", a view that keeps {row.pins:,} bytes alive" if row.pins else ""
            lines.append(f"{row.handle:>6}  {row.kind:<8}  {row.summary}{view}")
        return "\n".join(lines)


def handle_row(ref: Ref, pins: int = 0) -> HandleRow:
    """Make the row of one ref, which keeps `pins` bytes alive if it is a view."""
    kind = ref.type_code.name.lower()
    match ref:
        case ArrayRef():
            summary = f"{short_spelling(ref.dtype)}{list(ref.shape)} on {ref.device}"
            return HandleRow(ref.handle, kind, summary, array_nbytes(ref), ref.base, pins)
        case FunctionRef():
            return HandleRow(ref.handle, kind, ref.info.name)
        case ObjectRef():
            return HandleRow(ref.handle, kind, f"{ref.type_name}: {ref.summary}")
        case ModuleRef() | IteratorRef():
            return HandleRow(ref.handle, kind, ref.name)
        case _:
            return HandleRow(ref.handle, kind, ref.info.name)
