"""Array operations where more than one process has a part: workers, gateways, threads."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest

from rpcnb.endpoint.client.connect import open_session
from rpcnb.endpoint.serving.server import Server
from rpcnb.remote.client import Remote
from rpcnb.session.functions import FunctionRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=["worker", "gateway"])
def remote(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Remote]:
    """Give a session on a worker process, or the same by way of a gateway."""
    file = tmp_path / "behind.json"
    with Server(registry=FunctionRegistry(), name="behind", connection_file=file) as behind:
        session = open_session(behind.url, token=behind.token)
        if request.param == "worker":
            with Remote(session, name="lab") as opened:
                yield opened
            return
        front = Server(
            registry=FunctionRegistry(),
            name="front",
            connection_file=tmp_path / "front.json",
            open_next=lambda: session,
            in_process=True,
        )
        with front, Remote(open_session(front.url, token=front.token), name="lab") as opened:
            yield opened


def test_operations_give_the_local_result_and_free_what_they_made(remote: Remote) -> None:
    value = np.random.default_rng(3).normal(size=(50, 4))
    x = remote.array(value)
    centred = x - x.mean(axis=0)
    found = np.linalg.svd(centred, full_matrices=False)
    expected = np.linalg.svd(value - value.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(found.S.to_numpy(), expected.S)
    assert x.summary().startswith("f64[50, 4] 1.6 KiB")
    with pytest.raises(ValueError, match="matmul") as caught:
        x @ x
    del x, centred, found, caught
    gc.collect()
    assert list(remote.handles) == []
    statistics = remote.builtin("rpcnb.statistics")
    assert statistics()["nbytes"] == 0


def test_threads_get_their_own_results(remote: Remote) -> None:
    x = remote.xp.arange(100)

    def work(number: int) -> list[int]:
        return [int(remote.xp.sum(x * number)) for _ in range(20)]

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(work, range(8), timeout=30))
    assert found == [[4950 * number] * 20 for number in range(8)]


def test_in_place_operations_keep_their_order(remote: Remote) -> None:
    x = remote.xp.zeros(3)
    for number in range(20):
        x[number % 3] = number
        x += 1
    expected = np.zeros(3)
    for number in range(20):
        expected[number % 3] = number
        expected += 1
    np.testing.assert_array_equal(x.to_numpy(), expected)
