"""What a call and a copy may cost, in things that can be counted.

A limit here only ever goes down.
"""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pytest

from benchmarks.child import server
from benchmarks.counts import CountedRemote, Counts, peak_bytes, python_calls
from rpcnb import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rpcnb import Remote

MIB = 1024 * 1024
SMALL = 64 * 1024
"""Memory a copy may use besides the arrays themselves [bytes]."""
CALLS = {"nothing": (18, 28), "mean": (22, 32), "make": (38, 53), "copy_from": (32, 34)}
"""Python functions of a call on the thread that calls and on the one that serves: a null call, one that
is given an array, one that gives an object, and an upload of 4 KiB."""
OPERATION_CALLS = 200
"""The same of an array operation, which gives an array."""
SUBMITTED_TOGETHER = 4
"""How many of a thousand submitted calls go out in one system call."""
SUBMITTED_OBJECTS = 6
"""Objects of a submitted call and its future that the cycle collector looks at."""
FIRST_CALL_MODULES = 95
"""Modules of rpcnb that a client has imported when its first call has returned: 0.2 ms each."""
CONNECT_CALLS = 440
"""Python functions of `rpcnb.connect` on the calling thread, where the server has a dozen functions."""
NOT_FOR_A_FIRST_CALL = {
    "numpy",
    "concurrent.futures",
    "logging",
    "tempfile",
    "random",
    "statistics",
    "difflib",
    "pathlib",
    "signal",
    "fnmatch",
}
"""Modules of others that take milliseconds: for arrays, futures, errors, files and measurements."""
WORKER_GARBAGE = 5
"""Objects of a hundred calls that only the cycle collector finds: a pause of 60 µs every 700 of them."""


@pytest.fixture(scope="module")
def counted() -> Iterator[CountedRemote]:
    with server("benchmarks.serve", cores=[]) as started:
        counted = CountedRemote(started)
        with counted.remote:
            yield counted


@pytest.fixture
def null_call(counted: CountedRemote) -> Callable[[], object]:
    """A function that has been called before, so that nothing is looked up any more."""
    nothing = counted.remote.get_function("bench.nothing")
    nothing()
    return nothing


def test_a_first_call_imports_nothing_that_it_does_not_need() -> None:
    code = (
        "import sys, rpcnb; "
        "rpcnb.connect(sys.stdin.read()).get_function('bench.nothing')(); print(*sys.modules)"
    )
    with server("benchmarks.serve", cores=[]) as started:
        client = [sys.executable, "-c", code]
        output = subprocess.run(
            client, input=started["file"], capture_output=True, text=True, check=True, timeout=30
        ).stdout
    modules = set(output.split())
    assert not modules & NOT_FOR_A_FIRST_CALL
    assert sum(name.startswith("rpcnb") for name in modules) <= FIRST_CALL_MODULES


def test_connecting_makes_no_request_and_starts_one_thread() -> None:
    with server("benchmarks.serve", cores=[]) as started:
        connect(started["file"]).close()  # imports
        remotes: list[Remote] = []
        threads = threading.active_count()
        functions = python_calls(lambda: remotes.append(connect(started["file"])))
        with remotes[0] as remote:
            assert threading.active_count() <= threads + 1
            assert remote.session.statistics()["frames_sent"] == 0
            assert functions <= CONNECT_CALLS


def frames(counts: Counts) -> tuple[int, int]:
    return counts.frames_sent, counts.frames_received


def test_a_null_call_is_one_small_frame_and_one_system_call_each_way(
    counted: CountedRemote, null_call: Callable[[], object]
) -> None:
    counts = counted.count(null_call)
    assert frames(counts) == (1, 1)
    assert (counts.sends, counts.receives) == (1, 1)
    assert 32 <= counts.bytes_sent <= 64
    assert 32 <= counts.bytes_received <= 64


def test_arguments_and_keywords_travel_in_the_same_frame(counted: CountedRemote) -> None:
    small = counted.remote.get_function("bench.small")
    counts = counted.count(lambda: small(3, 0.5, "name", flag=True, label="text"))
    assert frames(counts) == (1, 1)
    assert counts.bytes_sent <= 128


