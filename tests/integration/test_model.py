"""Whole sessions over real sockets, beside a model of them: whatever is done in whatever order.

Rules upload, call, start, cancel and drop; cut the connection, kill the worker and rotate the secret.
5,000 steps by default, 500,000 every night; some do nothing when it is their turn.
"""

from __future__ import annotations

import os
import random
import signal
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from rpcnb.core.device import CPU
from rpcnb.core.errors import InvalidHandle, OutcomeUnknown, WorkerDied
from rpcnb.endpoint.client.connect import ask_status, open_session
from rpcnb.endpoint.credentials import read_connection_file
from rpcnb.session.base import CallStatus
from rpcnb.session.observer import ENDED_CALL
from rpcnb.testing import FaultProxy

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.core.values import ArrayRef

PATIENCE = 20.0

NAMES = ("increase", "counted", "negate", "checksum", "loop", "echo", "pid")
SIZES = st.sampled_from([8, 4096, 4104, 1 << 16, 300_000])
"""Bytes, all whole words: what is copied by a call, by one piece, and by more."""
STEPS = 100
"""Of each session, or of those that follow one that ended."""
CHOICES = st.integers(0, 2**16)


@dataclass
class Out:
    """A call that was started: nobody has been told its end yet."""

    number: int | None
    """What it increases the counter with; None for one that never ends by itself."""
    cancelled: bool = False
    """It was asked to stop, and may have ended before."""


@dataclass
class Model:
    """What a session holds and has done, as if nothing ever went wrong.  Its calls run in order, each once, whatever becomes of its connections."""

    arrays: dict[int, bytearray] = field(default_factory=dict)
    """Slot -> content."""
    dropped: set[int] = field(default_factory=set)
    """Slots that were given up."""
    count: int = 0
    """How often the counter was increased."""
    out: list[Out] = field(default_factory=list)
    rotated: bool = False
    """The secret that it was opened with is worth nothing any more."""

    @property
    def blocked(self) -> bool:
        """Whether a call is under way behind which nothing else begins."""
        return any(call.number is None for call in self.out)

    def upload(self, slot: int, content: bytes) -> None:
        self.arrays[slot] = bytearray(content)

    def write(self, slot: int, content: bytes) -> None:
        self.arrays[slot][: len(content)] = content

    def negate(self, slot: int, into: int) -> None:
        self.arrays[into] = bytearray(-byte & 0xFF for byte in self.arrays[slot])

    def drop(self, slot: int) -> None:
        del self.arrays[slot]
        self.dropped.add(slot)

    def increase(self) -> int:
        """Return what the next call to increase the counter returns."""
        self.count += 1
        return self.count

    def started(self, number: int | None) -> None:
        self.out.append(Out(number))

    def is_not_over(self, place: int) -> bool:
        """Tell whether it is certain that a call goes on: it never ends, or waits behind such a one."""
        return any(call.number is None for call in self.out[: place + 1])

    def ended(self, place: int, returned: int | None) -> None:
        """Take note of the end of the call at that place; None where it was stopped.

        Raises
        ------
        AssertionError
            It could not end like this.
        """
        call = self.out.pop(place)
        if returned is None:
            assert call.cancelled, "it was stopped, and nobody asked for that"
            return
        assert call.number is not None, "what never ends has ended"
        assert place == 0, "it overtook another call"
        assert returned == self.increase(), "a call ran twice, or not at all"


class Ending:
    """How a call ended; its callback."""

    def __init__(self) -> None:
        self.running = ENDED_CALL
        self.all: list[tuple[CallStatus, object]] = []
        self.come = threading.Event()

    def __call__(self, status: CallStatus, value: object) -> None:
        self.all.append((status, value))
        self.come.set()


