"""Frozen records: ``@frozen`` in place of ``@dataclass(frozen=True, slots=True)``.

`dataclasses` compiles seven methods for each class while it is imported, 0.4 ms: with forty classes that
was a quarter of what a client's imports took. Here all classes share their methods. What `dataclasses` itself
makes, an ``__init__`` and what it knows of the fields, is made of a class when a few objects have been, or
somebody asks: most classes of a client never come so far.
To `dataclasses.replace`, `asdict` and `fields`, to ``match`` and to type checkers they are dataclasses.
"""

from __future__ import annotations

from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field, fields, replace
from operator import attrgetter
from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T")
_incomplete: dict[type, dict[str, Any]] = {}
"""Classes of which few objects have been made so far, and their fields' defaults: see `_defaults_of`."""
FEW = 8
"""Objects of a class that are made before its ``__init__`` is compiled; each takes 2 µs longer."""


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: type[T]) -> type[T]:
    """Make a class of annotated fields a frozen dataclass with slots, without subclasses.

    Fields are for ``__init__``, comparison and hash, all of them. ``repr=False`` hides one, ``default`` and
    `default_factory` work as in `dataclasses`.
    """
    defaults = _defaults_of(cls)
    names = tuple(defaults)
    values = attrgetter(*names) if names else type  # without fields all are equal
    left = FEW

    def __init__(self: object, *args: object, **kwargs: object) -> None:  # noqa: N807
        nonlocal left
        left -= 1
        given = dict(zip(names, args, strict=False), **kwargs)
        fits = len(given) == len(args) + len(kwargs)
        if left < 0 or not fits or not _filled(self, defaults, given):
            _complete(made)  # which also has the words for what does not fit
            made.__init__(self, *args, **kwargs)

    def __eq__(self: object, other: object) -> bool:  # noqa: N807
        return values(self) == values(other) if type(other) is made else NotImplemented

    def __hash__(self: object) -> int:  # noqa: N807
        return hash(values(self))

    shared = (__init__, __eq__, __hash__, __repr__, __setattr__, __delattr__, __replace__)
    made = _with_slots(cls, names, {function.__name__: function for function in shared})
    _incomplete[made] = defaults
    return made


def _with_slots(cls: type[T], names: tuple[str, ...], shared: dict[str, Any]) -> type[T]:
    """Return another class, since slots are given when it is made; what `cls` has itself comes first."""
    own = {name: thing for name, thing in vars(cls).items() if name not in {*names, *_LEFT_OUT}}
    if own.get("__hash__") is None:  # what Python says of a class with its own ``__eq__``
        own.pop("__hash__", None)
    known = {
        "__slots__": names,
        "__match_args__": names,
        "__qualname__": cls.__qualname__,
        "__dataclass_fields__": _Unknown(),
    }
    kind: Any = type(cls)
    made: type[T] = kind(cls.__name__, cls.__bases__, shared | own | known)
    return made


_LEFT_OUT = {"__dict__", "__weakref__"}
"""What a class has that was made without slots."""


class _Unknown:
    """Stands where `dataclasses` looks for the fields of a class, until it does."""

    def __set_name__(self, owner: Any, name: str) -> None:
        self._owner = owner

    def __get__(self, made: object, cls: type) -> dict[str, Field[Any]]:
        _complete(self._owner)
        known: dict[str, Field[Any]] = self._owner.__dataclass_fields__
        return known


def compile_all() -> None:
    """Compile what is not yet: for a process whose forks shall not do so each."""
    for cls in tuple(_incomplete):
        _complete(cls)


def _defaults_of(cls: type) -> dict[str, Any]:
    """Return the fields of a class: the default of each, what `field` made, or `MISSING`."""
    return {name: vars(cls).get(name, MISSING) for name in cls.__annotations__}


def _filled(made: object, defaults: dict[str, Any], given: dict[str, Any]) -> bool:
    """Set the fields of a new object; False where something is missing, or is no field's."""
    for name, default in defaults.items():
        value = given.pop(name) if name in given else _made_of(default)
        if value is MISSING:
            return False
        object.__setattr__(made, name, value)
    return not given


def _made_of(default: Any) -> Any:
    if type(default) is not Field:
        return default
    return default.default if default.default_factory is MISSING else default.default_factory()


def _complete(cls: Any) -> None:
    """Give a class the ``__init__`` and the fields that `dataclasses` makes for another that is like it."""
    defaults = _incomplete.get(cls)
    if defaults is None:
        return
    content: dict[str, Any] = {
        "__annotations__": dict(cls.__annotations__),
        "__doc__": "With the same fields.",
        "__module__": cls.__module__,
        "__qualname__": cls.__qualname__,
    }
    content |= {name: value for name, value in defaults.items() if value is not MISSING}
    twin: Any = dataclass(repr=False, eq=False, frozen=True)(type(cls.__name__, (), content))
    cls.__init__, cls.__dataclass_fields__ = twin.__init__, twin.__dataclass_fields__
    _incomplete.pop(
        cls, None
    )  # last: another thread may be at it, too, and needs what is set by then


def __repr__(self: Any) -> str:  # noqa: N807
    shown = (f"{each.name}={getattr(self, each.name)!r}" for each in fields(self) if each.repr)
    return f"{type(self).__qualname__}({', '.join(shown)})"


def __setattr__(self: object, name: str, value: object) -> None:  # noqa: ARG001, N807
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def __delattr__(self: object, name: str) -> None:  # noqa: ARG001, N807
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def __replace__(self: Any, /, **changes: object) -> Any:  # noqa: N807 -- of `copy.replace`
    return replace(self, **changes)
