from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from rpcnb.array import metadata

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.array.namespace import ArrayNamespace
    from rpcnb.remote.client import Remote


def test_limits_are_python_numbers() -> None:
    limits = metadata.finfo(np.float32)
    assert [type(one) for one in (limits.eps, limits.max, limits.smallest_normal)] == [float] * 3
    assert limits.bits == 32
    assert metadata.iinfo("uint8") == metadata.IntegerLimits(8, 255, 0, np.dtype("uint8"))


def test_questions_about_dtypes_send_nothing(
    remote: Remote, xp: ArrayNamespace, round_trips: Callable[[], int]
) -> None:
    x, y = remote.zeros((3, 1), "f4"), remote.zeros(4, "i8")
    before = round_trips()
    assert xp.result_type(x, y) == np.float64
    assert xp.result_type(x, 1.0) == np.float32
    assert xp.can_cast(y, xp.float64)
    assert not xp.can_cast(xp.float64, xp.int8)
    assert xp.isdtype(x.dtype, "real floating")
    assert xp.broadcast_shapes(x.shape, y.shape) == (3, 4)
    assert xp.finfo(x).bits == 32
    assert xp.__array_namespace_info__().default_device() == x.device
    assert np.result_type(x, y) == np.float64
    assert np.shape(x) == (3, 1)
    assert (np.ndim(x), np.size(x)) == (2, 3)
    assert not np.iscomplexobj(x)
    assert round_trips() == before


def test_dtypes_by_kind(xp: ArrayNamespace) -> None:
    info = xp.__array_namespace_info__()
    assert set(info.dtypes(kind="complex floating")) == {"complex64", "complex128"}
    assert len(info.dtypes()) == 13
    assert info.dtypes(kind=()) == {}
    assert info.default_dtypes()["integral"] == xp.int64
    assert isinstance(info.devices(), tuple)
    assert info.capabilities()["boolean indexing"]


@pytest.mark.parametrize("version", [None, *metadata.VERSIONS])
def test_released_versions_are_accepted(remote: Remote, version: str | None) -> None:
    assert remote.zeros(1).__array_namespace__(api_version=version) is remote.xp


def test_other_versions_are_not(remote: Remote) -> None:
    with pytest.raises(ValueError, match=r"2025\.12"):
        remote.zeros(1).__array_namespace__(api_version="2020.01")
