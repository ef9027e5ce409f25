from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np
import pytest

import rpcnb
from rpcnb.remote.array import RemoteArray

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.array.namespace import ArrayNamespace

VALUE = np.arange(12.0).reshape(3, 4) ** 2


@pytest.mark.parametrize("name", ["dct", "idct", "dst", "dctn", "fft2", "rfft"])
def test_transforms_run_over_there(
    xp: ArrayNamespace, name: str, round_trips: Callable[[], int]
) -> None:
    fft = import_module("scipy.fft")
    array = xp.asarray(VALUE)
    expected, before = getattr(fft, name)(VALUE), round_trips()
    with fft.set_backend(rpcnb.fft_backend):
        found = getattr(fft, name)(array)
        np.testing.assert_array_equal(getattr(fft, name)(VALUE), expected)
    assert isinstance(found, RemoteArray)
    assert round_trips() == before + 1
    np.testing.assert_allclose(found.to_numpy(), expected)
