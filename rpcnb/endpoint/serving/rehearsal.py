"""Sessions played before anybody comes, so that workers find their code run in.

CPython rewrites the code of a function while it runs for the first times (PEP 659), and notes where
the names in it were found. A forked worker that had to do so itself would write to pages which it can
go on sharing with the process it was forked from: one in ten of those that it copies.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import TYPE_CHECKING

from rpcnb.endpoint.serving.stage import ASKED_FOR_FIRST
from rpcnb.endpoint.serving.ticket import Ticket
from rpcnb.transport.descriptor import adopt
from rpcnb.wire.messages import CallFunc, GetFunction, Goodbye, Side
from rpcnb.wire.resumable import ResumableV1

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rpcnb.endpoint.serving.stage import Stage
    from rpcnb.transport.base import Transport
    from rpcnb.wire.messages import Message

    Play = Callable[[Transport, Ticket, str, Stage], None]
    """Serves a session: given its connection, its ticket, its folder, and what was made ready."""

NO_FOLDER = os.devnull
"""Where a session's folder cannot be made, as none of these needs one."""
TIMES = 10
"""Sessions: code is rewritten when it has run eight times, and is right the next."""


def rehearse(make_stage: Callable[[], Stage], play: Play) -> None:
    """Play sessions with a client that only talks.  No thread is left: this process is to fork.

    As it does not listen, what they answer must fit into a socket: let them offer no functions. A
    client's frames come one at a time, and so must these: only Linux keeps them apart in a socket.
    """
    if sys.platform != "linux":
        return
    for _ in range(TIMES):
        stage = make_stage()
        stage.seat.reads_on = False
        stage.prepare()
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with near:
            for frame in _what_is_said(stage):
                near.send(frame)
            ticket = Ticket.from_note(Ticket("0" * 32, "", 1).to_note())
            play(adopt(far.detach()), ticket, NO_FOLDER, stage)


def _what_is_said(stage: Stage) -> Iterator[bytes]:
    """Make the frames of a client that asks for what `Remote` asks for, and leaves."""
    messages: list[Message] = []
    for name in ASKED_FOR_FIRST:
        function = stage.session.get_function(name)
        assert function is not None  # every session has it
        messages += GetFunction(1, name), CallFunc(2, int(function.handle))
    wire = ResumableV1(Side.CLIENT)
    for message in (*messages, Goodbye()):
        yield b"".join(wire.frame(wire.prepare(message)))
