from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from rpcnb.array.numpy_errors import numpy_error
from rpcnb.core.errors import RemoteError, describe_exception, rebuild_exception

if TYPE_CHECKING:
    from rpcnb.array.namespace import ArrayNamespace


@pytest.mark.parametrize("as_class", [IndexError, ValueError, np.exceptions.AxisError, RemoteError])
def test_a_wrong_axis_is_what_it_is_in_numpy(xp: ArrayNamespace, as_class: type[Exception]) -> None:
    with pytest.raises(as_class, match="axis 2 is out of bounds for array of dimension 1"):
        xp.sum(xp.asarray([1, 2]), axis=2)


def test_a_singular_matrix_is_a_linalg_error(xp: ArrayNamespace) -> None:
    with pytest.raises(np.linalg.LinAlgError, match="Singular matrix"):
        xp.linalg.inv(xp.zeros((2, 2)))


def test_other_errors_stay_as_they_are() -> None:
    error = rebuild_exception(describe_exception(KeyError("k"), ""))
    assert isinstance(error, RemoteError)
    assert numpy_error(error) is error
