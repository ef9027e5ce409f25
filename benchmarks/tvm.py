"""``python -m benchmarks.tvm``: TVM's protocol, with TVM's own server and between our two ends.

Three tables. Their ratios mean something elsewhere; figures belong to the machine.

1. Copies to and from TVM's own server, against what its loop over single bytes allows: how long the
   server's process computes for them, or is kept from it by others on a busy machine (Linux counts
   both). Nobody is faster than that; the rest of the time is ours. The quickest copy counts.
2. Copies between our two ends: over TVM's protocol, against our own over TCP, in turns; neither
   through shared memory.
3. Copies of 8 bytes to TVM's own server: our client, and TVM's, which asks three things for one copy.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
import psutil

from benchmarks.child import ROOT, hear, start
from rpcnb.core.device import CPU
from rpcnb.core.errors import TransportError
from rpcnb.endpoint.client.connect import open_session
from rpcnb.endpoint.credentials import read_connection_file
from rpcnb.endpoint.tvm.connect import TVMAddress, connect_tvm
from rpcnb.transport import registry as transports
from rpcnb.wire.tvm.lens import TVMLens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rpcnb.session.base import RPCSession
    from rpcnb.transport.base import Transport

ROUNDS = 5
SMALL_COPIES = 300
"""For copies of 8 bytes: each round is this many."""


class Copying:
    """An array over there and bytes here, to be copied both ways."""

    def __init__(self, session: RPCSession, nbytes: int) -> None:
        self._session = session
        api = session.get_device_api(CPU)
        assert api is not None  # a CPU is everywhere
        self._array = api.alloc_data(CPU, (nbytes,), "|u1")
        self._data = np.random.default_rng(nbytes).integers(0, 256, nbytes, "u1")
        self._back = np.zeros(nbytes, "u1")
        self.nbytes = nbytes

    def up(self) -> None:
        self._session.copy_to_remote(self._data.data, self._array, self.nbytes)

    def down(self) -> None:
        self._session.copy_from_remote(self._array, self._back.data, self.nbytes)

    def check(self) -> None:
        """Make sure that what was copied up came down again."""
        assert np.array_equal(self._data, self._back)

    def ways(self) -> Iterator[tuple[str, Callable[[], None]]]:
        yield "up", self.up
        yield "down", self.down


class Row(NamedTuple):
    """One line of a table."""

    what: str
    ours: float
    """Seconds."""
    other: float
    """Seconds of what it is compared with."""

    @property
    def ratio(self) -> float:
        """How many times faster than the other; the limit's 1 cannot be passed."""
        return self.other / self.ours


def seconds(work: Callable[[], None], number: int) -> float:
    began = perf_counter()
    for _ in range(number):
        work()
    return (perf_counter() - began) / number


# --- servers -------------------------------------------------------------------------------------


@contextmanager
def tvm_server() -> Iterator[tuple[int, psutil.Process]]:
    """Run TVM's own server; give its port and process."""
    child = start("benchmarks.peers.tvm_peer", {"cores": []})
    try:
        yield hear(child)["port"], psutil.Process(child.pid)
    finally:
        for worker in psutil.Process(child.pid).children(recursive=True):
            worker.kill()
        child.kill()
        child.communicate()


@contextmanager
def our_server() -> Iterator[tuple[RPCSession, RPCSession]]:
    """Run a server of ours; give a session over our own protocol and one over TVM's."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "server.json"
        command = [
            sys.executable, "-m", "rpcnb", "serve", "--allow-module", "math", "--port", "0",
            "--tvm-port", "0", "--key", "bench", "--connection-file", str(file),
        ]  # fmt: skip
        environment = os.environ | {"RPCNB_SHARED_MEMORY": "off"}
        with subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout is not None
            line = next(line for line in child.stdout if "TVM clients" in line)
            try:
                known = read_connection_file(file)
                address = TVMAddress("127.0.0.1", int(line.rpartition(":")[2]), "bench")
                with (
                    open_session(known.url, token=known.token) as own,
                    connect_tvm(address) as tvm,
                ):
                    yield own, tvm
            finally:
                child.terminate()


# --- the three tables ----------------------------------------------------------------------------


def against_the_loop() -> list[Row]:
    """Copy to and from TVM's own server; the other is the time its process needs."""
    rows = []
    with tvm_server() as (port, server), connect_tvm(TVMAddress("127.0.0.1", port)) as session:
        (worker,) = [p for p in server.children(recursive=True) if not p.children()]
        for nbytes, number in ((1 << 20, 200), (1 << 26, 8)):
            copying = Copying(session, nbytes)
            for way, copy in copying.ways():
                copy()
                found = [beside(worker.pid, copy) for _ in range(number)]
                rows.append(
                    min(found, key=lambda row: row.ours)._replace(what=f"{way} {size(nbytes)}")
                )
            copying.check()
    return rows


def beside(pid: int, work: Callable[[], None]) -> Row:
    """Time some work, and how long a process computed for it, or waited for a core."""
    before = needed(pid)
    wall = seconds(work, 1)
    return Row("", wall, needed(pid) - before)


def needed(pid: int) -> float:
    """Return the seconds for which a process's first thread has had work."""
    computed, waited, _ = map(int, Path(f"/proc/{pid}/schedstat").read_text().split())
    return (computed + waited) * 1e-9


