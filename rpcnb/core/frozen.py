"""Frozen records: ``@frozen`` in place of ``@dataclass(frozen=True, slots=True)``.

`dataclasses` compiles seven methods for each class while it is imported, 0.4 ms: with forty classes that
was a quarter of what a client's imports took. Here all classes share their methods, save ``__init__``,
which is compiled (0.4 ms) when a few objects have been made: most classes of a client never come so far.
To `dataclasses.replace`, `asdict` and `fields`, to ``match`` and to type checkers they are dataclasses.
"""

from __future__ import annotations

from dataclasses import MISSING, FrozenInstanceError, dataclass, field, fields
from operator import attrgetter
from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T")
_uncompiled: set[type] = set()
"""Classes of which few objects have been made so far."""
FEW = 8
"""Objects of a class that are made before its ``__init__`` is compiled; each takes 2 µs longer."""


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: type[T]) -> type[T]:
    """Make a class of annotated fields a frozen dataclass with slots, without subclasses.

    Fields are for ``__init__``, comparison and hash, all of them. ``repr=False`` hides one, ``default`` and
    `default_factory` work as in `dataclasses`.
    """
    cls = dataclass(init=False, repr=False, eq=False, slots=True)(cls)
    names = [each.name for each in fields(cls)]  # type: ignore[arg-type]
    values = attrgetter(*names) if names else type  # without fields all are equal
    left = FEW

    def __init__(self: object, *args: object, **kwargs: object) -> None:  # noqa: N807
        nonlocal left
        left -= 1
        given = dict(zip(names, args, strict=False), **kwargs)
        fits = len(given) == len(args) + len(kwargs)
        if left < 0 or not fits or not _filled(self, given):
            _compile_init(cls)  # which also has the words for what does not fit
            cls.__init__(self, *args, **kwargs)

    def __eq__(self: object, other: object) -> bool:  # noqa: N807
        return values(self) == values(other) if type(other) is cls else NotImplemented

    def __hash__(self: object) -> int:  # noqa: N807
        return hash(values(self))

    for function in (__init__, __eq__, __hash__, __repr__, __setattr__, __delattr__):
        if function.__name__ not in cls.__dict__:  # as in `dataclasses`, its own comes first
            setattr(cls, function.__name__, function)
    _uncompiled.add(cls)
    return cls


def compile_all() -> None:
    """Compile what is not yet: for a process whose forks shall not do so each."""
    for cls in tuple(_uncompiled):
        _compile_init(cls)


def _filled(made: Any, given: dict[str, Any]) -> bool:
    """Set the fields of a new object; False where something is missing, or is no field's."""
    for each in fields(made):
        if each.name in given:
            value = given.pop(each.name)
        elif each.default is not MISSING:
            value = each.default
        elif each.default_factory is not MISSING:
            value = each.default_factory()
        else:
            return False
        object.__setattr__(made, each.name, value)
    return not given


def _compile_init(cls: Any) -> None:
    """Give a class the ``__init__`` that `dataclasses` makes for another with the same fields."""
    given: dict[str, Any] = {
        "__annotations__": {each.name: each.type for each in fields(cls)},
        "__doc__": "With the same fields.",
        "__module__": cls.__module__,
        "__qualname__": cls.__qualname__,
    }
    for each in fields(cls):
        given[each.name] = field(default=each.default, default_factory=each.default_factory)
    twin: Any = type(cls.__name__, (), given)
    cls.__init__ = dataclass(repr=False, eq=False, frozen=True)(twin).__init__
    _uncompiled.discard(cls)


def __repr__(self: Any) -> str:  # noqa: N807
    shown = (f"{each.name}={getattr(self, each.name)!r}" for each in fields(self) if each.repr)
    return f"{type(self).__qualname__}({', '.join(shown)})"


def __setattr__(self: object, name: str, value: object) -> None:  # noqa: ARG001, N807
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def __delattr__(self: object, name: str) -> None:  # noqa: ARG001, N807
    raise FrozenInstanceError(f"cannot delete field {name!r}")
