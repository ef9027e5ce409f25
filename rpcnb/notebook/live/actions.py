"""What a click in a panel does: each is one line of code that the user could have written.

Functions here take the session and what the browser sent, do it, and return that line, which the
panel shows. What the browser sends is checked like any other input.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rpcnb.core.errors import RpcnbError
from rpcnb.manager import manager
from rpcnb.notebook.live import holders

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rpcnb.notebook.live.hub import Hub
    from rpcnb.remote.proxy import HandleProxy

MOST_MINUTES = 7 * 24 * 60
"""A pin for a time; more is for good."""


def cancel(hub: Hub, message: Mapping[str, Any]) -> str:
    """Ask that a call be stopped."""
    call = int(message["call"])
    hub.note_cancel(call)
    hub.remote.cancel(call)
    return f"{_variable(hub)}.cancel({call})"


def free(hub: Hub, message: Mapping[str, Any]) -> str:
    """Give a handle up."""
    name = _name_of(hub, message)
    _proxy(hub, message).free()
    return f"{name}.free()"


def pin(hub: Hub, message: Mapping[str, Any]) -> str:
    """Keep a handle, for some minutes or for good, whatever becomes of its names."""
    given = message.get("minutes")
    minutes = None if given is None else min(max(float(given), 0), MOST_MINUTES)
    _proxy(hub, message).pin(minutes)
    return f"{_name_of(hub, message)}.pin({'' if minutes is None else f'minutes={minutes:g}'})"


def unpin(hub: Hub, message: Mapping[str, Any]) -> str:
    """Keep a handle no longer than its names do."""
    name = _name_of(hub, message)
    _proxy(hub, message).unpin()
    return f"{name}.unpin()"


def forget(hub: Hub, message: Mapping[str, Any]) -> str:
    """Take a handle out of the outputs that IPython keeps."""
    numbers = holders.forget_outputs(_proxy(hub, message).owner)
    return "; ".join(f"del Out[{number}]" for number in numbers) or "# no output holds it"


def disconnect(hub: Hub, message: Mapping[str, Any]) -> str:
    """Close a session."""
    remote = manager.get(int(message.get("index", hub.index)))
    name = holders.variable_of(remote)
    remote.close()
    return f"{name}.close()" if name else f"rpcnb.manager.close({remote.name!r})"


def detach(hub: Hub, _message: Mapping[str, Any]) -> str:
    """Leave the session as it is, for whoever takes it up by its name."""
    name = _variable(hub)
    hub.remote.detach()
    return f"{name}.detach()"


ACTIONS: dict[str, Callable[[Hub, Mapping[str, Any]], str]] = {
    "cancel": cancel,
    "detach": detach,
    "disconnect": disconnect,
    "forget": forget,
    "free": free,
    "pin": pin,
    "unpin": unpin,
}


def act(hub: Hub, message: Mapping[str, Any]) -> dict[str, Any] | None:
    """Do what a message asks for; return what to tell the browser, or None if it is no action."""
    action = ACTIONS.get(str(message.get("type")))
    if action is None:
        return None
    try:
        return {"type": "code", "code": action(hub, message)}
    except (RpcnbError, LookupError, TypeError, ValueError) as error:
        return {"type": "code", "code": "", "error": f"{type(error).__name__}: {error}"}


def _proxy(hub: Hub, message: Mapping[str, Any]) -> HandleProxy:
    return hub.remote.handle(int(message["handle"]))


def _name_of(hub: Hub, message: Mapping[str, Any]) -> str:
    """Return how the user writes what a message is about."""
    number = int(message["handle"])
    name = holders.variable_of(_proxy(hub, message).owner)
    return name or f"{_variable(hub)}.handle({number})"


def _variable(hub: Hub) -> str:
    """Return how the user writes the session."""
    return holders.variable_of(hub.remote) or f"rpcnb.manager.get({hub.remote.name!r})"
