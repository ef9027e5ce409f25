"""The limit: what a bare blocking socket needs for the same exchange. Nothing here is of rpcnb.

``python -m benchmarks.limits`` is the server: one forked process per connection. A client's first
64 bytes say what it wants, and from then on both ends run a loop with nothing in it but the
exchange itself.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from benchmarks.child import pin
from benchmarks.timing import (
    checksum,
    count_for,
    renew,
    some_bytes,
    summary,
    time_each,
    time_process,
    time_transfers,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.child import Figures

Setting: TypeAlias = tuple[int, int]
"""Receive buffer, and bytes given to one `sendmsg`."""
MESSAGE = 64
"""Bytes of a request and of a reply."""
PING = bytes(MESSAGE)
KIB, MIB = 1024, 1024 * 1024
RECEIVE_BUFFERS = (0, MIB, 4 * MIB)
"""SO_RCVBUF of both ends; 0 leaves the system's own [bytes]."""
SETTINGS: tuple[Setting, ...] = (
    (0, 1 << 40),
    (0, MIB),
    (MIB, 256 * KIB),
    (MIB, 512 * KIB),
    (4 * MIB, MIB),
)
"""What is tried for bulk data."""


# --- both ends ------------------------------------------------------------------------------------


def new_socket(receive_buffer: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def receive_all(sock: socket.socket, target: memoryview) -> bool:
    """Fill `target`; False when the peer has closed."""
    position = 0
    while position < len(target):
        count = sock.recv_into(target[position:])
        if not count:
            return False
        position += count
    return True


def send_all(sock: socket.socket, source: memoryview, piece: int, head: bytes = b"") -> None:
    """Send `head` and `source`, at most `piece` bytes of it in one system call."""
    position = 0
    while position < len(source):
        count = sock.sendmsg((head, source[position : position + piece]))
        position += max(count - len(head), 0)
        head = head[count:]


# --- the server -----------------------------------------------------------------------------------


def echo(sock: socket.socket) -> None:
    buffer = bytearray(MESSAGE)
    while sock.recv_into(buffer):
        sock.send(PING)


def mean(sock: socket.socket) -> None:
    values = np.arange(125_000, dtype=np.float64)
    buffer = bytearray(MESSAGE)
    while sock.recv_into(buffer):
        values.mean()
        sock.send(PING)


def flow(sock: socket.socket) -> None:
    """Answer each message, as many as have come in one send."""
    buffer = memoryview(bytearray(MIB))
    while count := sock.recv_into(buffer):
        sock.sendall(buffer[:count])


def stream(sock: socket.socket, nbytes: int, piece: int) -> None:
    """Take or give `nbytes`, or their checksum, as each message asks."""
    words = some_bytes(nbytes)
    data = memoryview(words.data).cast("B")
    request = memoryview(bytearray(MESSAGE))
    while receive_all(sock, request):
        wish = request[:1].tobytes()
        if wish == b"u":
            receive_all(sock, data)
            sock.send(PING)
        elif wish == b"d":
            send_all(sock, data, piece)
        else:
            number = renew(words) if wish == b"n" else checksum(words)
            sock.send(number.to_bytes(MESSAGE, "little"))


MODES: dict[str, Callable[..., None]] = {"echo": echo, "mean": mean, "flow": flow, "stream": stream}


def serve_one(sock: socket.socket) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    mode, *arguments = sock.recv(MESSAGE).decode().split()
    sock.send(PING)
    MODES[mode](sock, *map(int, arguments))


def serve() -> None:
    pin(json.loads(sys.stdin.readline())["cores"])
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children need nobody to wait for them
    listeners = []
    for receive_buffer in RECEIVE_BUFFERS:
        listener = new_socket(receive_buffer)
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        listeners.append(listener)
    print(json.dumps({"ports": [each.getsockname()[1] for each in listeners]}), flush=True)
    while True:
        ready, _, _ = select.select([*listeners, sys.stdin], [], [])
        if sys.stdin in ready:
            return
        for listener in set(listeners).intersection(ready):
            sock, _ = listener.accept()
            if os.fork() == 0:
                try:
                    serve_one(sock)
                finally:
                    os._exit(0)
            sock.close()


# --- the probes -----------------------------------------------------------------------------------


def connect(server: dict[str, Any], mode: str, receive_buffer: int = 0) -> socket.socket:
    sock = new_socket(receive_buffer)
    sock.connect(("127.0.0.1", server["ports"][RECEIVE_BUFFERS.index(receive_buffer)]))
    sock.send(mode.encode().ljust(MESSAGE))
    sock.recv(MESSAGE)
    return sock


def exchange_of(sock: socket.socket) -> Callable[[], None]:
    buffer, send, receive_into = bytearray(MESSAGE), sock.send, sock.recv_into

    def exchange() -> None:
        send(PING)
        receive_into(buffer)

    return exchange


def ping(server: dict[str, Any], number: int, mode: str = "echo") -> Figures:
    """Time a message there and back."""
    with connect(server, mode) as sock:
        return time_each(exchange_of(sock), number)


def in_flight(server: dict[str, Any], number: int) -> Figures:
    """Send many messages, each by itself, before the first reply is looked at."""
    replies = memoryview(bytearray(number * MESSAGE))
    with connect(server, "flow", 4 * MIB) as sock:

        def burst() -> None:
            for _ in range(number):
                sock.send(PING)
            receive_all(sock, replies)

        return {"rate": number / time_each(burst, 5)["median"]}


def together(server: dict[str, Any], seconds: float) -> Figures:
    """Count exchanges while other processes do the same."""
    with connect(server, "echo") as sock:
        return count_for(exchange_of(sock), seconds)


def bulk(server: dict[str, Any], nbytes: int, number: int, direction: str) -> Figures:
    """Time a stream of bytes under each of `SETTINGS`; the fastest is the limit."""
    settings = SETTINGS if nbytes > KIB * 64 else SETTINGS[:1]
    found = [_bulk_with(server, nbytes, number, direction, each) for each in settings]
    return min(found, key=lambda figures: figures["median"])


def _bulk_with(
    server: dict[str, Any],
    nbytes: int,
    number: int,
    direction: str,
    setting: Setting,
) -> Figures:
    receive_buffer, piece = setting
    words = some_bytes(nbytes)
    data = memoryview(words.data).cast("B")
    reply = memoryview(bytearray(MESSAGE))
    with connect(server, f"stream {nbytes} {piece}", receive_buffer) as sock:

        def ask(wish: bytes) -> int:
            sock.send(wish.ljust(MESSAGE))
            receive_all(sock, reply)
            return int.from_bytes(reply, "little")

        def upload() -> None:
            send_all(sock, data, piece, head=b"u".ljust(MESSAGE))
            receive_all(sock, reply)

        def download() -> None:
            sock.send(b"d".ljust(MESSAGE))
            receive_all(sock, data)

        if direction == "upload":
            return time_transfers(lambda: renew(words), upload, lambda: ask(b"c"), number)
        return time_transfers(lambda: ask(b"n"), download, lambda: checksum(words), number)


def memcpy(server: dict[str, Any], nbytes: int, number: int, direction: str) -> Figures:
    """Time one copy from memory to memory, both touched before; no socket is used."""
    del server, direction
    words = some_bytes(nbytes)
    copy = words.copy()
    return time_transfers(
        lambda: renew(words), lambda: np.copyto(copy, words), lambda: checksum(copy), number
    )


def connecting(server: dict[str, Any], number: int) -> Figures:
    """Time connecting and the first exchange; the server forks, as rpcnb's does."""
    times = []
    for _ in range(number):
        began = perf_counter_ns()
        sock = connect(server, "echo")
        times.append(perf_counter_ns() - began)
        sock.close()
    return summary(times)


def first_exchange(server: dict[str, Any]) -> Figures:
    """Time a process, which needs NumPy, from its start to the end of its first exchange."""
    code = (
        "import sys, socket, numpy; s = socket.socket(); "
        "s.connect(('127.0.0.1', int(sys.stdin.read()))); s.send(b'echo'.ljust(64)); s.recv(64); "
        "print(flush=True)"
    )
    return time_process(code, str(server["ports"][0]))


if __name__ == "__main__":
    serve()
