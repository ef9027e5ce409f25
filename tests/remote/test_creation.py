from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from rpcnb.core.errors import DeviceError, EncodeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.remote.client import Remote


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda r: r.zeros((2, 3), "i4"), np.zeros((2, 3), "i4")),
        (lambda r: r.ones(4), np.ones(4)),
        (lambda r: r.full((2,), 7), np.full((2,), 7)),
        (lambda r: r.full(2, 7, np.float32), np.full(2, 7, "f4")),
        (lambda r: r.arange(4), np.arange(4)),
        (lambda r: r.arange(1, 9, 3), np.arange(1, 9, 3)),
        (lambda r: r.arange(0, 1, 0.25, dtype="f4"), np.arange(0, 1, 0.25, "f4")),
        (lambda r: r.array([[1, 2]], dtype="f4"), np.array([[1, 2]], "f4")),
        (lambda r: r.array(np.array([1.9, 2.9]), dtype=int), np.array([1, 2])),
    ],
)
def test_arrays_are_made(
    remote: Remote, make: Callable[[Remote], object], expected: np.ndarray
) -> None:
    np.testing.assert_array_equal(make(remote).to_numpy(), expected, strict=True)


def test_empty_makes_the_shape_asked_for(remote: Remote) -> None:
    assert remote.empty(3).shape == (3,)
    array = remote.empty((2, np.int64(3)), ">f4", "cpu:0")
    assert (array.shape, array.dtype.str) == ((2, 3), ">f4")


def test_objects_cannot_be_uploaded(remote: Remote) -> None:
    with pytest.raises(EncodeError):
        remote.array([object()])


def test_a_missing_device_is_an_error(remote: Remote) -> None:
    with pytest.raises(DeviceError):
        remote.array([1], device="hexagon:0")


def test_a_failed_upload_frees_its_array(remote: Remote, held: Callable[[], int]) -> None:
    before = held()
    remote.session.copy_to_remote = lambda *_: 1 // 0
    with pytest.raises(ZeroDivisionError):
        remote.array(np.zeros(1000))  # a small one is no upload
    assert held() == before
