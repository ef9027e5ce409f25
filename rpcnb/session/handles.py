"""The handle table: what one session holds for whoever uses it."""

from __future__ import annotations

from itertools import count
from typing import Any, NamedTuple

from rpcnb.core.errors import InvalidHandle, SessionError
from rpcnb.core.limits import DEFAULT_LIMITS
from rpcnb.core.values import Handle, TypeCode

FIRST_PROMISED = 1 << 50
"""The least handle that callers choose; a table's own never come so far."""


class Entry(NamedTuple):
    """One object that is held."""

    handle: Handle
    type_code: TypeCode
    object: object


class HandleTable:
    """Handle -> object.  Thread-safe.

    Handles count up from 1 and are never reused, so that a handle which is not held is known to
    have been freed if it is at most the last one issued.

    Parameters
    ----------
    limit : int
        Objects held at once; threads that issue at the same instant may exceed it by their number.

    Notes
    -----
    There is no lock: every change is one dict operation, which the interpreter makes atomic. A lock
    could be wanted again by a finalizer that runs while its own thread holds it, and finalizers of
    what is dropped here call back into sessions. About 140 bytes a handle, beside the object.
    """

    def __init__(self, limit: int = DEFAULT_LIMITS.handles) -> None:
        self._limit = limit
        self._numbers = count(1)
        self._last = 0
        self._entries: dict[int, tuple[TypeCode | None, object]] = {}
        self._freed_early: set[int] = set()
        """Promised handles that were given up before there was anything behind them."""
        self.invalid_frees = 0
        """Handles that were freed without being held; a statistic, so races may lose one."""

    def issue(self, obj: object, type_code: TypeCode) -> Handle:
        """Hold an object, and return the new handle that names it.

        Raises
        ------
        SessionError
            The session holds as much as it may.
        """
        if len(self._entries) >= self._limit:
            raise SessionError(
                f"this session holds {self._limit:,} objects, which is its limit; free some"
            )
        number = next(self._numbers)
        self._last = number  # a racing thread may set it back a little: it serves error texts only
        self._entries[number] = (type_code, obj)
        return Handle(number)

    def bind(self, handle: int, obj: object, type_code: TypeCode) -> None:
        """Hold an object under a handle that the caller chose: a *promised* one.

        Raises
        ------
        InvalidHandle
            It is none that callers may choose, or was used before.
        SessionError
            As `issue`.
        """
        if handle < FIRST_PROMISED or handle in self._entries:
            raise InvalidHandle(f"handle {handle} cannot be promised", handle=handle, reason="kind")
        if len(self._entries) >= self._limit:
            raise SessionError(f"this session holds {self._limit:,} objects, which is its limit")
        if handle in self._freed_early:
            self._freed_early.discard(handle)
        else:
            self._entries[handle] = (type_code, obj)

    def fail(self, handle: int, why: str) -> None:
        """Remember, until it is freed, that what was promised under a handle was never made."""
        if handle in self._freed_early:
            self._freed_early.discard(handle)
        elif handle >= FIRST_PROMISED and handle not in self._entries:
            self._entries[handle] = (None, why)

    def get(self, handle: int, type_code: TypeCode | None = None) -> object:
        """Return the object behind a handle.

        Parameters
        ----------
        handle : int
        type_code : TypeCode, optional
            What it must be.

        Raises
        ------
        InvalidHandle
            It was freed, was never issued, or names something else.
        """
        entry = self._entries.get(handle)
        if entry is None:
            raise self._unknown(handle)
        if entry[0] is None or (type_code is not None and entry[0] is not type_code):
            raise _other_kind(handle, entry, type_code)
        return entry[1]

    def find(self, handle: int, type_code: TypeCode) -> Any:
        """Return the object behind a handle of that kind; None when there is none."""
        entry = self._entries.get(handle)
        return entry[1] if entry is not None and entry[0] is type_code else None

    def free(self, handle: int, type_code: TypeCode, count: int = 1) -> None:
        """Hold an object no longer.

        Parameters
        ----------
        handle : int
        type_code : TypeCode
            What it must be; otherwise it stays.
        count : int
            How often the peer believes to own it. Every handle is owned once: the rest is counted
            in `invalid_frees`.

        Raises
        ------
        InvalidHandle
            It was freed before, was never issued, or names something else.
        """
        entry = self._entries.get(handle)
        if entry is not None and entry[0] is not type_code and entry[0] is not None:
            self.invalid_frees += count
            raise _other_kind(handle, entry, type_code)
        if entry is None and self._may_come(handle):
            self._freed_early.add(handle)
            return
        entry = self._entries.pop(handle, None)
        if entry is None:
            self.invalid_frees += count
            raise self._unknown(handle)
        self.invalid_frees += count - 1

    def _may_come(self, handle: int) -> bool:
        """Tell whether a call may yet bind something to the handle; a peer may not say so for ever."""
        known = handle < FIRST_PROMISED or handle in self._freed_early
        return not known and len(self._freed_early) < self._limit

    def clear(self) -> list[object]:
        """Hold nothing any more, and return what was held, for the caller to drop."""
        dropped = []
        while self._entries:
            try:
                dropped.append(self._entries.popitem()[1][1])
            except KeyError:  # another thread freed the last one
                break
        return dropped

    def entries(self) -> list[Entry]:
        """Return what is held now, oldest first."""
        # The copy is one step; a loop over the table itself would meet changes by other threads.
        held = self._entries.copy()
        return [
            Entry(Handle(number), code, obj)
            for number, (code, obj) in held.items()
            if code is not None
        ]

    def __len__(self) -> int:
        return len(self._entries)

    def _unknown(self, handle: int) -> InvalidHandle:
        if 0 < handle <= self._last:
            return InvalidHandle(f"handle {handle} was freed", handle=handle, reason="freed")
        return InvalidHandle(
            f"handle {handle} was never issued by this session", handle=handle, reason="unknown"
        )


def _other_kind(
    handle: int, entry: tuple[TypeCode | None, object], wanted: TypeCode | None
) -> InvalidHandle:
    found, obj = entry
    if found is None:
        return InvalidHandle(
            f"what was promised as handle {handle} was never made: {obj}",
            handle=handle,
            reason="promised",
        )
    name = "" if wanted is None else wanted.name
    return InvalidHandle(
        f"handle {handle} is of kind {found.name}, not {name}", handle=handle, reason="kind"
    )
