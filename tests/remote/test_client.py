from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rpcnb.core.errors import (
    FunctionNotFound,
    InvalidHandle,
    SessionClosed,
)
from rpcnb.remote.array import RemoteArray
from rpcnb.remote.client import Remote, open_remote
from rpcnb.session.functions import FunctionRegistry
from rpcnb.session.local import LocalSession

if TYPE_CHECKING:
    from collections.abc import Callable


def test_looking_at_a_remote_sends_nothing(remote: Remote, crossings: Callable[[], int]) -> None:
    before = crossings()
    assert repr(remote).startswith("<Remote lab")
    assert "functions" not in repr(remote)
    for name in dir(remote):
        getattr(remote, name)
    assert crossings() == before
    number = len(remote.functions)
    assert repr(remote).endswith(f": {number} functions>")


def test_a_missing_function_names_those_that_look_like_it(remote: Remote) -> None:
    with pytest.raises(FunctionNotFound, match=r"did you mean 'demo\.add'"):
        remote.get_function("demo.ad")


def test_refresh_finds_what_was_registered_since(
    remote: Remote, registry: FunctionRegistry
) -> None:
    assert "demo.new" not in remote.functions
    registry.add("demo.new", len)
    assert "demo.new" not in remote.functions
    remote.refresh()
    assert "demo.new" in remote.functions


def test_figures_of_both_sides(remote: Remote) -> None:
    array = remote.zeros(10)
    stats = remote.stats()
    assert stats["handles"] == 1
    assert stats["there"]["nbytes"] >= array.nbytes
    assert 0 < stats["rtt"] < 5
    assert len(stats["hops"]) == (not remote.session.is_local_session())
    assert 0 < remote.ping() < 5


def test_closing_ends_the_session(remote: Remote) -> None:
    told: list[Remote] = []
    remote.add_close_callback(told.append)
    array = remote.zeros(3)
    with remote:
        assert not remote.closed
    remote.close()
    assert remote.closed
    assert told == [remote]
    assert repr(remote).endswith("(closed)>")
    with pytest.raises(SessionClosed):
        array.to_numpy()
    assert array.shape == (3,)
    del array


def test_a_remote_takes_the_name_of_its_session_or_its_own() -> None:
    with Remote(LocalSession(FunctionRegistry(), name="bench")) as remote:
        assert remote.name == "bench"
    with Remote(LocalSession(FunctionRegistry()), name="mine", url="x://y") as remote:
        assert (remote.name, remote.url) == ("mine", "x://y")
        assert "mine at x://y" in repr(remote)


def test_a_session_without_a_catalogue_has_none() -> None:
    class Bare(LocalSession):
        def get_function(self, name):
            return None

    with Remote(Bare(FunctionRegistry())) as remote:
        assert len(remote.functions) == 0
        with pytest.raises(FunctionNotFound):
            remote.load_module("numpy")


def test_a_url_opens_a_remote() -> None:
    with open_remote("local:", name="mine") as remote:
        assert remote.name == "mine"
        assert remote.url == "local:"


def test_what_is_held_here_can_be_had_again_by_its_number(remote: Remote) -> None:
    array = remote.zeros(3)
    again = remote.handle(array.handle)
    assert isinstance(again, RemoteArray)
    assert again.owner is array.owner
    again.free()
    assert array.freed
    with pytest.raises(InvalidHandle, match="not held here"):
        remote.handle(array.handle)
