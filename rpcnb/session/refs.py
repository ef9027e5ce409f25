"""Refs inside values: what a value that nobody will use must give back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rpcnb.core.values import OWNED_REFS, PLAIN_TYPES

if TYPE_CHECKING:
    from rpcnb.core.values import Value
    from rpcnb.session.base import RPCSession


def release_refs(value: Value, session: RPCSession) -> None:
    """Free every handle in a value that `session` returned and that will not be handed on."""
    if type(value) in PLAIN_TYPES:
        return
    if isinstance(value, OWNED_REFS):
        session.free_handle(value.handle, value.type_code)
    elif type(value) in (list, tuple):
        for item in value:
            release_refs(item, session)
    elif type(value) is dict:
        for item in (*value, *value.values()):
            release_refs(item, session)
