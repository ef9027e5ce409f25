"""What a failed call tells its caller: the exception as data, with the traceback as text."""

from __future__ import annotations

import traceback
from dataclasses import replace
from typing import TYPE_CHECKING

from rpcnb.core.errors import ErrorInfo, describe_exception

if TYPE_CHECKING:
    from types import TracebackType

_OURS = "rpcnb.session."
TOLD = "__rpcnb_traceback__"
"""Attribute of an exception that says itself how its traceback reads: that of a cell, which was
formatted by IPython."""


def describe_failure(error: BaseException, session: str, limit: int) -> ErrorInfo:
    """Turn what a function raised into data; never raises, whatever the exception's class does.

    Parameters
    ----------
    error : BaseException
        Its traceback is shown from the user's first frame on.
    session : str
        Name of the session, added to the hops.
    limit : int
        Characters of message and traceback each.
    """
    try:
        info = describe_exception(error, _bounded(_traceback(error), limit))
    except BaseException as second:  # noqa: BLE001 -- foreign code: ``__str__``, ``args``
        text = f"<describing this exception raised {type(second).__name__}>"
        info = ErrorInfo(type(error).__name__, text)
    args = info.args if sum(len(str(arg)) for arg in info.args) <= limit else ()
    return replace(
        info,
        message=_bounded(info.message, limit),
        args=args,
        hops=(*info.hops, session) if session else info.hops,
    )


def _traceback(error: BaseException) -> str:
    told = getattr(error, TOLD, None)
    if isinstance(told, str):
        return told
    start = error.__traceback__
    while start is not None and _is_ours(start):
        start = start.tb_next
    try:
        lines = traceback.format_exception(type(error), error, start)
    except Exception as second:  # noqa: BLE001 -- foreign code
        return f"<formatting the traceback raised {type(second).__name__}>"
    return "".join(lines)


def _is_ours(entry: TracebackType) -> bool:
    return str(entry.tb_frame.f_globals.get("__name__", "")).startswith(_OURS)


def _bounded(text: str, limit: int) -> str:
    """Keep both ends of a long text: where it began, and what went wrong."""
    if len(text) <= limit:
        return text
    half = limit // 2 - 32
    return f"{text[:half]}\n… {len(text) - 2 * half:,} characters left out …\n{text[-half:]}"
