"""Tests of `rpcnb.endpoint.serving.ticket`: what is written is read."""

from __future__ import annotations

from hypothesis import given, strategies as st

from rpcnb.endpoint.serving.ticket import KILL, STOP, Ticket

TEXT = st.text(st.characters(codec="utf-8"), max_size=64)
TICKETS = st.builds(
    Ticket,
    st.binary(min_size=16, max_size=16).map(bytes.hex),
    TEXT,
    st.integers(1, 65535),
    TEXT,
    st.sampled_from(["", "tvm"]),
    st.none() | st.floats(0, 1e6),
    st.booleans(),
    st.booleans(),
)


@given(TICKETS)
def test_a_ticket_travels_whole_and_is_no_other_word(ticket) -> None:
    note = ticket.to_note()
    assert Ticket.from_note(note) == ticket
    assert note != STOP
    assert not note.startswith(KILL)
