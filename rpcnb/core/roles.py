"""What a peer may do: roles, and the caveats by which a share link is narrower than what it is of.

A *grant* is what the holder of a key may do. The server's own key grants everything but
administration, which has a key of its own. A share link carries caveats, as text::

    role=inspector;functions=stats.*,demo.show;expires=1790000000

Each can only take away, in any order and any number: so whoever holds a link may narrow it further
and give it away, and nobody can widen one (the keys that belong to them form a chain, see
`rpcnb.endpoint.share_links.derived`). A caveat that is not understood makes the whole link useless.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from enum import IntEnum
from fnmatch import fnmatchcase

from rpcnb.core.frozen import frozen

MAX_CAVEATS = 512
"""Bytes of caveats that a link may carry."""
_CAVEAT = re.compile(r"(role|functions|expires)=([\w.*?,-]{1,400})", re.ASCII)


class Role(IntEnum):
    """What somebody may do; each includes those before it."""

    INSPECTOR = 1
    """See names, documentation, sizes and statistics."""
    READER = 2
    """Copy the content of arrays and files."""
    EXECUTOR = 3
    """Call functions, hold and change arrays, files and objects of its own session."""
    EXEC = 4
    """Run cells: any code at all, where the server allows it."""

    @classmethod
    def named(cls, name: str) -> Role:
        """Return the role of that name.

        Raises
        ------
        ValueError
            There is none; the message names those there are.
        """
        try:
            return cls[name.upper()]
        except KeyError:
            known = ", ".join(role.name.lower() for role in cls)
            message = f"{name!r} is no role; roles are {known}"
            raise ValueError(message) from None

    def __str__(self) -> str:
        return self.name.lower()


@frozen
class Grant:
    """What the holder of a key may do."""

    role: Role = Role.EXEC
    functions: tuple[tuple[str, ...], ...] = ()
    """Lists of patterns; a registered function may be called if it matches one of each."""
    expires: float = math.inf
    """Seconds since the epoch."""

    @property
    def is_whole(self) -> bool:
        """Whether nothing was taken away."""
        return self == WHOLE

    def allows_name(self, name: str) -> bool:
        """Tell whether the patterns let a registered function through."""
        return all(any(fnmatchcase(name, p) for p in patterns) for patterns in self.functions)

    def narrowed(self, caveat: str) -> Grant:
        """Return what is left under one more caveat.

        Raises
        ------
        ValueError
            It is none.
        """
        match = _CAVEAT.fullmatch(caveat)
        if match is None:
            message = f"this is no caveat: {caveat!r}"
            raise ValueError(message)
        kind, text = match.groups()
        if kind == "role":
            return replace(self, role=min(self.role, Role.named(text)))
        if kind == "functions":
            return replace(self, functions=(*self.functions, tuple(text.split(","))))
        return replace(self, expires=min(self.expires, float(int(text))))


WHOLE = Grant()
"""What the server's own key grants."""


def grant_of(caveats: str) -> Grant:
    """Return what caveats leave.

    Raises
    ------
    ValueError
        One of them is not understood.
    """
    grant = WHOLE
    for caveat in split_caveats(caveats):
        grant = grant.narrowed(caveat)
    return grant


def split_caveats(caveats: str) -> list[str]:
    """Return caveats one by one."""
    return caveats.split(";") if caveats else []


def join_caveats(*caveats: str) -> str:
    """Return caveats as one text, without those that are empty.

    Raises
    ------
    ValueError
        They are too long, or one is not understood.
    """
    text = ";".join(filter(None, caveats))
    grant_of(text)
    if len(text) > MAX_CAVEATS:
        message = f"caveats of {len(text)} characters are too long: {MAX_CAVEATS} at most"
        raise ValueError(message)
    return text
