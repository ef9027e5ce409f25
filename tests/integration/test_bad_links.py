"""Two hosts and a bad network between them: no wrong result, no death that is none.

The network is `rpcnb.testing.BadLink`: the system's own TCP over packets that are late, lost,
repeated or in the wrong order. Beyond one machine all is encrypted, and so it is here.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import contextmanager
from statistics import median
from time import monotonic

import pytest

from rpcnb.testing import BadLink, Quality
from rpcnb.testing.bad_link import obstacle

WHY_NOT = obstacle()
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)

MIB = 1 << 20
LINKS = (
    (0.001, 0.0, 8 * MIB, 5),
    (0.04, 0.0, 8 * MIB, 5),
    (0.2, 0.0, 8 * MIB, 3),
    (0.001, 0.01, 8 * MIB, 5),
    (0.04, 0.01, MIB, 5),
)
"""Round trip [s], share of packets lost, bytes to copy, and how often."""
RETRY = 45.0
"""Seconds in which a client is back when the network is: TCP and we try again less and less often."""

COUNTING = """
from rpcnb.core.device import CPU
from rpcnb.core.events import EVENTS, SessionChanged
states, over = [], threading.Event()
def note(subscription):
    states.extend([e.state, e.time] for e in subscription.drain() if type(e) is SessionChanged)
events = EVENTS.subscribe(1000)
increase, acknowledged, unknown = session.get_function("t.increase"), 0, 0
threading.Thread(target=lambda: (sys.stdin.readline(), over.set()), daemon=True).start()
while not over.is_set():
    if acknowledged == 20:
        say("ready")
    try:
        session.call_func(increase, (acknowledged + unknown,))
        acknowledged += 1
    except OutcomeUnknown:
        unknown += 1
    note(events)
note(events)
calls, different = session.call_func(session.get_function("t.counted"))
say(acknowledged, unknown, calls, different, states)
"""

WORKING = """
from rpcnb.core.device import CPU
from rpcnb.core.events import EVENTS, SessionChanged
calls, nbytes = json.loads(sys.stdin.readline())
events = EVENTS.subscribe(1000)
echo = remote("t.echo")
wrong = [number for number in range(calls) if echo([number, "x" * number]) != [number, "x" * number]]
content, back = random.Random(1).randbytes(nbytes), bytearray(nbytes)
array = session.get_device_api(CPU).alloc_data(CPU, (nbytes,), "|u1")
session.copy_to_remote(content, array, nbytes)
session.copy_from_remote(array, back, nbytes)
changes = [e.state for e in events.drain() if type(e) is SessionChanged]
say(wrong, content == back, changes, session.statistics()["connections"])
"""


RAW = """
import socket, sys
host = sys.argv[1]
listener = socket.create_server((host, 0))
print(listener.getsockname()[1], flush=True)
way = listener.accept()[0].makefile("rwb")
while order := way.readline():
    kind, nbytes = order.split()
    if kind == b"up":
        way.read(int(nbytes))
        way.write(b"!")
    else:
        way.write(bytes(int(nbytes)))
    way.flush()
"""

RACING = """
import socket
from rpcnb.core.device import CPU
host, port, nbytes, rounds = json.loads(sys.stdin.readline())
line = socket.create_connection((host, port))
way = line.makefile("rwb")
content, back = random.Random(1).randbytes(nbytes), bytearray(nbytes)
array = session.get_device_api(CPU).alloc_data(CPU, (nbytes,), "|u1")
def raw_up():
    way.write(b"up %d\\n" % nbytes + content); way.flush(); way.read(1)
def raw_down():
    way.write(b"down %d\\n" % nbytes); way.flush(); way.readinto(back)
def took(work, *args):
    began = time.monotonic()
    work(*args)
    return time.monotonic() - began
seconds = []
for _ in range(rounds):
    up = took(raw_up), took(session.copy_to_remote, content, array, nbytes)
    down = took(raw_down), took(session.copy_from_remote, array, back, nbytes)
    seconds.append([up, down])
