"""Handles that are kept though nothing here refers to them any more: ``a.pin()``."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary, ref as weak

if TYPE_CHECKING:
    from rpcnb.remote.client import Remote
    from rpcnb.session.space import RPCObjectRef


class Pin(NamedTuple):
    """How long a handle is kept."""

    until: float | None
    """Seconds of the clock on the wall (`time.time`); None for good."""
    timer: threading.Timer | None


_PINS: WeakKeyDictionary[Remote, dict[RPCObjectRef, Pin]] = WeakKeyDictionary()
"""Remote -> owners that are held here. They keep the session alive, not the `Remote`."""
_LOCK = threading.RLock()


def pin(remote: Remote, owner: RPCObjectRef, minutes: float | None = None) -> None:
    """Hold a handle's owner, for good or for some minutes; the last word counts.  Thread-safe."""
    with _LOCK:
        held = _PINS.get(remote)
        if held is None:
            held = _PINS[remote] = {}
            remote.add_close_callback(_forget)
        _drop(held, owner)
        timer = None
        if minutes is not None:
            # Not the owner itself: a timer that was cancelled lives until its thread has woken up.
            timer = threading.Timer(minutes * 60, _expire, (held, weak(owner)))
            timer.name, timer.daemon = "rpcnb-pin", True
        until = None if minutes is None else time.time() + minutes * 60
        held[owner] = Pin(until, timer)
        if timer is not None:
            timer.start()


def unpin(remote: Remote, owner: RPCObjectRef) -> None:
    """Hold it no longer; nothing happens where it was not pinned.  Thread-safe."""
    _drop(_PINS.get(remote, {}), owner)


def pins(remote: Remote) -> dict[RPCObjectRef, Pin]:
    """Return what is held, that which was freed nevertheless left out."""
    with _LOCK:
        held = _PINS.get(remote, {})
        for owner in [owner for owner in held if owner.freed]:
            _drop(held, owner)
        return dict(held)


def _drop(held: dict[RPCObjectRef, Pin], owner: RPCObjectRef) -> None:
    with _LOCK:
        dropped = held.pop(owner, None)
    if dropped is not None and dropped.timer is not None:
        dropped.timer.cancel()


def _expire(held: dict[RPCObjectRef, Pin], owner: weak[RPCObjectRef]) -> None:
    kept = owner()
    if kept is not None:
        _drop(held, kept)


def _forget(remote: Remote) -> None:
    """Let go of everything: the session is over."""
    held = _PINS.pop(remote, {})
    for owner in list(held):
        _drop(held, owner)
