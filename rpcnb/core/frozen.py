"""Frozen records: ``@frozen`` in place of ``@dataclass(frozen=True, slots=True)``.

`dataclasses` compiles seven methods for each class while it is imported, 0.4 ms: with forty classes that
was a quarter of what a client's imports took. Here all classes share their methods, save ``__init__``,
which is compiled when the first object is made: 0.03 ms. To `dataclasses.replace`, `asdict` and `fields`,
to ``match`` and to type checkers they are dataclasses.
"""

from __future__ import annotations

from dataclasses import MISSING, FrozenInstanceError, dataclass, field, fields
from operator import attrgetter
from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T")
_uncompiled: set[type] = set()
"""Classes of which no object has been made yet."""


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: type[T]) -> type[T]:
    """Make a class of annotated fields a frozen dataclass with slots, without subclasses.

    Fields are for ``__init__``, comparison and hash, all of them. ``repr=False`` hides one, ``default`` and
    `default_factory` work as in `dataclasses`.
    """
    cls = dataclass(init=False, repr=False, eq=False, slots=True)(cls)
    names = [each.name for each in fields(cls)]  # type: ignore[arg-type]
    values = attrgetter(*names) if names else type  # without fields all are equal

    def __init__(self: object, *args: object, **kwargs: object) -> None:  # noqa: N807
        _compile_init(cls)
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


def _compile_init(cls: Any) -> None:
    """Give a class ``__init__(self, a, b=…)``, which fills the slots without `__setattr__`."""
    known: dict[str, Any] = {"_MISSING": MISSING}
    parameters, lines = [], ["    pass\n"]
    for each in fields(cls):
        name, value = each.name, each.name
        # The slot's own method is faster than `object.__setattr__`.
        known[f"_set_{name}"] = cls.__dict__[name].__set__
        if each.default_factory is not MISSING:
            known[f"_make_{name}"] = each.default_factory
            value = f"_make_{name}() if {name} is _MISSING else {name}"
            parameters.append(f"{name}=_MISSING")
        elif each.default is not MISSING:
            known[f"_default_{name}"] = each.default
            parameters.append(f"{name}=_default_{name}")
        else:
            parameters.append(name)
        lines.append(f"    _set_{name}(self, {value})\n")
    exec(f"def __init__(self, {', '.join(parameters)}):\n{''.join(lines)}", known)  # noqa: S102
    init = known["__init__"]
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    cls.__init__ = init
    _uncompiled.discard(cls)


def __repr__(self: Any) -> str:  # noqa: N807
    shown = (f"{each.name}={getattr(self, each.name)!r}" for each in fields(self) if each.repr)
    return f"{type(self).__qualname__}({', '.join(shown)})"


def __setattr__(self: object, name: str, value: object) -> None:  # noqa: ARG001, N807
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def __delattr__(self: object, name: str) -> None:  # noqa: ARG001, N807
    raise FrozenInstanceError(f"cannot delete field {name!r}")
