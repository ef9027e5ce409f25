from __future__ import annotations

from hypothesis import given, strategies as st

from rpcnb.core.events import HandleFreed, HandleIssued
from rpcnb.notebook.live.cells import Place
from rpcnb.notebook.live.handles import KEPT_DEAD, HandleLog
from rpcnb.remote.handles import HandleRow


def issued(handle: int, nbytes: int, base: int = 0, time: float = 1.0) -> HandleIssued:
    return HandleIssued(0, handle, "array", nbytes, f"array {handle}", base, time)


def heights(log: HandleLog) -> int:
    """Add up how high the ribbons are now."""
    return sum(r["steps"][-1][1] for r in log.rows() if r["died"] is None and r["steps"])


def test_a_handle_lives_from_its_issue_to_its_end() -> None:
    log = HandleLog()
    log.note(issued(3, 100, time=5.0), Place(7, 2))
    (row,) = log.take_changes()
    assert (row["cell"], row["line"], row["born"], row["died"]) == (7, 2, 5.0, None)
    assert row["steps"] == [(5.0, 100)]
    log.note(HandleFreed(0, 3, 9.0))
    (row,) = log.take_changes()
    assert row["died"] == 9.0
    assert (log.made, log.alive(), log.nbytes) == (1, 0, 0)


def test_a_buffer_counts_once_and_passes_to_the_next_oldest() -> None:
    log = HandleLog()
    log.note(issued(1, 100, base=9, time=1.0))
    log.note(issued(2, 10, base=9, time=2.0))
    assert log.nbytes == 100
    log.note(HandleFreed(0, 1, 3.0))
    assert log.nbytes == 100
    assert log.rows()[1]["steps"] == [(3.0, 100)]
    log.note(HandleFreed(0, 2, 4.0))
    assert log.nbytes == 0


def test_what_was_there_before_is_taken_over_once() -> None:
    log = HandleLog()
    log.note(issued(1, 8, base=1))
    log.begin([HandleRow(1, "array", "a", 8, 1), HandleRow(2, "array", "b", 4, 2, pins=64)], 2.0)
    assert (log.made, log.nbytes) == (2, 72)


def test_our_own_helpers_are_not_shown() -> None:
    log = HandleLog()
    log.note(HandleIssued(0, 1, "function", 0, "rpcnb.functions"))
    assert log.made == 0


def test_a_lost_session_takes_its_handles_along() -> None:
    log = HandleLog()
    log.note(issued(1, 8))
    log.lose(3.0)
    assert [(r["lost"], r["died"]) for r in log.rows()] == [(True, 3.0)]
    assert log.nbytes == 0


def test_old_ribbons_are_folded_and_counted() -> None:
    log = HandleLog()
    for handle in range(KEPT_DEAD + 2):
        log.note(issued(handle, 1))
        log.note(HandleFreed(0, handle))
    assert (log.made, log.folded, log.alive()) == (KEPT_DEAD + 2, 2, 0)
    assert len(log.rows()) == KEPT_DEAD
    assert (log.take_gone(), log.take_gone()) == ([0, 1], [])  # the browser drops them, too


@given(st.lists(st.tuples(st.integers(1, 8), st.integers(0, 3), st.integers(0, 50)), max_size=40))
def test_heights_always_add_up_to_the_buffers_that_are_held(
    steps: list[tuple[int, int, int]],
) -> None:
    log, alive, sizes = HandleLog(), {}, {}
    for time, (handle, base, nbytes) in enumerate(steps):
        if handle in alive:
            log.note(HandleFreed(0, handle, time))
            key = alive.pop(handle)
            if key not in alive.values():
                del sizes[key]
        elif handle not in {row["handle"] for row in log.rows()}:
            key = base or -handle
            log.note(issued(handle, nbytes, base, time))
            alive[handle] = key
            sizes[key] = max(nbytes, sizes.get(key, 0))
        assert heights(log) == log.nbytes == sum(sizes.values())
