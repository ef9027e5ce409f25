from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from rpcnb.core.errors import FunctionNotFound, SessionClosed
from rpcnb.core.values import FunctionInfo, Parameter
from rpcnb.remote.catalogue import FunctionTree, read_info
from rpcnb.remote.function import RemoteFunction

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.remote.client import Remote


def test_the_catalogue_is_a_mapping_that_is_fetched_at_the_first_look(
    remote: Remote, crossings: Callable[[], int]
) -> None:
    functions = remote.functions
    before = crossings()
    assert not functions.known
    assert crossings() == before
    assert "demo.add" in functions
    assert functions.known
    assert crossings() == before + 2  # one finds the function that lists them
    before += 2
    assert list(functions) == sorted(functions)
    assert len(functions) == len(dict(functions.items()))
    assert functions["demo.add"] is functions["demo.add"]
    assert functions.get("nothing") is None
    assert functions.get("nothing", 1) == 1
    assert functions.get("demo.add") is functions["demo.add"]
    assert "demo.add(a: int, b: int = 1) -> int" in repr(functions)
    assert [info.name for info in functions.infos()] == list(functions)
    assert crossings() == before


def test_a_missing_name_names_those_that_look_like_it(remote: Remote) -> None:
    with pytest.raises(FunctionNotFound, match=r"'demo\.add'") as caught:
        remote.functions["demo.ad"]
    assert caught.value.near[0] == "demo.add"
    with pytest.raises(FunctionNotFound, match=r"'demo\.add'"):
        remote.functions["Add"]


def test_of_threads_that_look_one_asks(remote: Remote, crossings: Callable[[], int]) -> None:
    before = crossings()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: len(remote.functions), range(8)))
    assert len(set(found)) == 1
    assert crossings() == before + 2


def test_who_looks_first_when_the_session_is_closed_is_told(
    make_remote: Callable[..., Remote],
) -> None:
    remote = make_remote("ending")
    remote.close()
    assert repr(remote).endswith("(closed)>")
    with pytest.raises(SessionClosed):
        list(remote.functions)


def test_functions_are_attributes_with_tab(remote: Remote, crossings: Callable[[], int]) -> None:
    remote.functions.fetch()
    before = crossings()
    assert {"demo", "echo"} <= set(dir(remote.fn))
    assert "add" in dir(remote.fn.demo)
    assert isinstance(remote.fn.demo, FunctionTree)
    assert isinstance(remote.fn.demo.add, RemoteFunction)
    assert not hasattr(remote.fn, "nothing")
    assert not hasattr(remote.fn, "__wrapped__")
    assert "add" in repr(remote.fn.demo)
    assert crossings() == before
    assert remote.fn.demo.add(1) == 2


def test_a_misspelt_attribute_names_the_right_one(remote: Remote) -> None:
    with pytest.raises(AttributeError, match=r"demo\.add"):
        _ = remote.fn.demo.ad


def test_an_entry_of_the_wire_becomes_an_info() -> None:
    entry = {"name": "f", "parameters": [["x", 1, "3", "int"]], "doc": "d", "is_generator": True}
    assert read_info(entry) == FunctionInfo(
        "f", (Parameter("x", 1, "3", "int"),), doc="d", is_generator=True
    )
    assert read_info({"name": "f", "parameters": None}).parameters is None
