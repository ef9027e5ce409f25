from __future__ import annotations

from rpcnb.wire.base import State
from rpcnb.wire.messages import Kind, Side
from rpcnb.wire.state import CLIENT_SENDS, SERVER_SENDS, TRANSITIONS, Direction, steps

OTHER = {Direction.SEND: Direction.RECEIVE, Direction.RECEIVE: Direction.SEND}


def test_every_kind_is_sent_by_somebody():
    assert CLIENT_SENDS | SERVER_SENDS | {Kind.GOODBYE} == set(Kind)


def test_what_one_side_may_send_the_other_may_receive():
    for side, state, direction, kind in TRANSITIONS:
        if state is State.OPEN:
            assert (Side(1 - side), State.OPEN, OTHER[direction], kind) in TRANSITIONS


def test_nothing_is_sent_after_goodbye_and_nothing_received_after_the_end():
    assert all(
        state is State.OPEN or (state is State.CLOSING and direction is Direction.RECEIVE)
        for _, state, direction, _ in TRANSITIONS
    )


def test_only_goodbye_changes_the_state():
    changing = {kind for (_, state, _, kind), after in TRANSITIONS.items() if after is not state}
    assert changing == {Kind.GOODBYE}


def test_no_state_leads_back():
    order = [State.OPEN, State.CLOSING, State.CLOSED]
    assert all(
        order.index(after) >= order.index(state) for (_, state, _, _), after in TRANSITIONS.items()
    )


def test_the_halves_are_the_table():
    halves = {
        (side, state, direction, kind): after
        for side in Side
        for direction in Direction
        for state, kinds in steps(side, direction).items()
        for kind, after in kinds.items()
    }
    assert halves == TRANSITIONS
