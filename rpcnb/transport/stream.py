"""Sending that stays whole when a signal handler raises; shared by all transports.

How an exception from a handler can be kept from losing a count: CPython runs handlers between
bytecodes, after calls of C functions among others. In ``n = sock.recv_into(buffer)`` a handler can
so run when the bytes are taken out of the socket and `n` is not yet stored; raising then loses
them, and the stream is out of step for good (seen 1 MB wrong within 2 s of interrupts). Unpacking
an iterator is one bytecode without that check: in ``(n,) = map(sock.recv_into, (buffer,))`` nothing
can come between the call and the store. It costs 0.1 µs. A call that waits and is interrupted
(EINTR) raises inside, having moved nothing.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING, NoReturn

from rpcnb.core.errors import ConnectionClosed
from rpcnb.core.limits import KIB
from rpcnb.transport.base import Bytes, Transport

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PIECE = 512 * KIB
"""About as many bytes are given to one system call at most; see the table in `tcp`."""
MAX_BUFFERS = 1024
"""Most buffers given to one system call: IOV_MAX of Linux and macOS."""


class StreamTransport(Transport):
    """A transport on top of one primitive: `_transmit`."""

    @abstractmethod
    def _transmit(self, group: Sequence[Bytes]) -> int:
        """Send some of `group` from its start, and count it in `bytes_sent` as it happens.

        `group` comes from `gather`, or is as small as what comes from there.
        """

    def send(self, buffers: Sequence[Bytes]) -> int:
        start = self.bytes_sent
        try:
            total = sum(map(len, buffers))
            small = 0 < total <= PIECE and len(buffers) <= MAX_BUFFERS
            if not small or self._transmit(buffers) != total:
                self._send_rest(buffers, start)
        except BaseException as error:  # noqa: BLE001 raised again, always
            self._settle(error, buffers, start)
        return total

    def send_one(self, data: bytes) -> None:
        self.send((data,))

    def _send_rest(self, buffers: Sequence[Bytes], start: int) -> None:
        """Send what is missing of `buffers` when `bytes_sent` was `start` before them."""
        while True:
            for group in gather(buffers, self.bytes_sent - start):
                if self._transmit(group) != sum(map(len, group)):
                    break  # a signal cut the system call short: gather anew
            else:
                return

    def _settle(self, error: BaseException, buffers: Sequence[Bytes], start: int) -> NoReturn:
        """Complete a send that `error` interrupted, then raise it."""
        missing = start + sum(map(len, buffers)) - self.bytes_sent
        if missing and self.bytes_sent > start and not isinstance(error, ConnectionClosed):
            self._send_rest(buffers, start)
        raise error


def gather(buffers: Sequence[Bytes], skip: int = 0) -> Iterator[list[memoryview]]:
    """Cut `buffers` into groups for one system call each, without copying.

    Groups have equal sizes near `PIECE`, at most one and a half, so that the header before a large
    chunk does not cost a third system call; and at most `MAX_BUFFERS` members.

    Parameters
    ----------
    buffers : sequence of bytes-like
        Empty ones are left out.
    skip : int [bytes]
        How much to leave out at the start.
    """
    total = sum(map(len, buffers)) - skip
    piece = math.ceil(total / max(1, round(total / PIECE)))
    group: list[memoryview] = []
    room = piece
    for buffer in buffers:
        size = len(buffer)
        if skip >= size:
            skip -= size
            continue
        view = memoryview(buffer)[skip:]
        skip = 0
        while view:
            part, view = view[:room], view[room:]
            group.append(part)
            room -= len(part)
            if not room or len(group) == MAX_BUFFERS:
                yield group
                group, room = [], piece
    if group:
        yield group
