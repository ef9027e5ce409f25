from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING

import pytest

from rpcnb.core.errors import InvalidHandle
from rpcnb.remote.proxy import HandleProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rpcnb.remote.client import Remote

MAKERS = {
    "array": lambda remote: remote.zeros(3),
    "function": lambda remote: remote.get_function("demo.add"),
    "known function": lambda remote: remote.functions["demo.add"],
    "generator": lambda remote: remote.functions["demo.count_to"](3),
    "object": lambda remote: remote.functions["make_thing"](),
    "module": lambda remote: remote.load_module("numpy.linalg"),
    "device": lambda remote: remote.device(),
    "stream": lambda remote: remote.device().create_stream(),
    "future": lambda remote: remote.functions["demo.add"].submit(1),
}


OPERATIONS = {"T", "mT", "real", "imag"}
"""Properties of arrays that give other arrays: operations by another spelling."""


@pytest.fixture(params=MAKERS)
def proxy(request: pytest.FixtureRequest, remote: Remote) -> Iterator[object]:
    made = MAKERS[request.param](remote)
    yield made
    if isinstance(made, HandleProxy):
        made.free()


def test_proxies_cannot_be_pickled(proxy: object) -> None:
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(proxy)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
@pytest.mark.parametrize("kind", sorted(MAKERS.keys() - {"array"}))
def test_proxies_of_all_but_arrays_cannot_be_copied(
    remote: Remote, kind: str, duplicate: Callable[[object], object]
) -> None:
    with pytest.raises(TypeError, match="cannot be pickled"):
        duplicate(MAKERS[kind](remote))


def test_looking_at_a_proxy_sends_nothing(proxy: object, crossings: Callable[[], int]) -> None:
    before = crossings()
    assert repr(proxy).startswith("<Remote")
    assert "lab" in repr(proxy)
    for name in set(dir(proxy)) - OPERATIONS:
        getattr(proxy, name, None)
    assert not hasattr(proxy, "_repr_html_")
    assert not hasattr(proxy, "_ipython_canary_method_should_not_exist_")
    assert crossings() == before


def test_the_end_of_a_with_block_frees(remote: Remote) -> None:
    with remote.zeros(3) as array:
        assert not array.freed
    assert array.freed
    assert "(freed)" in repr(array)
    array.free()
    with pytest.raises(InvalidHandle, match="freed"):
        array.to_numpy()


def test_collected_proxies_give_their_handles_back(remote: Remote, held: Callable[[], int]) -> None:
    make = remote.get_function("make_array")
    before = held()
    array = make(3)
    assert held() == before + 1
    del array
    assert held() == before
