from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from rpcnb.array.issue import serve
from rpcnb.array.replies import promise_text, read_reply
from rpcnb.core.errors import EncodeError, InvalidHandle, PermissionDenied
from rpcnb.core.values import TypeCode
from rpcnb.session.functions import FunctionRegistry
from rpcnb.session.handles import FIRST_PROMISED
from rpcnb.session.local import LocalSession

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST = FIRST_PROMISED + 5


@pytest.fixture
def session() -> Iterator[LocalSession]:
    with LocalSession(FunctionRegistry()) as opened:
        yield opened


def test_a_result_is_bound_and_its_metadata_returned(session: LocalSession) -> None:
    issue = serve(session)
    handle = session.handles.issue(np.arange(10), TypeCode.ARRAY)
    reply = issue(FIRST, "add", 0b01, handle, 2)
    assert read_reply(reply, promise_text("<i8", (10,))) is not None
    reply = issue(FIRST + 1, "sum", 0b1, FIRST, keepdims=True)
    found = read_reply(reply, promise_text("<i8", (1,)))
    assert found is not None
    assert found.content == np.array([65]).tobytes()
    assert session.handles.get(FIRST + 1, TypeCode.ARRAY).tolist() == [65]


def test_what_returns_nothing_binds_nothing(session: LocalSession) -> None:
    array = np.arange(3.0)
    handle = session.handles.issue(array, TypeCode.ARRAY)
    assert serve(session)(0, "inplace", 0b10, "iadd", handle, 1) is None
    assert array.tolist() == [1, 2, 3]
    assert len(session.handles) == 1


def test_a_failure_is_bound_instead_until_it_is_freed(session: LocalSession) -> None:
    issue = serve(session)
    with pytest.raises(PermissionDenied):
        issue(FIRST, "save", 0)
    with pytest.raises(InvalidHandle, match="never made: PermissionDenied"):
        issue(FIRST + 1, "add", 0b1, FIRST, 1)
    with pytest.raises(EncodeError, match="no array, as was promised"):
        issue(FIRST + 2, "linalg.slogdet", 0, np.eye(2))
    for handle in range(FIRST, FIRST + 3):
        session.free_handle(handle, TypeCode.ARRAY)
    assert len(session.handles) == session.statistics()["bad_frees"] == 0


def test_a_handle_is_promised_once(session: LocalSession) -> None:
    issue = serve(session)
    issue(FIRST, "zeros", 0, 3)
    for taken in (FIRST, 7):
        with pytest.raises(InvalidHandle, match="cannot be promised"):
            issue(taken, "zeros", 0, 3)
    assert session.handles.get(FIRST, TypeCode.ARRAY).shape == (3,)
