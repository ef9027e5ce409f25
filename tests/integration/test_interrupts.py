"""The stop button: a SIGINT to a client process stops the remote call, and only that."""

from __future__ import annotations

import threading
from time import monotonic

import pytest

STOPPABLE = """
class Watch(CallObserver):
    def started(self): say("running")
f, echo = remote({name!r}), remote("t.echo")
try:
    f({seconds}, observer=Watch())
    say("ended by itself")
except RemoteInterrupted as error:
    say("interrupted", error.confirmed, str(error))
say([echo(n) for n in (11, 12, 13)], session.statistics()["calls_in_flight"])
"""


@pytest.mark.parametrize("name", ["t.loop", "t.sleep"])
def test_a_call_of_60_seconds_is_stopped_and_the_next_ones_are_right(server, name) -> None:
    client = server.client(STOPPABLE.format(name=name, seconds=60))
    assert client.hear() == ["running"]
    client.interrupt()
    pressed = monotonic()
    kind, confirmed, text = client.hear()
    seconds = monotonic() - pressed
    assert (kind, confirmed) == ("interrupted", True), text
    assert "confirmed by srv" in text
    assert client.hear() == [[11, 12, 13], 0]
    assert client.end() == ""
    assert seconds < 0.5, f"control was back after {seconds:.3f} s, promised: 0.5 s"


UNSTOPPABLE = """
class Watch(CallObserver):
    def started(self): say("running")
f, echo = remote({name!r}), remote("t.echo")
before = time.monotonic()
try:
    f(3.0, observer=Watch())
except RemoteInterrupted as error:
    say("interrupted", error.confirmed, str(error), time.monotonic() - before)
say(session.ping() < 1.0)
say([echo(n) for n in (11, 12, 13)])
"""


@pytest.mark.parametrize("name", ["t.stubborn", "t.deaf"])
def test_a_second_press_gives_control_back_from_a_call_that_cannot_be_stopped(server, name) -> None:
    client = server.client(UNSTOPPABLE.format(name=name))
    assert client.hear() == ["running"]
    client.interrupt()
    wait_a_little()
    client.interrupt()
    kind, confirmed, text, seconds = client.hear()
    assert (kind, confirmed) == ("interrupted", False)
    assert "may still run on srv" in text
    assert seconds < 2.5, "control came back only when the call was over"
    assert client.hear() == [True]
    assert client.hear() == [[11, 12, 13]], "the session goes on when the call is over"
    assert client.end() == ""


def test_a_second_press_leaves_a_server_that_does_not_answer_and_the_session_lives(
    own_server,
) -> None:
    client = own_server.client("""
class Watch(CallObserver):
    def started(self): say("running")
sleep, echo = remote("t.sleep"), remote("t.echo")
try:
    sleep(60, observer=Watch())
except RemoteInterrupted as error:
    say("interrupted", error.confirmed, session.closed)
say(echo(7), echo(8))
""")
    assert client.hear() == ["running"]
    (worker,) = own_server.workers()
    worker.suspend()
    try:
        began = monotonic()
        for _ in range(2):
            wait_a_little()
            client.interrupt()
        assert client.hear() == ["interrupted", False, False]
        assert monotonic() - began < 5.0
    finally:
        worker.resume()
    assert client.hear() == [7, 8]
    assert client.end() == ""


PRESSED = """
from collections import Counter
def under_presses(work, *, presses, longest, seed):
    # Work until all presses of Ctrl-C came, each up to `longest` seconds after the one before;
    # count what left the work. The first waits for it: in Thread.start() it would end the program.
    main, at_work, over = threading.main_thread().ident, threading.Event(), threading.Event()
    def press():
        numbers = random.Random(seed)
        at_work.wait()
        for _ in range(presses):
            time.sleep(numbers.random() * longest)
            signal.pthread_kill(main, signal.SIGINT)
        over.set()
    left = Counter()
    thread = threading.Thread(target=press)
    thread.start()
    while thread.is_alive():
        try:
            at_work.set()
            while not over.is_set():
                work()
            thread.join()
        except (KeyboardInterrupt, RemoteInterrupted) as error:
            left[type(error).__name__] += 1
    return left
"""

STORM = (
    PRESSED
    + """
names = ["t.echo", "t.double", "t.negate"]
functions = [remote(name) for name in names]
expected = [lambda n: n, lambda n: 2 * n, lambda n: -n]
nap = remote("t.sleep")
ends = dict(own=0, other=[], wrong=[])
n = 0
def call():
    global n
    n += 1
    which = n % 4
    try:
        if which == 3:
            nap(0.004)
            return
        answer = functions[which](n)
    except RemoteInterrupted:
        raise
    except Exception as error:
        ends["other"].append(repr(error))
        return
    if answer == expected[which](n):
        ends["own"] += 1
    else:
        ends["wrong"].append([names[which], n, answer])
left = under_presses(call, presses={presses}, longest=0.012, seed={presses})
say(ends | left, session.statistics()["calls_in_flight"], functions[0](5))
"""
)


def storm(server, presses: int) -> None:
    client = server.client(STORM.format(presses=presses))
    ends, in_flight, last = client.hear()
    assert client.end() == ""
    report = f"{presses} interrupts: {ends}"
    assert ends["wrong"] == [], report
    assert ends["other"] == [], report
    assert ends["RemoteInterrupted"] > presses // 10, report
    assert ends["own"] > 0, report
    assert (in_flight, last) == (0, 5), report


