"""Who may send what, and when: the protocol's state machine as data.

Rules for this file: the sets and rows below are the protocol. What no row allows is illegal, for
either side and in either direction; there is no rule about order or state anywhere else.

States: a side is OPEN until somebody says goodbye. Who says it is CLOSING: it sends nothing more,
and still reads what the peer had sent before it knew. Who hears it is CLOSED. That calls and
replies belong together is the endpoint's business, which holds the calls.
"""

from __future__ import annotations

from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

from rpcnb.wire.base import State
from rpcnb.wire.messages import Kind, Side

if TYPE_CHECKING:
    from collections.abc import Mapping


class Direction(Enum):
    """Seen from the side in question."""

    SEND = "send"
    RECEIVE = "receive"


_BOTH = frozenset({Kind.RETURN, Kind.RAISED, Kind.STOPPED, Kind.CANCEL, Kind.PING, Kind.PONG})
"""Replies go both ways, because servers call back."""

CLIENT_SENDS = _BOTH | {
    Kind.GET_FUNCTION,
    Kind.CALL_FUNC,
    Kind.COPY_TO_REMOTE,
    Kind.COPY_FROM_REMOTE,
    Kind.DEVICE_CALL,
    Kind.STREAM_WAIT,
    Kind.FREE_HANDLES,
}
SERVER_SENDS = _BOTH | {
    Kind.CALL_FUNC,
    Kind.COPY_DATA,
    Kind.STARTED,
    Kind.PROGRESS,
    Kind.OUTPUT,
}
_SENDS = {Side.CLIENT: CLIENT_SENDS, Side.SERVER: SERVER_SENDS}
_RECEIVES = {Side.CLIENT: SERVER_SENDS, Side.SERVER: CLIENT_SENDS}
_GOODBYE = frozenset({Kind.GOODBYE})

_Key: TypeAlias = tuple[Side, State, Direction, Kind]

_ROWS = tuple(
    row
    for side in Side
    for row in (
        # side, in state, direction, these kinds, lead to
        (side, State.OPEN, Direction.SEND, _SENDS[side], State.OPEN),
        (side, State.OPEN, Direction.SEND, _GOODBYE, State.CLOSING),
        (side, State.OPEN, Direction.RECEIVE, _RECEIVES[side], State.OPEN),
        (side, State.OPEN, Direction.RECEIVE, _GOODBYE, State.CLOSED),
        (side, State.CLOSING, Direction.RECEIVE, _RECEIVES[side], State.CLOSING),
        (side, State.CLOSING, Direction.RECEIVE, _GOODBYE, State.CLOSED),
    )
)

TRANSITIONS: dict[_Key, State] = {
    (side, state, direction, kind): after
    for side, state, direction, kinds, after in _ROWS
    for kind in kinds
}
"""(side, state, direction, kind) -> next state; what is absent is illegal."""


@cache
def steps(side: Side, direction: Direction) -> Mapping[State, Mapping[int, State]]:
    """Return one side's half of `TRANSITIONS`, by state, for a look-up per frame."""
    table: dict[State, dict[int, State]] = {state: {} for state in State}
    for (row_side, state, row_direction, kind), after in TRANSITIONS.items():
        if row_side is side and row_direction is direction:
            table[state][kind] = after
    return table
