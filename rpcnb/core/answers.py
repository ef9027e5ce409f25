"""What a peer answered, looked at before it is used: a server may be broken, or mean harm."""

from __future__ import annotations

from typing import TypeVar

from rpcnb.core.errors import RemoteProtocolError

T = TypeVar("T")


def expect(value: object, kind: type[T], what: str) -> T:
    """Return `value`, which is to be of a class.

    Parameters
    ----------
    value : object
        What came.
    kind : type
        What has to come.
    what : str
        What was asked for, in words.

    Raises
    ------
    RemoteProtocolError
        It is of another class.
    """
    if not isinstance(value, kind):
        message = (
            f"the server answered with a {type(value).__name__} where {what} was asked for; "
            "it is broken, or not what you take it for"
        )
        raise RemoteProtocolError(message)
    return value
