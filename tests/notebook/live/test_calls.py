from __future__ import annotations

from rpcnb.core.events import CallChanged, CallOutput, CallPhase, CallProgress
from rpcnb.notebook.live.calls import KEPT, TICKS, CallLog


def changed(call: int, phase: CallPhase, time: float, detail: str = "") -> CallChanged:
    return CallChanged(0, call, f"f{call}", phase, detail, time)


def run(log: CallLog, call: int, sent: float, seconds: float) -> None:
    log.note(changed(call, CallPhase.SENT, sent))
    log.note(changed(call, CallPhase.FINISHED, sent + seconds))


def test_a_slow_call_has_a_row_from_the_moment_it_is_slow() -> None:
    log = CallLog()
    log.note(changed(1, CallPhase.SENT, 10.0))
    assert log.take_changes(10.01) == ([], [])
    (row,), _ = log.take_changes(10.06)
    assert (row["id"], row["name"], row["phase"], row["sent"]) == (1, "f1", "sent", 10.0)
    assert log.take_changes(10.2) == ([], [])


def test_progress_and_prints_come_with_the_row() -> None:
    log = CallLog()
    log.note(changed(1, CallPhase.SENT, 10.0))
    log.note(changed(1, CallPhase.STARTED, 10.1))
    log.note(CallProgress(0, 1, 3, 8, "rows", 10.2))
    for tick in range(TICKS + 5):
        log.note(CallOutput(0, 1, "stdout", "x", 11.0 + tick))
    (row,), _ = log.take_changes(11.0)
    assert (row["phase"], row["started"], row["done"], row["total"]) == ("started", 10.1, 3, 8)
    assert row["description"] == "rows"
    assert row["prints"][:2] == [11.0, 12.0]
    assert len(row["prints"]) == TICKS


def test_the_end_of_a_call_is_told_with_its_detail() -> None:
    log = CallLog()
    log.note(changed(1, CallPhase.SENT, 10.0))
    log.note(changed(1, CallPhase.FAILED, 10.01, "ValueError: no"))
    (row,), _ = log.take_changes(10.1)
    assert (row["phase"], row["ended"], row["detail"]) == ("failed", 10.01, "ValueError: no")
    assert log.running() == []


def test_fast_calls_are_one_row_until_a_slow_one_ends() -> None:
    log = CallLog()
    for call in range(1, 5):
        run(log, call, call, call / 1000)
    run(log, 5, 5.0, 1.0)
    run(log, 6, 7.0, 0.001)
    rows, _ = log.take_changes(8.0)
    assert [(r["id"], r.get("fast")) for r in rows] == [(1, 4), (5, None), (6, 1)]
    assert abs(rows[0]["median"] - 0.0025) < 1e-9


def test_who_asked_for_a_stop_is_remembered_until_the_call_ends() -> None:
    log = CallLog()
    log.note(changed(1, CallPhase.SENT, 1.0))
    log.note_cancel(1)
    log.note_cancel(99)
    (row,), _ = log.take_changes(2.0)
    assert row["asked"] is True


def test_the_oldest_rows_go_first_and_are_named() -> None:
    log = CallLog()
    for call in range(KEPT + 3):
        run(log, call, call, 0.5)
    rows, gone = log.take_changes(1e6)
    assert gone == [0, 1, 2]
    assert len(rows) == KEPT == len(log.rows())


def test_events_of_unknown_calls_change_nothing() -> None:
    log = CallLog()
    log.note(CallProgress(0, 7, 1, 2))
    log.note(changed(7, CallPhase.FINISHED, 1.0))
    assert log.take_changes(2.0) == ([], [])
