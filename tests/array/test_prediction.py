"""What the rules have in common; the rules themselves are run by `test_inference`."""

from __future__ import annotations

import numpy as np
import pytest

from rpcnb.array.methods import ArrayMethods
from rpcnb.array.prediction import axes_of, bound, hollow
from rpcnb.array.table import operations
from rpcnb.array.trials import UnpredictableError


class There(ArrayMethods):
    shape, dtype = (1 << 30, 3), np.dtype("f4")  # type: ignore[assignment]


def test_arguments_are_found_by_name_however_they_were_given() -> None:
    mean = operations()["mean"]
    assert bound(mean, (1, 0), {"keepdims": True}) == {"x": 1, "axis": 0, "keepdims": True}
    for args, kwargs in [((1,) * 9, {}), ((1,), {"no_such": 2})]:
        with pytest.raises(UnpredictableError):
            bound(mean, args, kwargs)


@pytest.mark.parametrize(
    ("axis", "found"), [(None, {0, 1, 2}), (-1, {2}), (1, {1}), ((0, -1), {0, 2}), ((), set())]
)
def test_axes_are_counted_from_the_front(axis, found) -> None:
    assert axes_of(axis, 3) == found


@pytest.mark.parametrize("axis", [3, -4, (0, 0), (0, -3), 1.0, True, "0"])
def test_what_names_no_axis_is_unpredictable(axis) -> None:
    with pytest.raises(UnpredictableError):
        axes_of(axis, 3)


def test_a_hollow_array_has_shape_and_dtype_and_no_memory() -> None:
    array = hollow(There())
    assert (array.shape, array.dtype) == (There.shape, There.dtype)
    assert array.strides == (0, 0)
    assert hollow((0, None)) == (0, None)
