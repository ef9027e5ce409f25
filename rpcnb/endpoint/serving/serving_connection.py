"""`ServingConnection`: the worker's main thread, which reads while it has nothing else to do."""

from __future__ import annotations

from _thread import start_new_thread
from threading import get_ident
from typing import TYPE_CHECKING

from rpcnb.endpoint.connection import Connection
from rpcnb.endpoint.turns import ConnectionCut
from rpcnb.wire.messages import FreeHandles

if TYPE_CHECKING:
    from rpcnb.endpoint.serving.dispatch import Dispatcher
    from rpcnb.endpoint.serving.due import DueQueue
    from rpcnb.transport.base import Transport
    from rpcnb.wire.base import WireProtocol
    from rpcnb.wire.messages import ShortCall


class ServingConnection(Connection):
    """A connection to a client, whose calls of the default stream run on one thread.

    Parameters
    ----------
    transport, protocol
        Fresh after the handshake; owned from here on.
    dispatcher : Dispatcher
        Serves what comes.
    """

    def __init__(
        self, transport: Transport, protocol: WireProtocol, dispatcher: Dispatcher
    ) -> None:
        super().__init__(transport, protocol, dispatcher)
        self._dispatcher = dispatcher
        self._at_once = dispatcher.at_once

    def _start_background(self) -> None:
        # Not as a `threading.Thread`: making one has a fresh worker copy 40 pages, and takes 0.2 ms.
        start_new_thread(self._run_background, ())

    def serve(self, work: DueQueue) -> None:
        """Wait for work, and do it, on this thread until the connection ends."""
        work.thread = get_ident()
        self.pending[work.id] = work  # so that the connection's end ends the waiting, too
        if self.reason is not None:  # looked at after storing, as `end` stores before it looks
            return
        run = self._dispatcher.run_short
        while not work.done:
            call = self._next_call(work)
            if call is None:
                self._take_turn(work)
            else:
                run(call)

    def _next_call(self, work: DueQueue) -> ShortCall | None:
        """Return a call that can begin now, as it is all that came and nothing is due before it.

        What most calls are: they need no queue, which takes 1 µs of 20. Handles that were given up ride
        ahead of a call, and are free by the time it begins.
        """
        if work.inbox or not self._reading.acquire(False):
            return None
        try:
            while not (work.inbox or work.done):
                self._turns += 1
                messages = self._receive()
                if len(messages) == 2 and type(messages[0]) is FreeHandles and not work.inbox:
                    self._handle(messages[:1])
                    messages = messages[1:]
                if len(messages) == 1 and not work.inbox:
                    (call,) = messages
                    if (
                        type(call) is tuple
                        and len(call) == 4
                        and self._at_once.get(call[1]) is False  # type: ignore[arg-type] # a handle
                    ):
                        return call  # type: ignore[return-value] # a short call
                self._handle(messages)
        except ConnectionCut:
            pass  # it is sat out in the next turn
        finally:
            self._reading.release()  # as `leave_reading`
            if self._parked or self._followers:
                self._left_reading()
        return None