@pytest.mark.untraced
def test_200_interrupts_at_random_moments_never_give_a_wrong_answer(server) -> None:
    storm(server, 200)


@pytest.mark.nightly
def test_5000_interrupts_at_random_moments_never_give_a_wrong_answer(server) -> None:
    storm(server, 5000)


COPY = """
import numpy as np
size = 1 << 29
pattern = np.arange(1 << 16, dtype="u8").view("u1")
mine = bytearray(size)
array = remote("t.zeros")(size)
echo, checksum = remote("t.echo"), remote("t.checksum")
say("ready")
try:
    while True:  # one may be over before the interrupt comes
        session.{method}({args})
except RemoteInterrupted as error:
    say("interrupted", error.confirmed, str(error))
say([echo(n) for n in (11, 12, 13)])
small = pattern[: 1 << 16].tobytes()
session.copy_to_remote(small, array, len(small))
back = bytearray(len(small))
session.copy_from_remote(array, back, len(back))
say(back == small, session.statistics()["calls_in_flight"])
"""


@pytest.mark.parametrize(
    ("method", "args"),
    [("copy_to_remote", "mine, array, size"), ("copy_from_remote", "array, mine, size")],
)
def test_a_copy_is_stopped_and_the_next_one_is_right(server, method, args) -> None:
    client = server.client(COPY.format(method=method, args=args))
    assert client.hear() == ["ready"]
    wait_a_little(0.1)
    client.interrupt()
    pressed = monotonic()
    assert client.hear()[:2] == ["interrupted", True]
    seconds = monotonic() - pressed
    assert client.hear() == [[11, 12, 13]]
    assert client.hear() == [True, 0]
    assert client.end() == ""
    assert seconds < 0.5, f"control was back after {seconds:.3f} s, promised: 0.5 s"


def test_an_interrupt_in_a_callback_stops_the_call_it_serves(server) -> None:
    client = server.client("""
from rpcnb.core.values import CallbackRef, FunctionInfo
class Lender(CallObserver):
    def call_back(self, callback, args, kwargs):
        say("in callback")
        while True:
            time.sleep(0.01)
call, echo = remote("t.call"), remote("t.echo")
try:
    call(CallbackRef(1, FunctionInfo("mine")), 1, observer=Lender())
    say("ended by itself")
except RemoteInterrupted as error:
    say("interrupted", error.confirmed)
say([echo(n) for n in (11, 12, 13)], session.statistics()["calls_in_flight"])
""")
    assert client.hear() == ["in callback"]
    client.interrupt()
    pressed = monotonic()
    assert client.hear() == ["interrupted", True]
    assert monotonic() - pressed < 0.5
    assert client.hear() == [[11, 12, 13], 0]
    assert client.end() == ""


def test_interrupts_while_calls_are_submitted_lose_none(server) -> None:
    client = server.client(
        PRESSED
        + """
ref = session.get_function("t.echo")
ends, n = {}, 0
class Keep:
    def __init__(self, number): self.number = number
    def __call__(self, status, value): ends.setdefault(self.number, []).append([status.name, value])
def submit():
    global n
    n += 1
    session.async_call_func(ref, (n,), {}, Keep(n))
    if n % 100 == 0:
        session.ping(20)
under_presses(submit, presses=100, longest=0.004, seed=3)
echo = remote("t.echo")
echo(0)
wrong = [
    [k, v] for k, v in ends.items()
    if len(v) != 1 or v[0] not in (["RETURN", k], ["CANCELLED", None])
]
say(wrong, session.statistics()["calls_in_flight"], len(ends))
"""
    )
    wrong, in_flight, count = client.hear()
    assert client.end() == ""
    assert wrong == []
    assert in_flight == 0
    assert count > 100


def wait_a_little(seconds: float = 0.3) -> None:
    """Let something happen in another process that announces it to nobody."""
    threading.Event().wait(seconds)


HANDLES = (
    PRESSED
    + """
import gc
import numpy as np
from rpcnb.remote.client import Remote
lab = Remote(session)
make, zeros, checksum = map(lab.get_function, ["t.objects", "t.zeros", "t.checksum"])
ask = lab.builtin("rpcnb.statistics")
small = np.arange(8.0)
def some():
    one, array, copy = zeros(16), lab.array(small), lab.zeros(8)
    copy.copy_from(small)
    return (checksum(one), array.to_numpy().tolist(), copy.to_numpy().tolist())
expected = some()
before = ask()["handles"]
rounds, wrong = 0, []
def round_of_it():
    global rounds
    found = some()
    rounds += 1
    if found != expected:
        wrong.append(repr(found))
hits = under_presses(round_of_it, presses={presses}, longest=0.004, seed=5).total()
gc.collect()
lab.arrays.settle()
say(hits, rounds, wrong, ask()["handles"] - before)
"""
)


@pytest.mark.untraced
@pytest.mark.parametrize(
    "presses", [100, pytest.param(5000, marks=pytest.mark.nightly)], ids=["few", "many"]
)
def test_interrupts_lose_no_handle_and_mix_no_arrays(server, presses) -> None:
    client = server.client(HANDLES.format(presses=presses))
    hits, rounds, wrong, left = client.hear()
    assert client.end() == ""
    assert hits > presses // 2
    assert rounds > 0
    assert (wrong, left) == ([], 0)
