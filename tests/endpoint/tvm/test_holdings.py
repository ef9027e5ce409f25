"""Tests of `rpcnb.endpoint.tvm.holdings`: handles of our own instead of addresses."""

from __future__ import annotations

from collections import deque
from types import SimpleNamespace

import pytest

from rpcnb.core.errors import InvalidHandle
from rpcnb.core.values import ArrayRef, FunctionRef, ModuleRef
from rpcnb.endpoint.tvm.holdings import Holdings
from rpcnb.wire.tvm.dialect import NEW, OLD
from rpcnb.wire.tvm.packets import Code, SystemCall
from rpcnb.wire.tvm.values import TVMDevice, TVMDType, TVMObject, TVMPointer, TVMTensor, TypeIndex

TENSOR = TVMTensor(0x10, TVMDevice(1, 0), TVMDType(2, 32), (4,))


@pytest.fixture
def link():
    """Give what holdings need of a link: the dialect, and where releases are left."""
    return SimpleNamespace(wire=SimpleNamespace(dialect=NEW), released=deque())


@pytest.fixture
def holdings(link) -> Holdings:
    return Holdings(link)


def test_each_object_has_a_handle_of_its_own_and_is_given_up_once(holdings, link) -> None:
    one, two = (holdings.add_object(TVMObject(TypeIndex.FUNCTION, 0x77), "f") for _ in range(2))
    assert isinstance(one, FunctionRef)
    assert one.handle != two.handle
    holdings.free(one.handle)
    holdings.free(one.handle)
    assert (len(holdings), holdings.bad_frees) == (1, 1)
    assert list(link.released) == [SystemCall(Code.FREE_HANDLE, (TVMPointer(0x77),))]


def test_the_old_dialect_says_what_it_gives_up(holdings, link) -> None:
    link.wire.dialect = OLD
    holdings.release(0x77, TypeIndex.TENSOR)
    holdings.release(0, TypeIndex.TENSOR)
    assert list(link.released) == [SystemCall(Code.FREE_HANDLE, (TVMPointer(0x77), 13))]


def test_memory_lives_as_long_as_any_view_of_it(holdings, link) -> None:
    array = holdings.add_memory(TENSOR)
    view = holdings.add_view(array, TENSOR._replace(shape=(2,)))
    further = holdings.add_view(view, TENSOR._replace(shape=(1,)))
    assert {view.base, further.base} == {array.handle}
    for ref in (array, view):
        holdings.free(ref.handle)
        assert not link.released
    holdings.free(further.handle)
    assert list(link.released) == [SystemCall(Code.DEV_FREE_DATA, (TENSOR.device, TVMPointer(16)))]


def test_a_ref_must_be_held_and_of_its_kind(holdings) -> None:
    array = holdings.add_object(TVMObject(TypeIndex.TENSOR, 0x77, TENSOR))
    assert isinstance(array, ArrayRef)
    assert holdings.find(array).pointer == 0x77
    with pytest.raises(InvalidHandle, match="is a"):
        holdings.find(ModuleRef(array.handle, "m"))
    holdings.clear()
    with pytest.raises(InvalidHandle, match="was freed"):
        holdings.find(array)


def test_functions_of_this_side_are_nothing_to_give_up(holdings, link) -> None:
    ref = holdings.add_local("measure", lambda: 1)
    assert holdings.find(ref).run() == 1
    holdings.free(ref.handle)
    assert not link.released
