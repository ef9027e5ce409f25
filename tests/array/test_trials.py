from __future__ import annotations

import numpy as np
import pytest

from rpcnb.array.table import operations
from rpcnb.array.trials import UnpredictableError, dtype_of, function_of, one_of, sample_of


def test_a_question_is_asked_once() -> None:
    asked = []

    def run() -> np.ndarray:
        asked.append(1)
        return np.ones(1, "f4")

    assert dtype_of(("once", 1), run) == dtype_of(("once", 1), run) == np.float32
    assert len(asked) == 1


def test_what_raises_has_no_answer_and_is_not_asked_again() -> None:
    asked = []

    def run() -> np.ndarray:
        asked.append(1)
        raise TypeError

    for _ in range(2):
        with pytest.raises(UnpredictableError):
            dtype_of(("never", 1), run)
    assert len(asked) == 1


def test_answers_are_forgotten_before_there_are_too_many() -> None:
    for number in range(5000):
        assert dtype_of(("many", number), lambda: np.ones(1)) == np.float64


def test_functions_are_found_by_their_rows() -> None:
    rows = operations()
    assert function_of(rows["linalg.det"])(np.eye(2)) == 1
    assert function_of(rows["method.sum"])(np.ones(3)) == 3
    assert function_of(rows["concat"])([one_of(np.dtype("i4"))] * 2).tolist() == [1, 1]


def test_integers_stand_for_themselves_unless_they_fit_everywhere() -> None:
    assert sample_of(5) == sample_of(127) == (int, 1)
    assert sample_of(128) == (128, 128)
    assert sample_of(-1) == (-1, -1)
    assert sample_of(True) == (bool, True)
    assert sample_of(np.int8(7)) == ((np.int8, np.dtype("i1")), 1)
    with pytest.raises(UnpredictableError):
        sample_of("text")
