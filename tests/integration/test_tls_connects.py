"""Many clients that come, call and go over TLS: none is lost on the way, and nothing is left."""

from __future__ import annotations

import psutil
import pytest

AT_ONCE = 8

COME_AND_GO = f"""
from collections import Counter
session.shutdown()

def come_and_go(amount):
    outcomes, seconds = Counter(), []
    left, lock = iter(range(amount)), threading.Lock()

    def work():
        while True:
            with lock:
                number = next(left, None)
            if number is None:
                return
            began = time.monotonic()
            try:
                with open_session(url, token=token, timeout=30.0) as session:
                    echoed = session.call_func(session.get_function("t.echo"), (number,))
                outcome = "fine" if echoed == number else "wrong"
            except Exception as error:
                outcome = f"{{type(error).__name__}}: {{error}}"
            with lock:
                outcomes[outcome] += 1
                seconds.append(time.monotonic() - began)

    threads = [threading.Thread(target=work) for _ in range({AT_ONCE})]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds.sort()
    return outcomes, amount / (time.monotonic() - start), seconds[int(0.99 * amount)]

while True:
    say(*come_and_go(json.loads(sys.stdin.readline())))
"""
"""Clients, several at once, each of which connects, calls once and leaves: a process of their own, that
nothing of this one's is counted with them."""


def come_and_go(clients, amount: int) -> dict[str, int]:
    """Let them come and go; count how it went."""
    clients.process.stdin.write(f"{amount}\n")
    clients.process.stdin.flush()
    outcomes, rate, slow = clients.hear()
    print(f"{rate:.0f} clients a second, p99 from connecting to leaving {1e3 * slow:.0f} ms")
    return outcomes


def run(start_server, eventually, amount: int) -> None:
    with start_server(host="0.0.0.0") as server:
        assert server.url.startswith("tls://")
        clients = server.client(COME_AND_GO)
        come_and_go(clients, 2 * AT_ONCE)  # so that threads and caches are there
        assert eventually(lambda: server.workers() == [], timeout=20.0)
        broker = psutil.Process(server.pid)
        files, threads = broker.num_fds(), broker.num_threads()
        assert come_and_go(clients, amount) == {"fine": amount}
        assert eventually(lambda: server.workers() == [], timeout=20.0)
        assert eventually(lambda: broker.num_fds() <= files + 2, timeout=10.0)
        assert eventually(lambda: broker.num_threads() <= threads + 2, timeout=10.0)


def test_200_clients_over_tls_are_all_served_and_leave_nothing(start_server, eventually) -> None:
    run(start_server, eventually, 200)


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_12_000_clients_over_tls_are_all_served_and_leave_nothing(start_server, eventually) -> None:
    run(start_server, eventually, 12_000)
