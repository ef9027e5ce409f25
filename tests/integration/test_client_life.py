"""What the programs of clients do: threads, event loops, forks, reloaded modules. Nothing hangs.

A few rounds by default, 200 every night, of all of it in one process with one session.
"""

from __future__ import annotations

import pytest

CODE = """
import asyncio, faulthandler, importlib, warnings
import rpcnb
from rpcnb.core.errors import SessionClosed
faulthandler.dump_traceback_later(10 + {rounds}, exit=True)
warnings.filterwarnings("ignore", message=".*fork.*", category=DeprecationWarning)
machine = rpcnb.connect(url, token=token)
echo = machine.get_function("t.echo")
wrong = []

def check(got, expected):
    if got != expected:
        wrong.append([got, expected])

def calls(name, count=20):
    for number in range(count):
        check(echo([name, number]), [name, number])

def in_threads():
    threads = [threading.Thread(target=calls, args=(name,)) for name in range(6)]
    for thread in threads:
        thread.start()
    return threads

async def in_tasks():
    numbers = await asyncio.gather(*(as_future(number) for number in range(20)))
    check(list(numbers), list(range(20)))

async def as_future(number):
    return await echo.submit(number)

def in_a_child():
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        try:
            echo(1)
        except SessionClosed:
            with rpcnb.connect(url, token=token) as own:
                status = own.get_function("t.echo")(2) != 2
    finally:
        os._exit(status)

for round_ in range({rounds}):
    threads = in_threads()
    child = in_a_child()
    asyncio.run(in_tasks())
    if round_ % 10 == 0:
        importlib.reload(rpcnb)
        importlib.reload(importlib.import_module("rpcnb.remote.function"))
    check(rpcnb.connect is not None and echo(round_), round_)
    for thread in threads:
        thread.join()
    check(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)
    faulthandler.dump_traceback_later(10, exit=True)
machine.close()
say(wrong)
"""


def run(server, eventually, rounds: int) -> None:
    client = server.client(CODE.replace("{rounds}", str(rounds)))
    assert client.hear() == [[]]
    assert client.end() == ""
    assert eventually(lambda: server.workers() == [], timeout=20.0)


@pytest.mark.slow
def test_threads_loops_forks_and_reloads_hang_nothing(server, eventually) -> None:
    run(server, eventually, 3)


@pytest.mark.nightly
@pytest.mark.timeout(600)
def test_200_rounds_of_threads_loops_forks_and_reloads_hang_nothing(server, eventually) -> None:
    run(server, eventually, 200)
