"""Which functions a session offers, and what is known about them without calling them."""

from __future__ import annotations

import inspect
import re
import threading
from collections.abc import Callable
from reprlib import Repr
from typing import Any, TypeVar, overload

from rpcnb.core.roles import Role
from rpcnb.core.values import RESERVED, FunctionInfo, Parameter

Function = TypeVar("Function", bound=Callable[..., Any])

_NAME = re.compile(r"[a-z_A-Z][\w.]{0,127}", re.ASCII)
_DOC_LENGTH = 8192
_TEXT_LENGTH = 200

# Defaults are shown, never sent: a short text does, and a default may be a huge array.
_SHORT = Repr()
_SHORT.maxother = _SHORT.maxstring = _SHORT.maxlong = 80


class FunctionRegistry:
    """Name -> function.  Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._functions: dict[str, Callable[..., Any]] = {}
        self._roles: dict[str, Role] = {}
        """Of the functions that take another role than `Role.EXECUTOR`."""
        self._infos: dict[str, tuple[Callable[..., Any], FunctionInfo]] = {}
        """What was known of them when it was last asked for."""

    def add(
        self,
        name: str,
        function: Callable[..., Any],
        *,
        override: bool = False,
        role: str = "executor",
    ) -> None:
        """Offer a function.

        Parameters
        ----------
        name : str
            A letter or underscore, then letters, digits, underscores and dots; at most 128.
        function : callable
        override : bool
            Replace what has this name; calls that already run are not affected.
        role : str
            The least that a caller needs: ``inspector``, ``reader``, ``executor`` or ``exec``.

        Raises
        ------
        ValueError
            The name is malformed, reserved, or taken, or there is no such role.
        TypeError
            Not callable.
        """
        if not callable(function):
            raise TypeError(f"{function!r} is not callable, so it cannot be registered")
        if type(name) is not str or _NAME.fullmatch(name) is None:
            raise ValueError(f"{name!r} cannot name a function; write for example 'demo.blur'")
        if name.startswith(RESERVED):
            raise ValueError(f"{name!r} is reserved: {RESERVED}* are every session's own functions")
        needed = Role.named(role)
        with self._lock:
            if name in self._functions and not override:
                raise ValueError(f"{name!r} is registered already; override=True replaces it")
            self._functions[name], self._roles[name] = function, needed

    def remove(self, name: str) -> None:
        """Offer a function no longer; handles to it keep working.  LookupError when there is none."""
        with self._lock:
            del self._functions[name], self._roles[name]
            self._infos.pop(name, None)

    def get(self, name: str) -> Callable[..., Any] | None:
        """Return the function of that name, or None."""
        return self._functions.get(name)

    def describe(self, name: str, function: Callable[..., Any]) -> FunctionInfo:
        """Return what is known about the function that has or had this name; see `describe_function`.

        Kept, since reading a signature takes half a millisecond: a server describes all of its
        functions before it forks workers.
        """
        known = self._infos.get(name)
        if known is None or known[0] is not function:
            known = self._infos[name] = function, describe_function(function, name)
        return known[1]

    def role_of(self, name: str) -> Role:
        """Return the least role that may call the function of that name, if there is one."""
        return self._roles.get(name, Role.EXECUTOR)

    def only(self, wanted: Callable[[str], bool]) -> FunctionRegistry:
        """Return a registry of those functions whose names are wanted, as they are now."""
        chosen = FunctionRegistry()
        with self._lock:
            chosen._functions = {n: f for n, f in self._functions.items() if wanted(n)}
            chosen._roles = dict(self._roles)
            chosen._infos = dict(self._infos)
        return chosen

    def names(self) -> list[str]:
        """Return all names, sorted."""
        with self._lock:
            return sorted(self._functions)

    def near(self, name: str, count: int = 3) -> tuple[str, ...]:
        """Return up to `count` names that look like `name`, best first."""
        from difflib import get_close_matches  # only those who miss need it

        return tuple(get_close_matches(name, self.names(), count))


REGISTRY = FunctionRegistry()
"""What `register` fills and every session of this process serves unless told otherwise."""


@overload
def register(name: Function, /) -> Function: ...
@overload
def register(
    name: str | None = None, *, override: bool = False, role: str = "executor"
) -> Callable[[Function], Function]: ...
def register(name: Any = None, *, override: bool = False, role: str = "executor") -> Any:
    """Offer a function to whoever connects to a session of this process.

    Parameters
    ----------
    name : str, optional
        What callers ask for; the function's own name by default.
    override : bool
        Replace a function of the same name.
    role : str
        The least that a caller needs: ``inspector`` (a function that only tells something about the
        server, say), ``reader``, ``executor`` or ``exec``. It matters for share links; see
        SECURITY.md.

    Examples
    --------
    >>> @register("demo.add_one")
    ... def add_one(number: int) -> int:
    ...     return number + 1
    """

    def decorate(function: Function) -> Function:
        REGISTRY.add(name or function.__name__, function, override=override, role=role)
        return function

    if callable(name):
        function, name = name, None
        return decorate(function)
    return decorate


def describe_function(function: Callable[..., Any], name: str = "") -> FunctionInfo:
    """Return what is known about a function.  Runs none of its code, and never raises."""
    parameters, returns = _parameters(function)
    doc = getattr(function, "__doc__", None)
    return FunctionInfo(
        name=name or _name_of(function),
        parameters=parameters,
        returns=returns,
        doc=inspect.cleandoc(doc)[:_DOC_LENGTH] if isinstance(doc, str) else "",
        is_generator=inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function),
        is_async=inspect.iscoroutinefunction(function),
    )


def _name_of(function: Callable[..., Any]) -> str:
    name = getattr(function, "__name__", None)
    return name if isinstance(name, str) else type(function).__name__


def _parameters(function: Callable[..., Any]) -> tuple[tuple[Parameter, ...] | None, str]:
    # Reading a signature runs code of the function's author (``__signature__``, descriptors).
    try:
        signature = inspect.signature(function)
    except Exception:  # noqa: BLE001 -- see above
        return None, ""
    parameters = (
        Parameter(
            name=parameter.name,
            kind=int(parameter.kind),
            default=None if parameter.default is parameter.empty else _text(parameter.default),
            annotation=_annotation(parameter.annotation),
        )
        for parameter in signature.parameters.values()
    )
    return tuple(parameters), _annotation(signature.return_annotation)


def _text(default: object) -> str:
    try:
        return _SHORT.repr(default)[:_TEXT_LENGTH]
    except Exception:  # noqa: BLE001 -- a foreign ``__repr__``
        return f"<{type(default).__name__}>"


def _annotation(annotation: object) -> str:
    if annotation is inspect.Parameter.empty:
        return ""
    if isinstance(annotation, str):
        return annotation[:_TEXT_LENGTH]
    try:
        return inspect.formatannotation(annotation)[:_TEXT_LENGTH]
    except Exception:  # noqa: BLE001 -- likewise
        return type(annotation).__name__


class _Shown:
    """A value known by its text only: shows as it did over there."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def signature_of(info: FunctionInfo) -> inspect.Signature:
    """Rebuild a signature to show and to bind arguments with.

    Defaults and annotations are stand-ins with the remote text as their ``repr``.

    Raises
    ------
    ValueError
        The function has no signature that could be read, or it contradicts itself.
    """
    if info.parameters is None:
        raise ValueError(f"the signature of {info.name!r} is not known")
    empty = inspect.Parameter.empty
    parameters = [
        inspect.Parameter(
            parameter.name,
            inspect._ParameterKind(parameter.kind),  # noqa: SLF001 -- the enum has no public name
            default=empty if parameter.default is None else _Shown(parameter.default),
            annotation=_Shown(parameter.annotation) if parameter.annotation else empty,
        )
        for parameter in info.parameters
    ]
    returns = _Shown(info.returns) if info.returns else inspect.Signature.empty
    return inspect.Signature(parameters, return_annotation=returns)
