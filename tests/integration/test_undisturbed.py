"""Who shares a server with sessions that are killed waits no longer than beside those that leave.

The 99th percentile of a session's calls is measured three times in one run: alone, while others come
and leave, and while others come and are killed. Starting processes takes both of two cores, killed or
not, so that what killing adds is the third beside the second.
"""

from __future__ import annotations

import sys
from pathlib import Path
from time import perf_counter

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from leavers import CLIENTS  # beside this file, which is no package

ALONE = 3_000
"""Calls that nobody disturbs."""

WORKERS = """
numbers = random.Random(7)
amount, how = json.loads(sys.stdin.readline())
session.shutdown()
for number in range(amount):
    own = open_session(url, token=token)
    pid = own.call_func(own.get_function("t.pid"))
    time.sleep(numbers.uniform(0, 0.02))
    if how == "killed":
        os.kill(pid, signal.SIGKILL)
    own.shutdown()
say("done")
"""


def p99(seconds: list[float]) -> float:
    return sorted(seconds)[int(0.99 * len(seconds))]


def timed(call, goes_on) -> float:
    seconds = []
    while goes_on(len(seconds)):
        began = perf_counter()
        call()
        seconds.append(perf_counter() - began)
    return p99(seconds)


@pytest.mark.nightly
@pytest.mark.timeout(600)
@pytest.mark.parametrize("code", [CLIENTS, WORKERS], ids=["clients", "workers"])
def test_calls_of_others_wait_no_longer_for_kills(own_server, eventually, code) -> None:
    with own_server.connect() as bystander:
        echo = bystander.get_function("t.echo")

        def call() -> None:
            assert bystander.call_func(echo, (1,)) == 1

        found = {"alone": timed(call, lambda made: made < ALONE)}
        for how in ("leaving", "killed"):
            client = own_server.client(code)
            client.process.stdin.write(f'[500, "{how}"]\n')
            client.process.stdin.flush()
            found[how] = timed(call, lambda _, client=client: not client.has_spoken())
            assert client.hear() == ["done"]
            assert client.end() == ""
            assert eventually(lambda: len(own_server.workers()) == 1, timeout=10.0)
    print({how: f"{1e3 * seconds:.2f} ms" for how, seconds in found.items()})
    assert found["killed"] <= 3 * found["leaving"]
