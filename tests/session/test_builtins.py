"""The functions every session offers by itself; most run in `SessionSuite`."""

from __future__ import annotations

import math
import types

import pytest

from rpcnb.core.errors import PermissionDenied
from rpcnb.session import builtins
from rpcnb.session.builtins import (
    Iterators,
    is_allowed,
    load_module,
    module_function,
    resident_bytes,
    time_evaluator,
)


def numbers(count: int):
    yield from range(count)


def test_items_are_taken_until_there_are_enough() -> None:
    take, iterator = Iterators().take, numbers(5)
    assert take(iterator, 3, 60.0) == ([0, 1, 2], False)
    assert take(iterator, 3, 60.0) == ([3, 4], True)


def test_items_are_taken_until_the_time_is_up() -> None:
    assert Iterators().take(numbers(5), 100, 0.0) == ([0], False)


def test_an_error_waits_until_the_items_before_it_were_taken() -> None:
    def failing():
        yield 1
        raise ValueError("middle")

    take, iterator = Iterators().take, failing()
    assert take(iterator, 5, 60.0) == ([1], False)
    with pytest.raises(ValueError, match="middle"):
        take(iterator, 5, 60.0)
    assert take(iterator, 5, 60.0) == ([], True)


def test_only_listed_modules_are_loaded() -> None:
    assert load_module("math", ("math",)) is math
    with pytest.raises(PermissionDenied, match="allowed: math, cmath"):
        load_module("os", ("math", "cmath"))
    with pytest.raises(PermissionDenied, match="allowed: none"):
        load_module("math", ())


def test_only_public_functions_of_listed_modules_are_given() -> None:
    assert module_function(math, "sqrt", ("math",)) is math.sqrt
    with pytest.raises(PermissionDenied, match="no public name"):
        module_function(math, "__loader__", ("math",))
    with pytest.raises(PermissionDenied, match="modules this server allows"):
        module_function(types, "new_class", ("math",))
    with pytest.raises(PermissionDenied, match="modules this server allows"):
        module_function(None, "sqrt", ("math", "never.loaded"))
    with pytest.raises(AttributeError, match="no function 'import_module'"):
        module_function(builtins, "import_module", ("rpcnb.session.builtins",))
    with pytest.raises(AttributeError, match="no function 'pi'"):
        module_function(math, "pi", ("math",))


def test_an_evaluator_warms_up_and_counts() -> None:
    calls: list[int] = []
    seconds = time_evaluator(calls.append, number=4, repeat=3)(1)
    assert len(seconds) == 3
    assert len(calls) == 1 + 4 * 3


def test_an_evaluator_runs_long_enough() -> None:
    calls: list[int] = []
    time_evaluator(calls.append, number=1, repeat=1, min_repeat_ms=2.0)(1)
    assert len(calls) > 100


def test_an_evaluator_needs_something_to_do() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        time_evaluator(len, number=0)


def test_this_process_occupies_memory() -> None:
    assert 1 << 20 < resident_bytes() < 1 << 40


@pytest.mark.parametrize(
    ("name", "allowed"),
    [("math", True), ("numpy", True), ("numpy.linalg", True), ("numpyx", False), ("os", False)],
)
def test_a_star_allows_a_package_and_all_below_it(name: str, allowed: bool) -> None:
    assert is_allowed(name, ("math", "numpy.*")) is allowed
