"""`RemoteGenerator`: items made over there, one after the other."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Self

from rpcnb.remote.proxy import HandleProxy

if TYPE_CHECKING:
    from rpcnb.remote.client import Remote
    from rpcnb.session.space import RPCObjectRef

BATCH_SECONDS = 0.05
"""How long the other side may collect items after the first one of a batch."""
LARGEST_BATCH = 256


class RemoteGenerator(HandleProxy):
    """A generator over there: iterate it once.

    Items come in batches, which double while they are taken: the generator over there runs at
    most one batch ahead, and none of it runs before the first item is asked for. `close`, the end
    of a ``with`` block and garbage collection end it over there. Not for two threads at once.
    """

    def __init__(self, remote: Remote, owner: RPCObjectRef) -> None:
        super().__init__(remote, owner)
        self._items: deque[object] = deque()
        self._count = 1
        self._done = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> object:
        if not self._items and not self._done:
            self._fetch()
        if self._items:
            return self._items.popleft()
        raise StopIteration

    def _fetch(self) -> None:
        fetch = self._remote.builtin("rpcnb.next")
        try:
            items, self._done = fetch(self, self._count, BATCH_SECONDS)
        except BaseException:
            self.close()  # as a local generator, it has ended once it raised
            raise
        self._items.extend(items)
        self._count = min(2 * self._count, LARGEST_BATCH)
        if self._done:
            self.owner.free()

    def close(self) -> None:
        """End it here and over there; items that were fetched and not taken are dropped."""
        self._done = True
        self._items.clear()
        self.owner.free()

    def free(self) -> None:
        """Do as `close`."""
        self.close()

    def __repr__(self) -> str:
        state = "ended" if self._done and not self._items else "open"
        return f"<RemoteGenerator {self.owner.ref.name} {state} on {self._remote.name}>"
