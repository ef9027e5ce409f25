"""Many clients that come, call and go over TLS: none is lost on the way, and nothing is left."""

from __future__ import annotations

import threading
from collections import Counter
from time import monotonic

import psutil
import pytest

from rpcnb.endpoint.client.connect import open_session

AT_ONCE = 8


def come_and_go(server, amount: int) -> Counter[str]:
    """Let clients connect, call once and leave, several at once; count how it went."""
    outcomes: Counter[str] = Counter()
    left = iter(range(amount))
    lock = threading.Lock()
    seconds: list[float] = []

    def work() -> None:
        while True:
            with lock:
                number = next(left, None)
            if number is None:
                return
            began = monotonic()
            try:
                with open_session(server.url, token=server.token, timeout=30.0) as session:
                    echoed = session.call_func(session.get_function("t.echo"), (number,))
                outcome = "fine" if echoed == number else "wrong"
            except Exception as error:  # noqa: BLE001 -- counted
                outcome = f"{type(error).__name__}: {error}"
            with lock:
                outcomes[outcome] += 1
                seconds.append(monotonic() - began)

    threads = [threading.Thread(target=work) for _ in range(AT_ONCE)]
    start = monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds.sort()
    rate, slow = amount / (monotonic() - start), 1e3 * seconds[int(0.99 * amount)]
    print(f"{rate:.0f} clients a second, p99 of one from connecting to leaving {slow:.0f} ms")
    return outcomes


def run(start_server, eventually, amount: int) -> None:
    with start_server(host="0.0.0.0") as server:
        assert server.url.startswith("tls://")
        come_and_go(server, 2 * AT_ONCE)  # so that threads and caches are there
        assert eventually(lambda: server.workers() == [], timeout=20.0)
        broker = psutil.Process(server.pid)
        files, threads = broker.num_fds(), broker.num_threads()
        assert come_and_go(server, amount) == {"fine": amount}
        assert eventually(lambda: server.workers() == [], timeout=20.0)
        assert eventually(lambda: broker.num_fds() <= files + 2, timeout=10.0)
        assert eventually(lambda: broker.num_threads() <= threads + 2, timeout=10.0)


def test_200_clients_over_tls_are_all_served_and_leave_nothing(start_server, eventually) -> None:
    run(start_server, eventually, 200)


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_12_000_clients_over_tls_are_all_served_and_leave_nothing(start_server, eventually) -> None:
    run(start_server, eventually, 12_000)
