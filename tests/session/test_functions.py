"""Registration, description and rebuilding of signatures."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, strategies as st

from rpcnb.core.values import FunctionInfo, Parameter
from rpcnb.session.functions import (
    REGISTRY,
    FunctionRegistry,
    describe_function,
    register,
    signature_of,
)


def blur(image: np.ndarray, sigma: float = 2.0, *rest: int, mode: str = "same", **more) -> bytes:
    """Blur it.

    Row by row.
    """


@pytest.fixture
def registry() -> FunctionRegistry:
    return FunctionRegistry()


def test_a_function_is_found_under_its_name(registry) -> None:
    registry.add("demo.blur", blur)
    assert registry.get("demo.blur") is blur
    assert registry.get("demo.blurr") is None


def test_a_name_is_taken_once_unless_overridden(registry) -> None:
    registry.add("f", blur)
    with pytest.raises(ValueError, match="override=True replaces it"):
        registry.add("f", len)
    registry.add("f", len, override=True)
    assert registry.get("f") is len


def test_a_function_is_described_once_and_anew_when_another_takes_its_name(registry) -> None:
    registry.add("f", blur)
    info = registry.describe("f", blur)
    assert info == describe_function(blur, "f")
    assert registry.describe("f", blur) is info
    assert registry.only(lambda _: True).describe("f", blur) is info
    registry.add("f", len, override=True)
    assert registry.describe("f", len) == describe_function(len, "f")
    registry.remove("f")
    registry.add("f", blur)
    assert registry.describe("f", blur) is not info


@pytest.mark.parametrize("name", ["", "1a", ".a", "a-b", "a b", "a\0", "é", "a" * 129, None])
def test_malformed_names_are_refused(registry, name) -> None:
    with pytest.raises(ValueError, match="cannot name a function"):
        registry.add(name, blur)


def test_the_sessions_own_prefix_is_reserved(registry) -> None:
    with pytest.raises(ValueError, match="reserved"):
        registry.add("rpcnb.mine", blur)


def test_what_is_not_callable_is_refused(registry) -> None:
    with pytest.raises(TypeError, match="not callable"):
        registry.add("f", 3)


def test_near_matches_come_best_first(registry) -> None:
    for name in ("demo.blur", "demo.blurred", "other"):
        registry.add(name, blur)
    assert registry.near("demo.blurr") == ("demo.blur", "demo.blurred")


def test_a_removed_function_is_gone(registry) -> None:
    registry.add("f", blur)
    registry.remove("f")
    assert registry.names() == []


def test_many_threads_register_at_once(registry) -> None:
    threads = [
        threading.Thread(target=lambda i=i: [registry.add(f"f{i}.{j}", len) for j in range(50)])
        for i in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(registry.names()) == 200


@pytest.fixture
def names_to_remove():
    before = set(REGISTRY.names())
    yield
    for name in set(REGISTRY.names()) - before:
        REGISTRY.remove(name)


def test_register_takes_a_name_or_the_function_itself(names_to_remove) -> None:
    @register
    def test_plain() -> None: ...

    @register("test.named")
    def anything() -> None: ...

    @register()
    def test_empty() -> None: ...

    assert REGISTRY.get("test_plain") is test_plain
    assert REGISTRY.get("test.named") is anything
    assert REGISTRY.get("test_empty") is test_empty


def test_a_description_has_signature_and_doc() -> None:
    info = describe_function(blur, "demo.blur")
    assert info.name == "demo.blur"
    assert info.doc == "Blur it.\n\nRow by row."
    assert info.returns == "bytes"
    assert info.parameters == (
        Parameter("image", 1, None, "np.ndarray"),
        Parameter("sigma", 1, "2.0", "float"),
        Parameter("rest", 2, None, "int"),
        Parameter("mode", 3, "'same'", "str"),
        Parameter("more", 4, None, ""),
    )


def test_generators_and_coroutines_are_told_apart() -> None:
    def stream():
        yield 1

    async def wait() -> None: ...

    assert describe_function(stream).is_generator
    assert describe_function(wait).is_async
    assert not describe_function(blur).is_generator


def test_a_function_without_a_readable_signature_is_described_all_the_same() -> None:
    assert describe_function(dict.fromkeys).name == "fromkeys"
    assert describe_function(getattr).parameters is None


class Hostile:
    __name__ = 3
    __doc__ = 4

    @property
    def __signature__(self):
        raise RuntimeError("no")

    def __call__(self) -> None: ...

    def __repr__(self) -> str:
        raise RuntimeError("no")


def test_hostile_objects_are_described() -> None:
    assert describe_function(Hostile()) == FunctionInfo("Hostile")

    def f(x=Hostile(), y=np.zeros(10**6), z="a" * 10**6) -> None: ...  # noqa: B008

    described = describe_function(f).parameters
    assert described is not None
    assert described[0].default is not None
    assert all(len(p.default or "") <= 200 for p in described)


def test_a_signature_shows_as_it_does_over_there() -> None:
    signature = signature_of(describe_function(blur))
    shown = (
        "(image: np.ndarray, sigma: float = 2.0, *rest: int, mode: str = 'same', **more) -> bytes"
    )
    assert str(signature) == shown
    assert signature.bind(1, mode="x").arguments == {"image": 1, "mode": "x"}


def test_an_unknown_signature_says_so() -> None:
    with pytest.raises(ValueError, match="'f' is not known"):
        signature_of(FunctionInfo("f"))


@given(st.lists(st.sampled_from([0, 1, 2, 3, 4]), max_size=6))
def test_any_claimed_signature_is_rebuilt_or_refused(kinds) -> None:
    info = FunctionInfo("f", tuple(Parameter(f"p{i}", kind) for i, kind in enumerate(kinds)))
    try:
        signature = signature_of(info)
    except ValueError:
        assert kinds != sorted(kinds) or kinds.count(2) > 1 or kinds.count(4) > 1
    else:
        assert [int(p.kind) for p in signature.parameters.values()] == kinds
