from __future__ import annotations

import enum
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest

from rpcnb.core.device import CPU
from rpcnb.core.errors import EncodeError, ImplicitTransferError, InvalidHandle
from rpcnb.core.values import ArrayRef, CallbackRef, DenseArray, DTypeValue, Handle
from rpcnb.remote.array import RemoteArray
from rpcnb.remote.object import RemoteObject
from rpcnb.remote.wrap import SMALL_ARRAY, lift, lower, lower_call

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.remote.client import Remote

PLAIN = [None, True, 3, 1 << 80, 2.5, 1j, "text", b"bytes"]


class Point(NamedTuple):
    x: int
    y: int


class Colour(enum.IntEnum):
    RED = 1


class Mode(enum.StrEnum):
    FAST = "fast"


@pytest.mark.parametrize("value", PLAIN)
def test_plain_values_pass_as_they_are(remote: Remote, value: object) -> None:
    assert lower(value, remote, {}) is value
    assert lift(value, remote) is value


def test_plain_arguments_are_not_even_copied(remote: Remote) -> None:
    args, kwargs = (1, "a"), {"x": 2.0}
    lowered = lower_call(remote, args, kwargs, {})
    assert lowered[0] is args
    assert lowered[1] is kwargs


def test_plain_containers_are_not_copied(remote: Remote) -> None:
    values = [1, "a", None]
    assert lower(values, remote, {}) is values


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Colour.RED, 1),
        (Mode.FAST, "fast"),
        (Point(1, 2), (1, 2)),
        (OrderedDict(a=1), {"a": 1}),
        (slice(np.int64(3)), slice(None, DenseArray("<i8", (), b"\3" + bytes(7), True), None)),
        (..., ...),
        (CPU, CPU),
        (np.dtype("f4"), DTypeValue("<f4")),
        (np.float32, DTypeValue("<f4")),
        (np.float64(1), DenseArray("<f8", (), np.float64(1).tobytes(), True)),
        (np.ones(2, "u1"), DenseArray("|u1", (2,), b"\1\1")),
        ({"a": [(np.uint8(7),)]}, {"a": [(DenseArray("|u1", (), b"\7", True),)]}),
    ],
)
def test_other_values_are_lowered(remote: Remote, value: object, expected: object) -> None:
    lowered = lower(value, remote, {})
    assert lowered == expected
    assert type(lowered) is type(expected)


@pytest.mark.parametrize("value", [np.arange(6).reshape(2, 3).T, np.zeros((0, 3)), np.array(5.0)])
def test_small_arrays_come_back_equal_and_writable(remote: Remote, value: np.ndarray) -> None:
    back = lift(lower(value, remote, {}), remote)
    np.testing.assert_array_equal(back, value, strict=True)
    assert back.flags.writeable


def test_numpy_scalars_come_back_as_scalars(remote: Remote) -> None:
    back = lift(lower(np.datetime64("2026-01-01", "s"), remote, {}), remote)
    assert back == np.datetime64("2026-01-01", "s")
    assert type(back) is np.datetime64


def test_arrays_at_the_limit_pass_and_larger_ones_name_the_way_out(remote: Remote) -> None:
    assert isinstance(lower(np.zeros(SMALL_ARRAY, "u1"), remote, {}), DenseArray)
    with pytest.raises(ImplicitTransferError, match=r"65,537 bytes.*remote\.array\(x\)"):
        lower(np.zeros(SMALL_ARRAY + 1, "u1"), remote, {})


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ({1}, "list"),
        (range(3), "list"),
        (bytearray(b"x"), "bytes"),
        (object(), "plain values"),
        (np.ma.masked_array([1], [True]), "mask"),
        (np.array([object()]), "object"),
    ],
)
def test_what_cannot_cross_is_refused_with_a_hint(remote: Remote, value: object, hint: str) -> None:
    with pytest.raises(EncodeError, match=hint):
        lower(value, remote, {})


def test_a_container_that_contains_itself_is_refused(remote: Remote) -> None:
    circle: list[object] = []
    circle.append(circle)
    with pytest.raises(EncodeError, match="nested"):
        lower(circle, remote, {})


def test_the_error_names_the_argument(remote: Remote) -> None:
    with pytest.raises(EncodeError) as caught:
        lower_call(remote, (1, {2}), {}, {})
    assert caught.value.__notes__ == ["in argument 1 of the call"]
    with pytest.raises(EncodeError) as caught:
        lower_call(remote, (), {"key": {2}}, {})
    assert caught.value.__notes__ == ["in argument 'key' of the call"]


def test_callables_are_lent_under_handles_of_their_own(remote: Remote) -> None:
    lent: dict[int, object] = {}
    first, second = lower([len, print], remote, lent)
    assert isinstance(first, CallbackRef)
    assert lent == {first.handle: len, second.handle: print}
    assert lift(first, remote, lent) is len


def test_proxies_become_their_refs(remote: Remote) -> None:
    array = remote.zeros(3)
    assert isinstance(lower(array, remote, {}), ArrayRef)
    assert lower([remote.device("cpu")], remote, {}) == [CPU]


def test_proxies_of_another_session_are_refused(make_remote: Callable[..., Remote]) -> None:
    here, there = make_remote("here"), make_remote("there")
    with pytest.raises(InvalidHandle, match=r"belongs to 'there'.*'here'"):
        lower(there.zeros(3), here, {})


def test_freed_proxies_are_refused(remote: Remote) -> None:
    array = remote.zeros(3)
    array.free()
    with pytest.raises(InvalidHandle, match="freed"):
        lower(array, remote, {})


def test_refs_inside_containers_become_proxies(remote: Remote) -> None:
    result = remote.get_function("make_two")()
    assert isinstance(result["a"], RemoteArray)
    assert isinstance(result["b"][0], RemoteObject)
    assert result["b"][1] == 1


def test_nothing_leaks_when_lifting_fails_midway(remote: Remote) -> None:
    good = remote.session.call_func(remote.session.get_function("make_array"), [3])
    bad = ArrayRef(Handle(10**9), (1,), "no dtype")
    with pytest.raises(Exception, match="no dtype"):
        lift([good, bad], remote)
    assert good.handle not in [row.handle for row in remote.handles]