def between_our_ends() -> list[Row]:
    """Copy over TVM's protocol and our own, in turns; ratios are the median of the rounds'."""
    rows = []
    with our_server() as (own, tvm):
        for nbytes, number in ((8, 1000), (1 << 16, 500), (1 << 20, 50), (1 << 26, 3)):
            pairs = zip(Copying(own, nbytes).ways(), Copying(tvm, nbytes).ways(), strict=True)
            for (way, copy_own), (_, copy_tvm) in pairs:
                copy_own(), copy_tvm()
                found = [
                    Row("", seconds(copy_tvm, number), seconds(copy_own, number))
                    for _ in range(ROUNDS)
                ]
                middle = sorted(found, key=lambda row: row.ratio)[ROUNDS // 2]
                rows.append(middle._replace(what=f"{way} {size(nbytes)}"))
    return rows


def size(nbytes: int) -> str:
    for unit, factor in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if nbytes >= factor:
            return f"{nbytes // factor} {unit}"
    return f"{nbytes} B"


class Relay:
    """Passes one connection on, and reads along.  A context manager: leaving it waits for the end."""

    def __init__(self, port: int) -> None:
        self._listener = transports.listen("tcp://127.0.0.1:0")
        self.port = int(self._listener.url.rpartition(":")[2])
        self._there = port
        self.lines: list[str] = []
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._listener.close()
        self._thread.join(60)

    def _run(self) -> None:
        lens = TVMLens()
        with (
            self._listener.accept() as near,
            transports.connect(f"tcp://127.0.0.1:{self._there}", 10) as far,
        ):
            back = threading.Thread(target=self._pass, args=(far, near, lens.from_server))
            back.start()
            self._pass(near, far, lens.from_client)
            back.join(60)

    def _pass(
        self, source: Transport, target: Transport, read: Callable[[bytes], list[str]]
    ) -> None:
        buffer = memoryview(bytearray(1 << 16))
        with suppress(TransportError):  # the other way has ended it
            while nbytes := source.receive_into(buffer):
                data = bytes(buffer[:nbytes])
                self.lines += read(data)
                target.send([data])
        target.close()


def small_copies() -> tuple[list[Row], list[float]]:
    """Copy 8 bytes with our client and with TVM's; count what each asks for one copy."""
    times: dict[str, list[Row]] = {"up": [], "down": []}
    with tvm_server() as (port, _):
        for _ in range(ROUNDS):
            ours, theirs = copy_ours(port), copy_theirs(port)
            for way, rows in times.items():
                rows.append(Row(f"{way} 8 B", ours[way], theirs[way]))
        asked = [asked_for_a_copy(port, client) for client in (copy_ours, copy_theirs)]
    middle = [sorted(rows, key=lambda row: row.ratio)[ROUNDS // 2] for rows in times.values()]
    return middle, asked


def asked_for_a_copy(port: int, client: Callable[[int], object]) -> float:
    """Return how many requests a client sends for each copy, read along with on the way."""
    with Relay(port) as relay:
        client(relay.port)
    marks = ("> Copy", "GetCRTMaxPacketSize", "> DEV_STREAM_SYNC")
    counts = [sum(mark in line for line in relay.lines) for mark in marks]
    return sum(counts) / counts[0]


def copy_ours(port: int) -> dict[str, float]:
    with connect_tvm(TVMAddress("127.0.0.1", port)) as session:
        copying = Copying(session, 8)
        return {way: seconds(copy, SMALL_COPIES) for way, copy in copying.ways()}


def copy_theirs(port: int) -> dict[str, float]:
    """Run TVM's own client in a process, which ends its session when it does."""
    code = (
        "import json, sys; from time import perf_counter as now; import numpy as np, tvm\n"
        "from tvm import rpc\n"
        "port, number = map(int, sys.argv[1:])\n"
        "remote = rpc.connect('127.0.0.1', port)\n"
        "host = np.zeros(8, 'uint8'); there = tvm.runtime.tensor(host, remote.cpu())\n"
        "def seconds(work):\n"
        "    began = now()\n"
        "    for _ in range(number): work()\n"
        "    return (now() - began) / number\n"
        "found = {'up': seconds(lambda: there.copyfrom(host)), 'down': seconds(there.numpy)}\n"
        "del there, remote\n"
        "print(json.dumps(found))\n"
    )
    command = [sys.executable, "-c", code, str(port), str(SMALL_COPIES)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    found: dict[str, float] = json.loads(done.stdout)
    return found


# --- showing -------------------------------------------------------------------------------------


def table(rows: list[Row], ours: str, other: str, what: str) -> str:
    lines = [f"| copy | {ours} | {other} | {what} |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {r.what} | {duration(r.ours)} | {duration(r.other)} | {r.ratio:.2f} |" for r in rows
    ]
    return "\n".join(lines)


def duration(value: float) -> str:
    return f"{value * 1e6:.1f} µs" if value < 1e-3 else f"{value * 1e3:.2f} ms"


def main() -> None:
    print("TVM's own server, and what its loop over bytes allows:\n")
    print(table(against_the_loop(), "rpcnb", "the server needs", "of the limit"), flush=True)
    print("\nBetween our two ends:\n")
    print(table(between_our_ends(), "over TVM's", "over our own", "of our own rate"), flush=True)
    rows, (ours, theirs) = small_copies()
    print("\nEight bytes to TVM's own server:\n")
    print(table(rows, "rpcnb", "TVM's client", "times as fast"))
    print(f"\nRound trips of one copy: rpcnb {ours:.2f}, TVM's client {theirs:.2f}.")


if __name__ == "__main__":
    main()