@pytest.fixture
def call(request: pytest.FixtureRequest, counted: CountedRemote) -> Callable[[], object]:
    """A call of that name which has been made before."""
    numbers = np.zeros(512)
    array = counted.remote.array(numbers)
    if request.param == "copy_from":
        made: Callable[[], object] = partial(array.copy_from, numbers)
    else:
        function = counted.remote.get_function(f"bench.{request.param}")
        made = partial(function, array) if request.param == "mean" else function
    made()
    return made


@pytest.mark.parametrize(("call", "most"), [(c, n[0]) for c, n in CALLS.items()], indirect=["call"])
def test_a_call_runs_few_python_functions_here(call: Callable[[], object], most: int) -> None:
    assert min(python_calls(call) for _ in range(20)) <= most


@pytest.mark.parametrize(("call", "most"), [(c, n[1]) for c, n in CALLS.items()], indirect=["call"])
def test_a_call_runs_few_python_functions_over_there(
    counted: CountedRemote, call: Callable[[], object], most: int
) -> None:
    start = counted.remote.get_function("bench.start_counting")
    stop = counted.remote.get_function("bench.stop_counting")

    def served(number: int) -> int:
        start()
        for _ in range(number):
            call()
        return stop()["call"]

    assert min(served(60) - served(10) for _ in range(5)) / 50 <= most


def test_a_call_leaves_nothing_to_the_cycle_collector_here(null_call: Callable[[], object]) -> None:
    gc.collect()
    for _ in range(100):
        null_call()
    assert gc.collect() == 0


def test_a_call_leaves_little_to_the_cycle_collector_over_there(
    counted: CountedRemote, null_call: Callable[[], object]
) -> None:
    counted.remote.get_function("bench.start_hoarding")()
    for _ in range(100):
        null_call()
    found = counted.remote.get_function("bench.stop_hoarding")()
    assert found <= WORKER_GARBAGE


def test_a_freed_handle_rides_along_with_the_next_call(
    counted: CountedRemote, null_call: Callable[[], object]
) -> None:
    thing = counted.remote.get_function("bench.make")()
    freeing = counted.count(thing.free)
    assert (freeing.sends, freeing.frames_sent) in {(0, 0), (1, 1)}  # the housekeeper may be first
    after = counted.count(null_call)
    assert after.sends == 1
    assert freeing.frames_sent + after.frames_sent == 2


def test_a_call_that_is_given_an_array_is_as_small_as_any(counted: CountedRemote) -> None:
    mean = counted.remote.get_function("bench.mean")
    array = counted.remote.array(np.zeros(4))
    mean(array)
    counts = counted.count(lambda: mean(array))
    assert frames(counts) == (1, 1)
    assert (counts.sends, counts.receives) == (1, 1)
    assert counts.bytes_sent <= 64


def test_a_small_copy_is_one_frame_each_way(counted: CountedRemote) -> None:
    numbers = np.zeros(512)
    array = counted.remote.array(numbers)
    for copy in (array.copy_from, array.copy_to):
        copy(numbers)
        counts = counted.count(partial(copy, numbers))
        assert frames(counts) == (1, 1)
        assert (counts.sends, counts.receives) == (1, 1)


def test_submitted_calls_are_one_frame_each(counted: CountedRemote) -> None:
    nothing = counted.remote.get_function("bench.nothing")
    nothing()  # takes along what earlier tests have freed

    def burst() -> None:
        for future in [nothing.submit() for _ in range(100)]:
            future.result()

    counts = counted.count(burst)
    assert 100 <= counts.frames_sent <= 102  # and answers to a worker that asks how far we are
    assert counts.frames_received >= 100  # and a notice from a call that took long
    assert counts.receives <= counts.frames_received


def test_many_submitted_calls_take_few_system_calls(counted: CountedRemote) -> None:
    nothing = counted.remote.get_function("bench.nothing")
    nothing()
    worker = counted.remote.stats()["there"]["pid"]

    def burst() -> None:
        os.kill(worker, signal.SIGSTOP)  # else a quick one may keep up
        futures = [nothing.submit() for _ in range(1000)]
        os.kill(worker, signal.SIGCONT)
        for future in futures:
            future.result()

    counts = [counted.count(burst) for _ in range(8)]  # what is kept back is sent after a while
    assert min(each.sends for each in counts) <= 1000 / SUBMITTED_TOGETHER
    assert min(each.receives for each in counts) <= 1000 / SUBMITTED_TOGETHER


