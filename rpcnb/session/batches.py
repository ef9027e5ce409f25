"""``rpcnb.batch``: many calls in one, for whoever made them without waiting in between."""

from __future__ import annotations

from inspect import CO_COROUTINE
from typing import TYPE_CHECKING, Any

from rpcnb.core.values import TypeCode
from rpcnb.session.tracebacks import describe_failure

if TYPE_CHECKING:
    from rpcnb.session.local import LocalSession

_FUNCTION = TypeCode.FUNCTION
Failure = list[Any]
"""Number of a call, and the fields of its `ErrorInfo`."""


def run_batch(session: LocalSession, flat: list[Any]) -> list[Any]:
    """Run calls one after the other; what one raises keeps none from running.

    Parameters
    ----------
    flat : list
        For each call the handle of a function, how many arguments it has, and these: one list of
        plain scalars crosses a session much faster than a list for each call.

    Returns
    -------
    list
        The results, None for what failed; and the failures.
    """
    get = session.handles.get
    results: list[Any] = []
    failures: list[Failure] = []
    function: Any = None
    looked_up: int | None = None
    position, end = 0, len(flat)
    while position < end:
        handle = flat[position]
        first = position + 2
        position = first + flat[position + 1]
        try:
            if handle != looked_up:
                function = _checked(get(handle, _FUNCTION))
                looked_up = handle
            results.append(function(*flat[first:position]))
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is this call's
            failures.append([len(results), *_fields(session, error)])
            results.append(None)
    return [results, failures]


def _checked(function: Any) -> Any:
    code = getattr(function, "__code__", None)
    if code is not None and code.co_flags & CO_COROUTINE:
        raise TypeError("an async def function cannot be called in a batch")
    return function


def _fields(session: LocalSession, error: Exception) -> list[Any]:
    info = describe_failure(error, session.name, session.limits.error_text)
    return [info.type_name, info.message, info.known, info.args, info.traceback, info.hops]
