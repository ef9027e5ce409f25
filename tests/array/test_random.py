from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from rpcnb.remote.client import Remote


def test_a_seed_gives_numpys_numbers(remote: Remote) -> None:
    there, here = remote.random.default_rng(7), np.random.default_rng(7)
    np.testing.assert_array_equal(
        there.normal(1, 2, size=(30, 2)).to_numpy(), here.normal(1, 2, (30, 2))
    )
    np.testing.assert_array_equal(there.integers(5, size=20).to_numpy(), here.integers(5, size=20))
    assert there.random().item() == here.random()


def test_arrays_are_shuffled_in_place(remote: Remote) -> None:
    array = remote.xp.arange(8)
    assert sorted(array.tolist()) == list(range(8))
    remote.random.default_rng(1).shuffle(array)
    expected = np.arange(8)
    np.random.default_rng(1).shuffle(expected)
    assert array.tolist() == expected.tolist()


def test_a_generator_names_what_it_has(remote: Remote) -> None:
    rng = remote.random.default_rng()
    assert {"normal", "permutation"} <= set(dir(rng))
    assert "Generator" in repr(rng)
    with pytest.raises(AttributeError, match="bit_generator"):
        _ = rng.bit_generator
