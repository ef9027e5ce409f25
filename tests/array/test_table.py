from __future__ import annotations

import inspect

import pytest

from rpcnb.array.table import described, operations, parameters_of


@pytest.mark.parametrize(
    "text",
    [
        "x, /",
        "x1, x2, /, *, axis=-1",
        "*arrays, indexing='xy'",
        "start, /, stop=None, step=1, *, dtype=None",
        "n_rows, n_cols=None, /, *, k=0",
        "*args, **kwargs",
        "a, b=(1, 2)",
        "",
    ],
)
def test_signatures_are_read_as_written(text: str) -> None:
    assert str(parameters_of(text)) == f"({text})"


def test_every_row_has_a_name_a_group_and_a_sentence() -> None:
    for name, operation in operations().items():
        assert operation.name == name
        assert operation.group
        assert operation.doc.endswith(".")
        assert operation.short_name.isidentifier()


def test_named_results_have_their_fields() -> None:
    svd = operations()["linalg.svd"]
    assert svd.make_result(1, 2, 3)._asdict() == {"U": 1, "S": 2, "Vh": 3}


def test_described_functions_look_like_the_row() -> None:
    row = operations()["linalg.svd"]
    function = described(lambda *_: None, row, row.signature)
    assert function.__name__ == "svd"
    assert function.__doc__ == "Singular value decomposition."
    assert str(inspect.signature(function)) == "(x, /, *, full_matrices=True)"