class Sessions(RuleBasedStateMachine):
    """Does to a session what is done to its model.

    Which rules are possible does not depend on how far the calls are that were started, for that is
    another thing in each run.
    """

    server: ClassVar[Any]
    way: ClassVar[FaultProxy]
    token: ClassVar[str]
    eventually: ClassVar[Callable[..., bool]]
    steps: ClassVar[dict[str, int]]

    def __init__(self) -> None:
        super().__init__()
        self.numbers = iter(range(10**9))

    @initialize()
    def connect(self) -> None:
        self.model = Model()
        self.fresh = self.cut_since = False
        self.session = open_session(self.way.url, token=self.token)
        self.functions = {name: self.session.get_function(f"t.{name}") for name in NAMES}
        self.refs: dict[int, ArrayRef] = {}
        self.endings: list[Ending] = []
        self.pid = self.call("pid")
        small = self.session.get_device_api(CPU).alloc_data(CPU, (8,), "|u1")
        self.session.copy_to_remote(bytes(8), small, 8)
        self.session.copy_from_remote(small, bytearray(8), 8)  # whose functions are kept
        self.session.free_handle(small.handle, small.type_code)
        self.functions["statistics"] = self.session.get_function("rpcnb.statistics")
        self.known = self.call("statistics")["handles"]

    def call(self, name: str, *args: object) -> object:
        return self.session.call_func(self.functions[name], args)

    def note(self, name: str) -> None:
        """Count a rule; what it left unsettled is looked at after the next one."""
        self.steps[name] = self.steps.get(name, 0) + 1
        self.fresh = name == "cut"
        self.cut_since = self.cut_since or self.fresh

    def one_of(self, choice: int) -> int:
        return sorted(self.model.arrays)[choice % len(self.model.arrays)]

    def has_arrays(self) -> bool:
        return bool(self.model.arrays)

    def is_free(self) -> bool:
        return not self.model.blocked

    def may_copy(self) -> bool:
        """Tell whether a copy ends: one that was cut is compared at the end, which is a call."""
        return self.is_free() or not self.cut_since

    # --- what clients do ------------------------------------------------------------------------

    @precondition(may_copy)
    @rule(size=SIZES, seed=CHOICES)
    def upload(self, size: int, seed: int) -> None:
        self.note("upload")
        slot, content = next(self.numbers), random.Random(seed).randbytes(size)
        api = self.session.get_device_api(CPU)
        self.refs[slot] = api.alloc_data(CPU, (size,), "|u1")
        self.session.copy_to_remote(content, self.refs[slot], size)
        self.model.upload(slot, content)

    @precondition(lambda self: self.has_arrays() and self.may_copy())
    @rule(choice=CHOICES, seed=CHOICES)
    def write(self, choice: int, seed: int) -> None:
        self.note("write")
        slot = self.one_of(choice)
        size = len(self.model.arrays[slot])
        content = random.Random(seed).randbytes(seed % size + 1)
        self.session.copy_to_remote(content, self.refs[slot], len(content))
        self.model.write(slot, content)

    @precondition(lambda self: self.has_arrays() and self.may_copy())
    @rule(choice=CHOICES)
    def download(self, choice: int) -> None:
        self.note("download")
        self.compare(self.one_of(choice))

    def compare(self, slot: int) -> None:
        content = self.model.arrays[slot]
        back = bytearray(len(content))
        self.session.copy_from_remote(self.refs[slot], back, len(back))
        assert back == content

    @precondition(lambda self: self.has_arrays() and self.is_free())
    @rule(choice=CHOICES)
    def compute(self, choice: int) -> None:
        self.note("compute")
        slot, into = self.one_of(choice), next(self.numbers)
        self.refs[into] = self.call("negate", self.refs[slot])
        self.model.negate(slot, into)

    @precondition(has_arrays)
    @rule(choice=CHOICES)
    def drop(self, choice: int) -> None:
        self.note("drop")
        slot = self.one_of(choice)
        self.session.free_handle(self.refs[slot].handle, self.refs[slot].type_code)
        self.model.drop(slot)

    @precondition(lambda self: self.model.dropped and self.is_free())
    @rule(choice=CHOICES)
    def use_what_was_dropped(self, choice: int) -> None:
        self.note("use_what_was_dropped")
        slot = sorted(self.model.dropped)[choice % len(self.model.dropped)]
        with pytest.raises(InvalidHandle):
            self.call("checksum", self.refs[slot])

    @precondition(is_free)
    @rule()
    def increase(self) -> None:
        self.note("increase")
        returned = self.call("increase", next(self.numbers))
        self.take_note()
        assert self.model.out == [], "what was started before has ended before"
        assert returned == self.model.increase()

    @rule(amount=st.integers(1, 5))
    def start(self, amount: int) -> None:
        self.note("start")
        for _ in range(amount):
            number = next(self.numbers)
            self.begin("increase", number)
            self.model.started(number)

    @precondition(is_free)
    @rule()
    def block(self) -> None:
        self.note("block")
        self.begin("loop", 3600)
        self.model.started(None)

    def begin(self, name: str, argument: int) -> None:
        ending = Ending()
        ending.running = self.session.async_call_func(self.functions[name], (argument,), {}, ending)
        self.endings.append(ending)

    @rule(choice=CHOICES)
    def cancel(self, choice: int) -> None:
        self.note("cancel")
        places = [n for n, call in enumerate(self.model.out) if call.number is not None]
        if places:
            self.stop(places[choice % len(places)])

    @precondition(lambda self: self.model.blocked)
    @rule()
    def unblock(self) -> None:
        self.note("unblock")
        self.stop(next(n for n, call in enumerate(self.model.out) if call.number is None))

    def stop(self, place: int) -> None:
        ending, call = self.endings[place], self.model.out[place]
        is_certain, call.cancelled = self.model.is_not_over(place), True
        ending.running.cancel()
        if is_certain:
            assert ending.come.wait(PATIENCE)
            assert ending.all[0] == (CallStatus.CANCELLED, None)
            self.take_note()

    @precondition(is_free)
    @rule()
    def settle(self) -> None:
        self.note("settle")
        self.resume()
        for ending in self.endings:
            assert ending.come.wait(PATIENCE)
        self.take_note()
        assert self.model.out == []

    def take_note(self) -> None:
        """Tell the model what has ended."""
        place = 0
        while place < len(self.endings):
            if not self.endings[place].come.is_set():
                place += 1
                continue
            (told,) = self.endings.pop(place).all
            status, value = told
            assert status in {CallStatus.RETURN, CallStatus.CANCELLED}
            self.model.ended(place, value if status is CallStatus.RETURN else None)

    # --- what happens to them ---------------------------------------------------------------------

    @rule(kind=st.sampled_from(["cut", "reset"]))
    def cut(self, kind: str) -> None:
        self.note("cut")
        getattr(self.way, kind)()
        if self.model.rotated:
            self.expect_the_end(OutcomeUnknown)

    @rule()
    def resume(self) -> None:
        self.note("resume")
        assert self.session.ping(PATIENCE) < PATIENCE
        self.cut_since = False

    @rule(roll=CHOICES, orderly=st.booleans())
    def kill(self, roll: int, orderly: bool) -> None:
        if roll % 4 != 2:  # zero comes more often than others
            return  # else sessions would not get old
        self.note("kill")
        if orderly and not self.model.rotated:
            self.session.kill()
        else:
            os.kill(self.pid, signal.SIGKILL)
        self.expect_the_end(OutcomeUnknown if self.model.rotated else WorkerDied)

    def expect_the_end(self, error: type[Exception]) -> None:
        with pytest.raises(error):
            self.ping_for_ever()
        for ending in self.endings:
            assert ending.come.wait(PATIENCE)
            (told,) = ending.all
            assert told[0] is not CallStatus.LOST or isinstance(told[1], error)
        self.session.shutdown()
        self.connect()

    def ping_for_ever(self) -> None:
        while True:
            self.session.ping(PATIENCE)

    @precondition(lambda self: not self.model.rotated)
    @rule(roll=CHOICES)
    def rotate(self, roll: int) -> None:
        if roll % 4 != 2:
            return  # else half of all sessions would end with their first cut
        self.note("rotate")
        self.resume()  # whoever is away now cannot come back afterwards
        assert self.eventually(lambda: len(self.way._pairs) == 1), "those that were cut are gone"
        self.resume()
        path = Path(self.server.options["connection_file"])
        ask_status(self.server.url, read_connection_file(path).admin, command="rotate")
        type(self).token = read_connection_file(path).token
        self.model.rotated = True

    # --- what always holds ------------------------------------------------------------------------

    @invariant()
    def each_call_ends_once_in_order_with_what_it_should(self) -> None:
        self.take_note()

    @invariant()
    def the_other_side_has_what_the_model_has(self) -> None:
        if self.fresh or self.model.out:
            return
        assert self.call("counted") == [self.model.count, self.model.count]
        told = self.call("statistics")
        assert told["handles"] == self.known + len(self.model.arrays)
        assert (told["bad_frees"], told["calls_running"]) == (0, 1)

    def teardown(self) -> None:
        if not hasattr(self, "session"):
            return
        if self.model.blocked:
            self.unblock()
        self.settle()
        for slot in self.model.arrays:
            self.compare(slot)
        self.fresh = self.cut_since = False
        self.the_other_side_has_what_the_model_has()
        self.session.shutdown()


