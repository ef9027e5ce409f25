"""What a TVM client holds: numbers that it takes for addresses, and what they stand for.

A number that was never given out, or was given back, is an error of that one request.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, TypeAlias

from rpcnb.core.errors import InvalidHandle, LimitExceeded
from rpcnb.core.frozen import frozen
from rpcnb.core.limits import DEFAULT_LIMITS
from rpcnb.core.values import OWNED_REFS, Ref

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.core.values import Value
    from rpcnb.session.base import RPCSession


@frozen
class Offer:
    """A function of the front itself, which the session does not have."""

    run: Callable[..., Value | Entry]
    keeps: tuple[Ref, ...] = ()
    """Given back to the session together with it."""


@frozen
class SystemLibrary:
    """The module that TVM clients know as what is linked into the server: all its functions."""


Entry: TypeAlias = Ref | Offer | SystemLibrary


class NumberTable:
    """The numbers of one connection.  Used by one thread."""

    def __init__(self) -> None:
        self._numbers = count(0x1000, 0x10)
        self._entries: dict[int, Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def give(self, entry: Entry) -> int:
        """Return a new number for something; numbers are never used twice.

        Raises
        ------
        LimitExceeded
            The client holds too much.
        """
        if len(self._entries) >= DEFAULT_LIMITS.handles:
            raise LimitExceeded("handles", len(self._entries) + 1, DEFAULT_LIMITS.handles)
        number = next(self._numbers)
        self._entries[number] = entry
        return number

    def find(self, number: int) -> Entry:
        """Return what a number stands for.

        Raises
        ------
        InvalidHandle
            Nothing, or nothing any more.
        """
        entry = self._entries.get(number)
        if entry is None:
            message = f"number {number:#x} names nothing here, or was given back"
            raise InvalidHandle(message, handle=number)
        return entry

    def free(self, number: int, session: RPCSession) -> None:
        """Give a number back, and to the session what it stood for."""
        entry = self.find(number)
        del self._entries[number]
        owned = entry.keeps if isinstance(entry, Offer) else (entry,)
        for ref in owned:
            if isinstance(ref, OWNED_REFS):
                session.free_handle(ref.handle, ref.type_code)