def test_a_submitted_call_is_few_objects_here(counted: CountedRemote) -> None:
    nothing = counted.remote.get_function("bench.nothing")
    nothing()

    def made(number: int) -> int:
        gc.collect()
        before = len(gc.get_objects())
        futures = [nothing.submit() for _ in range(number)]
        for future in futures:
            future.result()
        return len(gc.get_objects()) - before

    assert min(made(200) - made(100) for _ in range(3)) / 100 <= SUBMITTED_OBJECTS


def test_metadata_sends_nothing(counted: CountedRemote) -> None:
    array = counted.remote.zeros((3, 4))
    counts = counted.count(
        lambda: (array.shape, array.dtype, array.nbytes, repr(array), len(array))
    )
    assert counts == Counts(0, 0, 0, 0, 0, 0)


@pytest.mark.parametrize("pieces", [1, 8])
def test_an_upload_is_one_frame_a_mebibyte_and_one_reply(
    counted: CountedRemote, pieces: int
) -> None:
    words = np.arange(pieces * MIB // 8)
    array = counted.remote.array(words)
    counts = counted.count(lambda: array.copy_from(words))
    assert frames(counts) == (pieces, 1)
    assert counts.sends == pieces
    assert counts.bytes_sent - words.nbytes <= 64 * pieces


@pytest.mark.parametrize("pieces", [1, 8])
def test_a_download_is_one_request_and_one_frame_a_mebibyte(
    counted: CountedRemote, pieces: int
) -> None:
    array = counted.remote.array(np.arange(pieces * MIB // 8))
    target = np.empty(pieces * MIB // 8, int)
    counts = counted.count(lambda: array.copy_to(target))
    assert frames(counts) == (1, pieces)
    assert counts.sends == 1
    assert counts.bytes_received - target.nbytes <= 64 * pieces


def test_through_shared_memory_a_copy_sends_nothing() -> None:
    with server("benchmarks.serve", cores=[]) as started:
        counted = CountedRemote(started, shared=True)
        with counted.remote:
            words = np.arange(4 * MIB // 8)
            array = counted.remote.array(words)
            for copy in (array.copy_from, array.copy_to):
                assert counted.count(partial(copy, words)) == Counts(0, 0, 0, 0, 0, 0)
                assert peak_bytes(partial(copy, words)) <= SMALL
            assert counted.count(lambda: array.to_numpy(copy=False)) == Counts(0, 0, 0, 0, 0, 0)
            assert peak_bytes(lambda: array.to_numpy(copy=False)) <= SMALL


def test_an_array_operation_is_a_small_frame_that_goes_with_the_next_call(
    counted: CountedRemote, null_call: Callable[[], object]
) -> None:
    array = counted.remote.array(np.arange(MIB // 8))

    def work() -> None:
        array + 1
        null_call()

    work()  # the operation is looked up
    counts = counted.count(work)
    assert counts.frames_sent <= 3  # the operation, the call, and what was dropped before
    assert counts.frames_received == 2
    assert counts.sends <= 2
    assert counts.receives <= 2
    assert counts.bytes_sent <= 192
    assert counts.bytes_received <= 192


def test_an_array_operation_takes_little_memory_here(counted: CountedRemote) -> None:
    array = counted.remote.array(np.arange(MIB // 8))
    array + 1
    assert peak_bytes(lambda: array + 1) <= SMALL
    assert python_calls(lambda: array + 1) <= OPERATION_CALLS


def test_a_copy_makes_no_copy_of_the_bytes_here(counted: CountedRemote) -> None:
    words = np.arange(4 * MIB // 8)
    array = counted.remote.array(words)
    assert peak_bytes(lambda: array.copy_from(words)) <= SMALL
    assert peak_bytes(lambda: array.copy_to(words)) <= SMALL
    assert words.nbytes <= peak_bytes(array.to_numpy) <= words.nbytes + SMALL


def test_a_copy_makes_no_copy_of_the_bytes_over_there(counted: CountedRemote) -> None:
    words = np.arange(4 * MIB // 8)
    array = counted.remote.array(words)
    start = counted.remote.get_function("bench.start_tracing")
    stop = counted.remote.get_function("bench.stop_tracing")
    start()
    array.copy_from(words)
    array.copy_to(words)
    assert stop() <= 4 * SMALL  # with what the calls around it leave
