"""Handles that a session's former client left behind, for the one that took it up."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from rpcnb.core.errors import InvalidHandle
from rpcnb.core.values import TypeCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rpcnb.session.local import LocalSession

ADOPTED = frozenset({TypeCode.ARRAY, TypeCode.MODULE, TypeCode.OBJECT, TypeCode.ITERATOR})


def adopt(session: LocalSession, own: Sequence[int]) -> list[list[object]]:
    """Give the caller everything that is held for nobody else, under new handles.

    Parameters
    ----------
    session : LocalSession
        Whose handles they are.
    own : sequence of int
        Handles that the caller has already.

    Returns
    -------
    list
        Pairs of the number under which something was held, and what it is. Functions are not among
        them: they are found by name.
    """
    known = set(own)
    orphans = [
        entry
        for entry in session.handles.entries()
        if entry.type_code in ADOPTED and entry.handle not in known
    ]
    for entry in orphans:  # held by the list from now on, and then by what is returned
        with suppress(InvalidHandle):  # freed in between
            session.handles.free(entry.handle, entry.type_code)
    return [[int(entry.handle), entry.object] for entry in orphans]
