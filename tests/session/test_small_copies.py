from __future__ import annotations

import numpy as np
import pytest

from rpcnb.core.errors import ArrayMismatch, InvalidHandle
from rpcnb.core.values import TypeCode
from rpcnb.session.local import LocalSession
from rpcnb.session.small_copies import MOST, small_copies


@pytest.fixture
def session():
    with LocalSession() as session:
        yield session


@pytest.mark.parametrize("step", [1, 2], ids=["contiguous", "strided"])
def test_bytes_of_the_content_are_read_and_written(session, step) -> None:
    array = np.arange(20, dtype="<u2")[::step]
    handle = session.handles.issue(array, TypeCode.ARRAY)
    functions = small_copies(session)
    assert functions["rpcnb.array.read"](handle, 2, 4) == array[1:3].tobytes()
    functions["rpcnb.array.write"](handle, 2, b"\1\0\2\0")
    assert array[:4].tolist() == [0, 1, 2, 3 * step]


@pytest.mark.parametrize(("offset", "nbytes"), [(-1, 4), (0, 41), (38, 4), (0, -1), (0, MOST + 1)])
def test_what_does_not_lie_in_the_array_or_is_not_small_is_refused(session, offset, nbytes) -> None:
    handle = session.handles.issue(np.zeros(10, "u4"), TypeCode.ARRAY)
    with pytest.raises(ArrayMismatch):
        small_copies(session)["rpcnb.array.read"](handle, offset, nbytes)


def test_a_read_only_array_is_not_written_to(session) -> None:
    array = np.zeros(4)
    array.flags.writeable = False
    handle = session.handles.issue(array, TypeCode.ARRAY)
    with pytest.raises(ArrayMismatch, match="read-only"):
        small_copies(session)["rpcnb.array.write"](handle, 0, bytes(8))


def test_only_arrays_are_copied(session) -> None:
    handle = session.handles.issue(object(), TypeCode.OBJECT)
    with pytest.raises(InvalidHandle):
        small_copies(session)["rpcnb.array.read"](handle, 0, 1)