def take_steps(server: Any, eventually: Callable[..., bool], amount: int) -> None:
    with FaultProxy(server.url) as way:
        Sessions.server, Sessions.way, Sessions.token = server, way, server.token
        Sessions.steps, Sessions.eventually = {}, staticmethod(eventually)
        examples = settings(
            max_examples=amount // STEPS,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        run_state_machine_as_test(Sessions, settings=examples)
    done = sum(Sessions.steps.values())
    print(f"{done} of {amount} steps did something: {Sessions.steps}")
    assert done >= amount // 2, "some rules are none when it is their turn"
    assert eventually(lambda: server.workers() == [], timeout=20.0)
    assert eventually(lambda: server.session_folders() == [])


@pytest.fixture(autouse=True)
def by_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RPCNB_SHARED_MEMORY", "off")


def test_5000_steps_leave_sessions_as_their_model_says(start_server, eventually, tmp_path) -> None:
    with start_server(grace=3.0, connection_file=str(tmp_path / "c.json")) as server:
        take_steps(server, eventually, 5_000)


@pytest.mark.nightly
@pytest.mark.timeout(7200)
def test_500_000_steps_leave_sessions_as_their_model_says(
    start_server, eventually, tmp_path
) -> None:
    with start_server(grace=3.0, connection_file=str(tmp_path / "c.json")) as server:
        take_steps(server, eventually, 500_000)
