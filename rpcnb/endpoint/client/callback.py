"""Callbacks: the server calls a function that the client lent it for the length of a call."""

from __future__ import annotations

import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING

from rpcnb.core.errors import InvalidHandle, describe_exception
from rpcnb.core.values import CallbackRef, Handle
from rpcnb.endpoint.client.interrupt import MAIN_THREAD
from rpcnb.wire.messages import CallFunc, Cancel, Raised, Request, Return

if TYPE_CHECKING:
    from rpcnb.endpoint.client.interrupt import InterruptShield
    from rpcnb.endpoint.connection import Connection

SERVING: ContextVar[int] = ContextVar("rpcnb_serving", default=0)
"""The peer's request in whose service this thread runs a callback; calls made meanwhile name it
as their parent, so that the peer runs them on the thread that waits for the callback."""


def serve(connection: Connection, message: CallFunc, shield: InterruptShield) -> None:
    """Run a lent function on this thread and answer.

    An interrupt of the user's function stops the call it was lent for, too.
    """
    token = SERVING.set(message.id)
    try:
        pending = connection.pending.get(message.parent)
        if pending is None:
            text = "this callback was lent for a call that has ended"
            raise InvalidHandle(text, handle=message.function, reason="freed")  # noqa: TRY301
        with shield.suspended():
            value = pending.observer.call_back(
                CallbackRef(Handle(message.function)), message.args, message.kwargs
            )
        connection.post(Return(message.id, value))
    except Exception as error:  # noqa: BLE001 -- whatever it is, the peer is told
        import traceback

        connection.post(Raised(message.id, describe_exception(error, traceback.format_exc())))
    except BaseException as error:
        connection.post(Cancel(message.parent))
        connection.post(Raised(message.id, describe_exception(error, "")))
        if not isinstance(error, KeyboardInterrupt):  # SystemExit, say: this thread's own
            raise
        if threading.get_ident() == MAIN_THREAD:  # raised again when the call has ended
            shield.count += 1
    finally:
        SERVING.reset(token)


def serve_on_thread(connection: Connection, message: Request, shield: InterruptShield) -> None:
    """Run a lent function whose caller does not wait (a submitted call) on a fresh thread."""
    assert isinstance(message, CallFunc)  # the state machine lets a server ask nothing else
    threading.Thread(
        target=serve, args=(connection, message, shield), name="rpcnb-callback", daemon=True
    ).start()
