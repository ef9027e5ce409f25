from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rpcnb.remote.iterator import RemoteGenerator

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.remote.client import Remote


@pytest.mark.parametrize("n", [0, 1, 2, 100])
def test_items_arrive_in_order(remote: Remote, n: int) -> None:
    stream = remote.functions["demo.count_to"](n)
    assert isinstance(stream, RemoteGenerator)
    assert list(stream) == list(range(n))
    assert list(stream) == []
    assert "ended" in repr(stream)


def test_items_come_in_batches(remote: Remote, crossings: Callable[[], int]) -> None:
    stream = remote.functions["demo.count_to"](1000)
    list(remote.functions["demo.count_to"](1))
    before = crossings()
    assert len(list(stream)) == 1000
    assert crossings() - before <= 13


def test_closing_early_frees_it_over_there(remote: Remote, held: Callable[[], int]) -> None:
    with remote.functions["demo.count_to"](1000) as stream:
        assert next(stream) == 0
        before = held()
    assert held() == before - 1
    with pytest.raises(StopIteration):
        next(stream)
    stream.free()


def test_an_exhausted_stream_is_freed(remote: Remote) -> None:
    stream = remote.functions["demo.count_to"](3)
    list(stream)
    assert stream.freed


def test_an_error_ends_the_stream(remote: Remote) -> None:
    stream = remote.functions["demo.stumble"](3)
    taken = []
    with pytest.raises(ValueError, match="stumbled"):
        taken.extend(stream)
    assert list(stream) == []
    assert stream.freed
