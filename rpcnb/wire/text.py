"""Text that comes from anywhere, made fit to send: losing a character must not lose an error.

Values are never changed on their way. These are not values but what a program says about itself:
messages of exceptions, tracebacks, output, descriptions.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rpcnb.core.values import PLAIN_TYPES
from rpcnb.wire.messages import Goodbye, Output, Progress, Raised

if TYPE_CHECKING:
    from rpcnb.core.errors import ErrorInfo
    from rpcnb.core.limits import Limits
    from rpcnb.wire.messages import Message

_CUT = "\n… (cut) …\n"
_ARG_CHARACTERS = 1024


def without_surrogates(text: str) -> str:
    """Return text that UTF-8 can hold: lone surrogates, as in undecodable file names, escaped."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="backslashreplace").decode()
    return text


def shortened(text: str, limit: int) -> str:
    """Return `text` within `limit` characters, without its middle: both ends say most."""
    text = without_surrogates(text)
    if len(text) <= limit:
        return text
    half = max(0, limit - len(_CUT)) // 2
    return text[:half] + _CUT[:limit] + text[len(text) - half :]


def sendable_error(info: ErrorInfo, limits: Limits) -> ErrorInfo:
    """Return an error that fits: text within `limits.error_text`, arguments that can cross."""
    limit = limits.error_text
    fits = all(map(_is_small, info.args))
    return replace(
        info,
        type_name=shortened(info.type_name, limit),
        message=shortened(info.message, limit),
        args=info.args if fits else (),
        traceback=shortened(info.traceback, limit),
        hops=tuple(map(without_surrogates, info.hops)),
    )


def _is_small(arg: object) -> bool:
    if isinstance(arg, str):
        return len(arg) <= _ARG_CHARACTERS and without_surrogates(arg) == arg
    if type(arg) is int:
        return arg.bit_length() <= _ARG_CHARACTERS
    return type(arg) in PLAIN_TYPES


def sendable(message: Message, limits: Limits) -> Message:
    """Return `message` with its text made fit; any other message as it is."""
    if isinstance(message, Raised):
        return message._replace(error=sendable_error(message.error, limits))
    if isinstance(message, Output):
        return message._replace(text=without_surrogates(message.text))
    if isinstance(message, Progress):
        return message._replace(description=without_surrogates(message.description))
    if isinstance(message, Goodbye):
        return message._replace(reason=shortened(message.reason, limits.error_text))
    return message
