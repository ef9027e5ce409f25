"""`frozen` makes what ``dataclass(frozen=True, slots=True)`` makes."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import (
    FrozenInstanceError,
    asdict,
    dataclass,
    field,
    fields,
    is_dataclass,
    make_dataclass,
    replace,
)
from inspect import signature
from typing import Any

import pytest
from hypothesis import given, strategies as st

from rpcnb.core.frozen import FEW, compile_all, frozen

NAMES = st.lists(st.from_regex(r"f_[a-z_]{0,4}", fullmatch=True), min_size=1, unique=True)


@frozen
class Place:
    """Where something is."""

    host: str
    port: int = 9090
    secret: str = field(default="s", repr=False)
    tags: list[str] = field(default_factory=list)
    kind = "no field"

    def shown(self) -> str:
        return f"{self.host}:{self.port}"


def test_an_object_is_made_from_positions_names_and_defaults() -> None:
    place = Place("a", tags=["x"])
    assert (place.host, place.port, place.secret, place.tags) == ("a", 9090, "s", ["x"])
    assert place.shown() == "a:9090"
    assert Place("a").tags == []
    assert Place("a").tags is not Place("a").tags
    compile_all()
    assert list(signature(Place).parameters) == ["host", "port", "secret", "tags"]
    assert signature(Place).parameters["port"].default == 9090


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((), {}),
        (("a", 1, 2), {}),
        (("a",), {"host": "b"}),
        (("a",), {"place": "b"}),
        ((), {"port": 1}),
    ],
)
def test_arguments_that_do_not_fit_are_refused_by_name(
    arguments: tuple[Any, ...], named: dict[str, Any]
) -> None:
    @frozen
    class Spot:
        host: str
        port: int = 9090

    for _ in range(2 * FEW):  # the first as those of a compiled class
        with pytest.raises(TypeError, match=r"Spot\.__init__\(\)"):
            Spot(*arguments, **named)


def test_the_first_few_and_all_others_are_alike() -> None:
    @frozen
    class Spot:
        host: str
        port: int = 9090
        tags: list[str] = field(default_factory=list)

    shared = Spot.__init__
    few = [Spot("a", tags=["x"]) for _ in range(FEW)]
    assert Spot.__init__ is shared
    many = [Spot(tags=["x"], host="a") for _ in range(FEW)]
    assert Spot.__init__ is not shared
    assert {repr(spot) for spot in few + many} == {repr(few[0])}
    assert all(spot == few[0] for spot in many)


def test_no_field_can_be_set_deleted_or_added() -> None:
    place = Place("a")
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'port'"):
        place.port = 1  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError, match="cannot delete field 'port'"):
        del place.port
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'other'"):
        place.other = 1  # type: ignore[attr-defined]
    assert not hasattr(place, "__dict__")


def test_a_repr_leaves_out_what_is_hidden() -> None:
    assert repr(Place("a", 1)) == "Place(host='a', port=1, tags=[])"


def test_a_class_keeps_its_own_methods() -> None:
    @frozen
    class Shown:
        host: str

        def __repr__(self) -> str:
            return f"<{self.host}>"

    assert repr(Shown("a")) == "<a>"


def test_a_class_may_have_no_fields() -> None:
    @frozen
    class Nothing:
        pass

    assert repr(Nothing()) == f"{Nothing.__qualname__}()"
    assert Nothing() == Nothing()
    assert hash(Nothing()) == hash(Nothing())


def test_it_is_a_dataclass_to_those_who_ask() -> None:
    place = Place("a", 1)
    assert replace(place, port=2) == Place("a", 2)
    assert asdict(place) == {"host": "a", "port": 1, "secret": "s", "tags": []}
    match place:
        case Place(host, port):
            assert (host, port) == ("a", 1)


def test_who_asks_first_for_the_fields_finds_what_dataclasses_makes() -> None:
    def described(decorate: Any) -> list[tuple[Any, ...]]:
        @decorate
        class Spot:
            host: str
            port: int = 9090
            secret: str = field(default="s", repr=False)
            tags: list[str] = field(default_factory=list)

        assert is_dataclass(Spot)
        return [(f.name, f.type, f.default, f.default_factory, f.repr) for f in fields(Spot)]

    assert described(frozen) == described(dataclass(frozen=True, slots=True))


def test_a_subclass_that_asks_first_finds_the_fields_as_well() -> None:
    @frozen
    class Spot:
        host: str

    class Marked(Spot):
        pass

    assert (
        [each.name for each in fields(Marked)] == [each.name for each in fields(Spot)] == ["host"]
    )


def test_importing_compiles_nothing() -> None:
    code = (
        "import builtins; from rpcnb.core.frozen import frozen\n"
        "compiled, run = [], builtins.exec\n"
        "builtins.exec = lambda *args: (compiled.append(args[0]), run(*args))\n"
        "made = [frozen(type(f'R{n}', (), {'__annotations__': {'a': int}}))(n) for n in range(20)]\n"
        "assert not compiled, compiled\n"
        "made[0].__replace__(a=5); assert compiled"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_threads_that_make_the_first_objects_at_once_make_the_same() -> None:
    @frozen
    class Spot:
        host: str
        port: int = 9090

    def make() -> None:
        barrier.wait(20)
        made.extend(Spot("a", port=n) for n in range(3 * FEW))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    barrier, made = threading.Barrier(8), []
    threads = [threading.Thread(target=make) for _ in range(8)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    finally:
        sys.setswitchinterval(interval)
    assert sorted(spot.port for spot in made) == sorted([*range(3 * FEW)] * 8)
    assert {spot.host for spot in made} == {"a"}


def test_copy_replace_is_there_for_versions_that_have_it() -> None:
    assert Place("a", 1).__replace__(port=2) == Place("a", 2)


def test_its_own_equality_leaves_it_a_hash() -> None:
    @frozen
    class Folded:  # noqa: PLW1641 -- that is what is asked here
        name: str

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Folded) and self.name.lower() == other.name.lower()

    assert Folded("A") == Folded("a")
    assert hash(Folded("A")) == hash(Folded("A"))


def test_objects_of_two_classes_are_never_equal() -> None:
    @frozen
    class Other:
        host: str

    @frozen
    class Another:
        host: str

    assert Other("a") != Another("a")
    assert Other("a") == Other("a")
    assert hash(Other("a")) == hash(Other("a"))


def test_all_can_be_compiled_before_the_first_object() -> None:
    @frozen
    class Later:
        first: int

    before = Later.__init__
    compile_all()
    assert Later.__init__ is not before
    made = Later.__init__
    assert Later(1) == Later(first=1)
    assert Later.__init__ is made


@given(NAMES, st.lists(st.integers() | st.text() | st.floats(allow_nan=False)), st.data())
def test_whatever_the_fields_it_does_as_dataclass_does(
    names: list[str], values: list[object], data: st.DataObject
) -> None:
    values = (values * len(names))[: len(names)] if values else list(range(len(names)))
    defaults = data.draw(st.integers(0, len(names)))
    described = [
        (name, object) if i < len(names) - defaults else (name, object, field(default=values[i]))
        for i, name in enumerate(names)
    ]
    usual: Any = make_dataclass("Made", described, frozen=True)
    ours: Any = frozen(make_dataclass("Made", described, init=False, repr=False, eq=False))
    count = data.draw(st.integers(len(names) - defaults, len(names)))
    expected, made = usual(*values[:count]), ours(*values[:count])
    assert repr(made) == repr(expected)
    assert made == ours(*values[:count])
    assert hash(made) == hash(ours(*values[:count]))
    assert [f.name for f in fields(made)] == [f.name for f in fields(expected)]
    assert asdict(made) == asdict(expected)
