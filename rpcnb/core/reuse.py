"""Whether an object may be used again: when nobody else has it, nobody can tell it from a new one.

A call makes four objects over there, which takes a tenth of the time of a null call and more where other
code has just run: what is new lies in memory that has left the nearest caches. CPython counts who refers to
an object, so a thread that stops the call late, a context that was copied, a traceback or a function that kept
it are all seen, and then a new one is made.
"""

from __future__ import annotations

from sys import getrefcount


def _references_to_a_local() -> int:
    something = object()
    return getrefcount(something)


UNSHARED = _references_to_a_local()
"""What ``getrefcount(x)`` says where a local variable `x` is all that refers to an object."""
