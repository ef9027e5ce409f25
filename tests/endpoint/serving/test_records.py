"""Tests of `rpcnb.endpoint.serving.records`: whose session it is, and what survives a broker."""

from __future__ import annotations

import pytest

from rpcnb.endpoint.greeting import KILL, RESUME, claim
from rpcnb.endpoint.serving.records import SessionRecord, obstacle_for
from rpcnb.wire.handshake import Agreement, Intent
from rpcnb.wire.resumable import NEWEST_EPOCH

ID, KEY = bytes(range(16)), bytes(range(32))
TAKEN = {"known": True, "taken": True}


@pytest.fixture
def record():
    return SessionRecord(ID.hex(), "mine", pid=7, resume_key=KEY)


def asked(claimed: str, caveats: str = "") -> Agreement:
    return Agreement(ID, 0, claimed, "lab", 1, Intent.ATTACH, caveats=caveats)


@pytest.mark.parametrize("purpose", [RESUME, KILL])
def test_a_session_is_its_clients_for_what_that_claims(record, purpose) -> None:
    own = claim(KEY, ID, purpose)
    other = claim(KEY, ID, KILL if purpose is RESUME else RESUME)
    assert obstacle_for(record, asked(own), purpose) is None
    for wrong in (asked(other), asked(""), asked(claim(bytes(32), ID, purpose)), asked(own, "x")):
        assert obstacle_for(record, wrong, purpose) == TAKEN


def test_a_session_of_another_protocol_belongs_to_nobody(record) -> None:
    record.resume_key = b""
    assert obstacle_for(record, asked(claim(b"", ID, KILL)), KILL) == TAKEN


def test_what_is_not_there_or_has_ended_is_told(record) -> None:
    assert obstacle_for(None, asked(""), KILL) == {"known": False}
    record.code = -9
    told = {"known": True, "code": -9, "pid": 7, "killed": False}
    assert obstacle_for(record, asked(""), KILL) == obstacle_for(record, asked(""), RESUME) == told


def test_a_session_without_epochs_left_is_not_come_back_to_and_still_killed(record) -> None:
    record.epoch = NEWEST_EPOCH
    assert obstacle_for(record, asked(claim(KEY, ID)), RESUME) == {"known": False}
    assert obstacle_for(record, asked(claim(KEY, ID, KILL)), KILL) is None


def test_another_broker_reads_what_one_left(record) -> None:
    record.away_since, record.epoch = 12.5, 3
    left = SessionRecord.from_left(record.as_left())
    assert left.away_since is None
    left.away_since = 12.5
    assert left == record
    assert KEY.hex() not in repr(record)
