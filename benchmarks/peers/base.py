"""What a peer has to be able to do, so that it can be measured as rpcnb is."""

from __future__ import annotations

import json
import os
import sys
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Self

from benchmarks.child import pin

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

SMALL = ((3, 0.5, "name"), {"flag": True, "label": "text"})
"""Arguments of the call with 3 arguments and 2 keywords."""


class Peer(ABC):
    """A connected client.  A context manager, which disconnects at its end.

    It holds one array over there at a time, with what `upload` was last given. What a library has
    no way to do is not overridden, and not measured.
    """

    one_at_a_time: ClassVar[bool] = False
    """The server serves a second client when the first has left."""

    @abstractmethod
    def nothing(self) -> object:
        """Call a function that does nothing."""

    def small(self) -> float:
        """Call with `SMALL`."""
        raise NotImplementedError

    def in_flight(self, number: int) -> None:
        """Have `number` calls under way at once, and wait for all; one by one where that is all."""
        for _ in range(number):
            self.nothing()

    def in_batch(self, number: int) -> None:
        """Make `number` calls as one message, and take the results."""
        raise NotImplementedError

    def churn(self) -> object:
        """Make an object over there, and free it."""
        raise NotImplementedError

    @abstractmethod
    def upload(self, words: np.ndarray) -> None:
        """Have the content of `words` over there, as an array that `checksum` and `mean` can use."""

    def mean(self) -> float:
        """Return the mean of the array over there."""
        raise NotImplementedError

    @abstractmethod
    def download(self) -> np.ndarray:
        """Return the content of the array over there, as words."""

    @abstractmethod
    def checksum(self) -> int:
        """Return `timing.checksum` of the array, computed over there."""

    @abstractmethod
    def renew(self) -> int:
        """Apply `timing.renew` to the array over there; return the checksum."""

    @abstractmethod
    def close(self) -> None:
        """Disconnect."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def serve(start: Callable[[dict[str, Any]], tuple[dict[str, Any], Callable[[], object]]]) -> None:
    """Be a server process: read the task, pin, `start`, say where it is, end with the input.

    Parameters
    ----------
    start : callable
        Given the task, starts serving; returns what clients are told, and what stops it.
    """
    task = json.loads(sys.stdin.readline())
    pin(task["cores"])
    said, stop = start(task)
    print(json.dumps(said), flush=True)
    # Not `sys.stdin`, which a child forked meanwhile (TVM's) closes, and would wait for its lock.
    os.read(0, 1)
    stop()
