"""``python -m benchmarks.tls``: bulk copies over TLS beside a bare `ssl.SSLSocket`, in turns.

Both send 64 MiB between two processes on loopback, from and into memory that has been touched, with
the same certificate and cipher. The bare side has no protocol, no proof, no worker and no relay.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import socket
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import numpy as np

from rpcnb.endpoint.client.connect import open_session
from rpcnb.transport.certificate import client_context, server_context

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from rpcnb.core.values import ArrayRef
    from rpcnb.session.base import RPCSession

MIB = 1 << 20
PIECE = 1 * MIB

SERVER = """
import json, sys
from rpcnb.endpoint.serving.server import Server
with Server(host="0.0.0.0", in_process=False, load=["benchmarks.functions"]) as server:
    print(json.dumps([server.url, server.token]), flush=True)
    sys.stdin.read()
"""


def bare_peer(port_box: socket.socket, nbytes: int) -> None:
    """Answer each letter: ``u`` takes so many bytes, ``d`` gives them, anything else ends."""
    context, _ = server_context()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port_box.sendall(listener.getsockname()[1].to_bytes(2, "big"))
        accepted, _ = listener.accept()
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        memory = memoryview(bytearray(os.urandom(MIB) * (nbytes // MIB)))
        with context.wrap_socket(accepted, server_side=True) as peer:
            while (letter := peer.recv(1)) in (b"u", b"d"):
                if letter == b"u":
                    take(peer, memory)
                    peer.sendall(b"k")
                else:
                    give(peer, memory)


def take(peer: ssl.SSLSocket, memory: memoryview) -> None:
    got = 0
    while got < len(memory):
        got += peer.recv_into(memory[got : got + PIECE])


def give(peer: ssl.SSLSocket, memory: memoryview) -> None:
    for start in range(0, len(memory), PIECE):
        peer.sendall(memory[start : start + PIECE])


class Bare:
    """The limit: a TLS socket and nothing else."""

    def __init__(self, nbytes: int) -> None:
        mine, theirs = socket.socketpair()
        self._process = multiprocessing.get_context("fork").Process(
            target=bare_peer, args=(theirs, nbytes), daemon=True
        )
        self._process.start()
        port = int.from_bytes(mine.recv(2), "big")
        plain = socket.create_connection(("127.0.0.1", port))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._peer = client_context().wrap_socket(plain)
        self._memory = memoryview(bytearray(os.urandom(MIB) * (nbytes // MIB)))

    def upload(self) -> None:
        self._peer.sendall(b"u")
        give(self._peer, self._memory)
        self._peer.recv(1)

    def download(self) -> None:
        self._peer.sendall(b"d")
        take(self._peer, self._memory)

    def close(self) -> None:
        self._peer.close()
        self._process.join(5.0)


class Ours:
    """The same through a session."""

    def __init__(self, nbytes: int) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._server.stdout is not None
        url, token = json.loads(self._server.stdout.readline())
        self._session: RPCSession = open_session(url, token=token)
        self._memory = np.frombuffer(os.urandom(MIB) * (nbytes // MIB), "u1").copy()
        zeros = self._session.get_function("rpcnb.array.create")
        assert zeros is not None
        self._array: ArrayRef = self._session.call_func(  # type: ignore[assignment]
            zeros, ("ones", (nbytes,), "|u1", "cpu:0")
        )
        self._nbytes = nbytes

    def upload(self) -> None:
        self._session.copy_to_remote(self._memory, self._array, self._nbytes)

    def download(self) -> None:
        self._session.copy_from_remote(self._array, self._memory, self._nbytes)

    def close(self) -> None:
        self._session.shutdown()
        self._server.communicate(timeout=10.0)


def seconds(work: object) -> float:
    begin = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - begin


def measure(nbytes: int, rounds: int) -> Iterator[tuple[str, float, float]]:
    """Give direction, GiB/s of the bare socket and of ours; the best of the rounds, in turns."""
    bare, ours = Bare(nbytes), Ours(nbytes)
    try:
        for direction in ("upload", "download"):
            times: dict[str, list[float]] = {"bare": [], "ours": []}
            for turn in range(rounds + 1):
                for name, side in (("bare", bare), ("ours", ours)):
                    taken = seconds(getattr(side, direction))
                    if turn:  # the first is not counted
                        times[name].append(taken)
            ratios = [b / o for b, o in zip(times["bare"], times["ours"], strict=True)]
            gib = nbytes / (1 << 30)
            yield (
                f"{direction} ({statistics.median(ratios):.0%})",
                *(gib / min(times[name]) for name in ("bare", "ours")),
            )
    finally:
        bare.close()
        ours.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tls", description=__doc__)
    parser.add_argument("--mib", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=9)
    asked = parser.parse_args()
    print("direction (median ratio)   bare    rpcnb   GiB/s, best of the rounds")
    for name, bare, ours in measure(asked.mib * MIB, asked.rounds):
        print(f"{name:<24} {bare:>7.2f} {ours:>7.2f}   {ours / bare:.0%}")


if __name__ == "__main__":
    main()
