"""Ownership of what a session returned: `RPCObjectRef` for any handle, `RemoteSpace` for memory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref as weak

from rpcnb.core.dtype import element_count, itemsize_of, short_spelling
from rpcnb.core.errors import InvalidHandle
from rpcnb.core.events import EVENTS, HandleFreed, HandleIssued
from rpcnb.core.frozen import frozen
from rpcnb.core.values import ArrayRef, Handle, ModuleRef, ObjectRef, Ref

if TYPE_CHECKING:
    from rpcnb.core.device import Device
    from rpcnb.session.base import RPCSession

_LIVE: WeakKeyDictionary[RPCSession, dict[int, weak[RPCObjectRef]]] = WeakKeyDictionary()
"""Session -> handle -> its owner.  The owners keep the session alive, never the other way round."""


class RPCObjectRef:
    """Owner of one handle: gives it up when it is collected, exactly once.  Thread-safe.

    Parameters
    ----------
    session : RPCSession or None
        Kept alive. None makes a temporary, for a handle that somebody else owns.
    ref : Ref
        What the session returned.

    Notes
    -----
    Collection may happen on any thread, between any two instructions, so that it does no more than
    `RPCSession.free_handle`, which never sends. It frees nothing in a forked child, where the
    session is the parent's, and is silent when the session is gone.
    """

    __slots__ = ("__weakref__", "_live", "_pid", "_session", "freed", "ref")

    def __init__(self, session: RPCSession | None, ref: Ref) -> None:
        self.ref: Any = ref
        self.freed = False
        """Whether the handle was given up; a temporary's never is.  To be read only."""
        self._session = session
        self._live: dict[int, weak[RPCObjectRef]] | None = None
        if session is None:
            return
        self._pid = os.getpid()
        live = _LIVE.get(session)
        if live is None:
            live = _LIVE.setdefault(session, {})
        live[ref.handle] = weak(self)
        self._live = live
        if EVENTS.subscriptions:
            EVENTS.emit(_issued(session, ref))

    @property
    def session(self) -> RPCSession | None:
        """The session the handle belongs to; None for a temporary."""
        return self._session

    @property
    def handle(self) -> Handle:
        """The handle.

        Raises
        ------
        InvalidHandle
            It was given up.
        """
        handle: Handle = self.ref.handle
        if self.freed:
            raise InvalidHandle(f"handle {handle} was freed here", handle=handle, reason="freed")
        return handle

    def free(self) -> None:
        """Give the handle up now.  Idempotent."""
        live, self._live = self._live, None
        # Two threads may come here at once; one of them finds the entry.
        if live is None:
            return
        self.freed = True
        if live.pop(self.ref.handle, None) is None:
            return
        session = self._session
        if session is None or self._pid != os.getpid():
            return
        session.free_handle(self.ref.handle, self.ref.type_code)
        if EVENTS.subscriptions:
            EVENTS.emit(HandleFreed(session.table_index, self.ref.handle))

    def __del__(self) -> None:
        try:  # noqa: SIM105 -- a context manager costs as much as everything else here
            self.free()
        except Exception:  # noqa: BLE001, S110 -- the interpreter ends, or the session is broken
            pass

    def __repr__(self) -> str:
        state = " freed" if self.freed else ""
        return f"<RPCObjectRef {self.ref.type_code.name} {self.ref.handle}{state}>"


def live_refs(session: RPCSession) -> list[RPCObjectRef]:
    """Return the owners of this session's handles that are alive now, oldest first."""
    found = (owner() for owner in _LIVE.get(session, {}).copy().values())
    return [owner for owner in found if owner is not None]


def live_ref(session: RPCSession, handle: int) -> RPCObjectRef | None:
    """Return the owner of one of this session's handles, if it is alive."""
    owner = _LIVE.get(session, {}).get(Handle(handle))
    return None if owner is None else owner()


@frozen
class RemoteSpace:
    """Remote memory: what the data pointer of an array here stands for.

    Keeps its session alive, and the memory as well if it holds the handle's `owner`.
    """

    session: RPCSession
    data: ArrayRef
    owner: RPCObjectRef | None = None
    """None for memory that is freed by other means (`DeviceAPI.free_data`)."""

    @property
    def device(self) -> Device:
        """Where the memory is, in the session."""
        return self.data.device

    @property
    def nbytes(self) -> int:
        """Bytes of the array's elements."""
        return array_nbytes(self.data)


def array_nbytes(ref: ArrayRef) -> int:
    """Return the bytes of an array's elements."""
    return element_count(ref.shape) * itemsize_of(ref.dtype)


def _issued(session: RPCSession, ref: Ref) -> HandleIssued:
    nbytes, base = (array_nbytes(ref), ref.base) if isinstance(ref, ArrayRef) else (0, 0)
    kind = ref.type_code.name.lower()
    return HandleIssued(session.table_index, ref.handle, kind, nbytes, _summary(ref), base)


def _summary(ref: Ref) -> str:
    if isinstance(ref, ArrayRef):
        return f"{short_spelling(ref.dtype)}{list(ref.shape)}"
    if isinstance(ref, ObjectRef):
        return ref.summary or ref.type_name
    if isinstance(ref, ModuleRef):
        return ref.name
    return getattr(ref, "name", "") or ref.info.name  # type: ignore[union-attr]  # the others
