from __future__ import annotations

import pytest

from rpcnb.core.errors import RemoteProtocolError
from rpcnb.wire.frames import FIXED, FIXED_NBYTES, Fixed
from rpcnb.wire.journal import RESUME, Journal, read_resume, resume_frame


def head(sequence: int, payload_nbytes: int = 0) -> bytes:
    return FIXED.pack(0x31, 0, 1, 0, 0, sequence, 0, payload_nbytes)


def test_what_arrived_is_dropped_and_the_rest_is_stamped_anew() -> None:
    journal = Journal()
    for sequence in (1, 2, 3):
        journal.keep(head(sequence))
    journal.trim(1)
    again = [Fixed(*FIXED.unpack(frame)) for frame in journal.again(2, 7, 40)]
    assert again == [Fixed(0x31, 0, 7, 0, 0, 3, 40, 0)]


def test_a_payload_is_referred_to_until_it_has_arrived() -> None:
    journal, memory = Journal(), bytearray(b"payload")
    journal.keep_heavy(1, (head(1, 7), memoryview(memory)))
    assert journal.is_heavy
    memory[:1] = b"P"
    assert bytes(journal.again(0, 2, 0)[1]) == b"Payload"
    journal.lighten(1)
    assert not journal.is_heavy
    journal.trim(1)
    assert len(journal) == 0
    memory.clear()  # nothing exports it any more


@pytest.mark.parametrize("received", [0, 4])
def test_a_peer_cannot_have_lost_what_it_acknowledged_or_have_what_was_not_sent(received) -> None:
    journal = Journal()
    for sequence in (1, 2, 3):
        journal.keep(head(sequence))
    journal.trim(1)
    with pytest.raises(RemoteProtocolError, match=f"{received} frames of 3"):
        journal.again(received, 2, 0)


def test_the_first_words_on_a_new_connection_say_what_was_received() -> None:
    assert read_resume(resume_frame(3, 1 << 40), 3) == 1 << 40


@pytest.mark.parametrize(
    "data",
    [
        b"",
        resume_frame(2, 5),
        resume_frame(3, 5)[:-1],
        head(1),
        FIXED.pack(RESUME, 1, 3, 0, 0, 0, 5, 0),
        FIXED.pack(RESUME, 0, 3, 0, 0, 1, 5, 0),
        bytes(FIXED_NBYTES),
    ],
    ids=["nothing", "old epoch", "short", "ping", "flags", "sequence", "zeros"],
)
def test_any_other_first_words_are_refused(data) -> None:
    with pytest.raises(RemoteProtocolError):
        read_resume(data, 3)
