"""What is measured of rpcnb: one small function a row, by its public names only.

Each runs in a fresh process and returns the same kind of figures as its limit in `limits`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import deque
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.memory import private_bytes, resident_bytes
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
    from benchmarks.child import Figures
    from rpcnb import Remote, RemoteArray


def connect(server: dict[str, Any]) -> Remote:
    """Connect as a user of this machine does, by what the connection file says."""
    import rpcnb  # not at the top: some probes time this very import

    return rpcnb.connect(server["file"])


def connect_by_tcp(server: dict[str, Any]) -> Remote:
    import rpcnb

    return rpcnb.connect(server["url"], server["token"])


def null_call(server: dict[str, Any], number: int) -> Figures:
    with connect(server) as remote:
        return time_each(remote.get_function("bench.nothing"), number)


def null_call_by_tcp(server: dict[str, Any], number: int) -> Figures:
    with connect_by_tcp(server) as remote:
        return time_each(remote.get_function("bench.nothing"), number)


def small_call(server: dict[str, Any], number: int) -> Figures:
    with connect(server) as remote:
        small = remote.get_function("bench.small")
        return time_each(lambda: small(3, 0.5, "name", flag=True, label="text"), number)


def in_flight(server: dict[str, Any], number: int) -> Figures:
    """Submit many calls, then take their results."""
    with connect(server) as remote:
        nothing = remote.get_function("bench.nothing")

        def burst() -> None:
            for future in [nothing.submit() for _ in range(number)]:
                future.result()

        return {"rate": number / time_each(burst, 5)["median"]}


def in_batch(server: dict[str, Any], number: int) -> Figures:
    """Make as many calls in a batch, then take their results."""
    with connect(server) as remote:
        nothing = remote.get_function("bench.nothing")

        def burst() -> None:
            with remote.batch():
                calls = [nothing() for _ in range(number)]
            for call in calls:
                call.result()

        return {"rate": number / time_each(burst, 5)["median"]}


def mean(server: dict[str, Any], number: int) -> Figures:
    with connect(server) as remote:
        values = remote.array(np.arange(125_000, dtype=np.float64))
        mean_of = remote.get_function("bench.mean")
        return time_each(lambda: mean_of(values), number)


def churn(server: dict[str, Any], number: int) -> Figures:
    """Make an object over there and drop it."""
    with connect(server) as remote:
        return time_each(remote.get_function("bench.make"), number)


def together(server: dict[str, Any], seconds: float) -> Figures:
    with connect(server) as remote:
        return count_for(remote.get_function("bench.nothing"), seconds)


def bulk(
    server: dict[str, Any], nbytes: int, number: int, direction: str, *, shared: bool = False
) -> Figures:
    """Copy between memory on both sides that is there already; by the socket unless `shared`."""
    share(wanted=shared)
    with connect(server) if shared else connect_by_tcp(server) as remote:
        words = some_bytes(nbytes)
        array = remote.array(words)
        there = remote.get_function("bench.checksum")
        if direction == "upload":
            return time_transfers(
                lambda: renew(words), lambda: array.copy_from(words), lambda: there(array), number
            )
        new = remote.get_function("bench.renew")
        return time_transfers(
            lambda: new(array), lambda: array.copy_to(words), lambda: checksum(words), number
        )


def bulk_by_tcp(server: dict[str, Any], nbytes: int, number: int, direction: str) -> Figures:
    """Copy as between two machines."""
    return bulk(server, nbytes, number, direction)


def bulk_new(server: dict[str, Any], nbytes: int, number: int, direction: str) -> Figures:
    """Copy into memory that is made for it: ``remote.array(x)`` and ``a.to_numpy()``."""
    share(wanted=False)
    with connect_by_tcp(server) as remote:
        probe = new_upload if direction == "upload" else new_download
        return probe(remote, some_bytes(nbytes), number)


def new_upload(remote: Remote, words: np.ndarray, number: int) -> Figures:
    arrays: deque[RemoteArray] = deque(maxlen=1)  # the one before is freed
    there = remote.get_function("bench.checksum")
    return time_transfers(
        lambda: renew(words),
        lambda: arrays.append(remote.array(words)),
        lambda: there(arrays[0]),
        number,
    )


def new_download(remote: Remote, words: np.ndarray, number: int) -> Figures:
    array = remote.array(words)
    copies: deque[np.ndarray] = deque(maxlen=1)
    new = remote.get_function("bench.renew")
    return time_transfers(
        lambda: new(array),
        lambda: copies.append(array.to_numpy()),
        lambda: checksum(copies[0]),
        number,
    )


def shared_view(server: dict[str, Any], nbytes: int, number: int) -> Figures:
    """Look at an array over there where it is, without a copy."""
    with connect(server) as remote:
        array = remote.array(some_bytes(nbytes))
        return time_each(lambda: array.to_numpy(copy=False), number)


def share(*, wanted: bool) -> None:
    """Choose between shared memory and the socket for the arrays of this process."""
    from rpcnb.endpoint.memory import SWITCH

    os.environ[SWITCH] = "on" if wanted else "off"


def connecting(server: dict[str, Any], number: int) -> Figures:
    """Time `rpcnb.connect`."""
    times = []
    for _ in range(number):
        began = perf_counter_ns()
        remote = connect(server)
        times.append(perf_counter_ns() - began)
        remote.close()
    return summary(times)


def importing(names: str) -> Figures:
    """Time ``import rpcnb``, with and without what is imported when it is first used."""
    code = (
        "from time import perf_counter as clock; began = clock(); import rpcnb; "
        f"{names}; print(clock() - began)"
    )
    output = subprocess.run(  # this process has imported much of the standard library already
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    ).stdout
    return {"median": float(output)}


def first_call(server: dict[str, Any]) -> Figures:
    """Time a process, which needs NumPy, from its start to the end of its first call.

    NumPy is imported by name, as in the other libraries' processes: rpcnb does so for the first array.
    """
    code = (
        "import sys, numpy, rpcnb; "
        "rpcnb.connect(sys.stdin.read()).get_function('bench.nothing')(); print(flush=True)"
    )
    return time_process(code, server["file"])


def memory(server: dict[str, Any], sessions: int) -> Figures:
    """Measure a server at rest, and what idle sessions have for themselves alone."""
    broker = resident_bytes(server["pid"])
    remotes = [connect(server) for _ in range(sessions)]
    workers = [remote.stats()["there"]["pid"] for remote in remotes]
    private = sorted(private_bytes(worker) for worker in workers)
    for remote in remotes:
        remote.close()
    return {"broker": broker, "session": private[len(private) // 2]}
