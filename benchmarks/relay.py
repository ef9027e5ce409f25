"""A relay that delays every byte by half a round trip: a distant server on this machine.

``python -m benchmarks.relay HOST PORT SECONDS`` prints the port that it listens on.
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections import deque
from contextlib import suppress

PIECE = 1 << 16


class Line:
    """One direction of one connection: what is received is sent on after `delay` seconds."""

    def __init__(self, source: socket.socket, target: socket.socket, delay: float) -> None:
        self._source, self._target, self._delay = source, target, delay
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._bell = threading.Semaphore(0)

    def start(self) -> None:
        for run in (self._receive, self._send):
            threading.Thread(target=run, name="relay", daemon=True).start()

    def _receive(self) -> None:
        data = b"more"
        while data:
            try:
                data = self._source.recv(PIECE)
            except OSError:
                data = b""
            self._waiting.append((time.perf_counter() + self._delay, data))
            self._bell.release()

    def _send(self) -> None:
        while True:
            self._bell.acquire()
            due, data = self._waiting.popleft()
            time.sleep(max(0.0, due - time.perf_counter()))
            with suppress(OSError):
                if data:
                    self._target.sendall(data)
                else:
                    self._target.shutdown(socket.SHUT_RDWR)
                    return


class Relay:
    """Listens on this machine, and connects whoever comes to `address`.

    Parameters
    ----------
    address : tuple of str and int
    round_trip : float [s]
        What it adds.
    """

    def __init__(self, address: tuple[str, int], round_trip: float) -> None:
        self._address, self._delay = address, round_trip / 2
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, name="relay", daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._address)
                self._open += [near, far]
                for end in (near, far):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                Line(near, far, self._delay).start()
                Line(far, near, self._delay).start()

    def close(self) -> None:
        """Cut every connection, and take no more."""
        for sock in (self._listener, *self._open):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()


if __name__ == "__main__":
    host, port, seconds = sys.argv[1:]
    print(Relay((host, int(port)), float(seconds)).port, flush=True)
    sys.stdin.read()  # until whoever started it closes the pipe or is gone