way.close()
line.close()
say(seconds, content == back)
"""


@contextmanager
def client_at_the_other_end(start_server, link: BadLink, code: str):
    with start_server(where=link.far, host=link.far_address, grace=300.0) as server:
        assert server.url.startswith("tls://")
        yield server.client(code, link.near)


def survive(start_server, blocked: str, seconds: float) -> list[tuple[str, float]]:
    """Let the network be away for a while; return what the client saw, and when [s]."""
    with (
        BadLink(Quality(delay=0.002)) as link,
        client_at_the_other_end(start_server, link, COUNTING) as client,
    ):
        assert client.hear() == ["ready"]
        began = monotonic()
        link.quality = Quality(delay=0.002, blocked=blocked)
        threading.Event().wait(seconds)
        assert link.lost > 0
        link.quality = Quality(delay=0.002)
        client.process.stdin.write("\n")
        client.process.stdin.flush()
        acknowledged, unknown, calls, different, states = client.hear()
        assert client.end() == ""
    assert calls == different, "duplicates"
    assert unknown == 0
    assert acknowledged == calls > 20
    seen = [(state, round(when - began, 1)) for state, when in states]
    print(f"{blocked} blocked for {seconds} s: {acknowledged} calls, {seen}")
    return seen


@pytest.mark.slow
def test_a_network_that_is_away_for_a_second_is_not_noticed(start_server) -> None:
    assert survive(start_server, "both", 1.0) == []


@pytest.mark.nightly
@pytest.mark.timeout(400)
@pytest.mark.parametrize("blocked", ["both", "up", "down"])
@pytest.mark.parametrize("seconds", [25.0, 120.0])
def test_a_network_that_is_away_for_longer_is_noticed_and_come_back_from(
    start_server, blocked, seconds
) -> None:
    seen = survive(start_server, blocked, seconds)
    when = dict(reversed(seen))  # the first of each
    assert when["suspect"] <= 13.0
    assert when["detached"] <= 21.0
    assert seen[-1][0] == "live"
    assert seconds <= seen[-1][1] <= seconds + RETRY


def work(start_server, quality: Quality, mtu: int, calls: int, nbytes: int) -> None:
    with (
        BadLink(quality, mtu=mtu) as link,
        client_at_the_other_end(start_server, link, WORKING) as client,
    ):
        client.process.stdin.write(f"[{calls}, {nbytes}]\n")
        client.process.stdin.flush()
        assert client.hear() == [[], True, [], 1]  # all right, no state but live, one connection
        assert client.end() == ""
        print(f"{quality} {mtu}: {sum(link.packets)} packets, {link.lost} lost")


@pytest.mark.slow
def test_all_is_right_over_a_link_of_40_ms_that_loses_1_percent(start_server) -> None:
    work(start_server, Quality(delay=0.02, loss=0.01), 1500, 20, MIB // 4)


@pytest.mark.nightly
@pytest.mark.timeout(900)
@pytest.mark.parametrize("mtu", [576, 1500])
@pytest.mark.parametrize("loss", [0.0, 0.01, 0.05])
@pytest.mark.parametrize("round_trip", [0.001, 0.04, 0.2])
def test_all_is_right_over_bad_links(start_server, round_trip, loss, mtu) -> None:
    delay = round_trip / 2
    # A way of which 5 % is lost, 200 ms long, carries 30 KiB a second, whoever sends.
    nbytes = MIB // 2 if loss * round_trip > 0.001 or mtu < 1500 else 8 * MIB
    work(start_server, Quality(delay, delay / 2, loss, 0.01), mtu, 100, nbytes)


@contextmanager
def raw_server(link: BadLink):
    """Listen over there with nothing but TCP; give the port."""
    command = [*link.far, sys.executable, "-c", RAW, link.far_address]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


def race(start_server, quality: Quality, nbytes: int, rounds: int) -> list[float]:
    """Copy there and back, by turns with bare TCP; return how fast that was, as shares of TCP's."""
    with (
        BadLink(quality) as link,
        raw_server(link) as port,
        client_at_the_other_end(start_server, link, RACING) as client,
    ):
        client.process.stdin.write(f'["{link.far_address}", {port}, {nbytes}, {rounds}]\n')
        client.process.stdin.flush()
        seconds, same = client.hear()
        assert client.end() == ""
    assert same
    shares = []
    for way in (0, 1):
        raw, ours = (median(pair[way][which] for pair in seconds) for which in (0, 1))
        shares.append(raw / ours)
        print(
            f"{quality} {('up', 'down')[way]}: {nbytes / MIB / raw:.2f} MiB/s raw, {raw / ours:.0%}"
        )
    return shares


@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_copies_over_bad_links_have_60_percent_of_the_speed_of_bare_tcp(start_server) -> None:
    shares = []
    for round_trip, loss, nbytes, rounds in LINKS:
        quality = Quality(round_trip / 2, round_trip / 8, loss)
        shares += race(start_server, quality, nbytes, rounds)
    print(f"median {median(shares):.0%}, least {min(shares):.0%}")
    assert median(shares) >= 0.6
