from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st
from IPython.utils.capture import capture_output

from rpcnb.notebook.cell_output import CellOutput
from rpcnb.notebook.flood import DISPLAYS, SLOWLY, TAIL, TEXT, Allowance, TextFlood, left_out

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Kernel, Shell

    import rpcnb


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_an_allowance_gives_a_burst_then_a_rate(clock: Clock) -> None:
    allowance = Allowance(10, 2, clock)
    assert [allowance.take(5) for _ in range(3)] == [True, True, False]
    clock.now = 2.0
    assert allowance.take(4)
    assert not allowance.take(1)
    clock.now = 1000.0
    assert not allowance.take(11)
    assert allowance.take(10)


@given(st.lists(st.tuples(st.integers(1, 30), st.floats(0, 3))))
def test_never_more_than_burst_and_rate_allow(takes: list[tuple[int, float]]) -> None:
    clock = Clock()
    allowance = Allowance(20, 5, clock)
    taken = 0
    for amount, pause in takes:
        clock.now += pause
        taken += amount * allowance.take(amount)
        assert taken <= 20 + 5 * clock.now + 1e-6


def test_text_that_comes_slowly_is_never_cut(clock: Clock) -> None:
    flood = TextFlood(Allowance(100, 10, clock))
    for _ in range(50):
        clock.now += 5
        assert flood.through("x" * 50) == "x" * 50
    assert flood.rest() == ""


def test_of_a_flood_the_begin_the_end_and_a_note_are_shown(clock: Clock) -> None:
    pauses: list[float] = []
    flood = TextFlood(Allowance(10, 1, clock), pauses.append)
    assert flood.through("begin") == "begin"
    assert pauses == []
    assert [flood.through("y" * 1000) for _ in range(5)] == [""] * 5
    assert flood.through("the end") == ""
    assert pauses == [SLOWLY] * 6  # the sender has to wait
    rest = flood.rest()
    assert rest.startswith(f"\n[… {5007 - TAIL:,} characters left out")
    assert rest.endswith("the end")
    assert flood.rest() == ""
    clock.now = 100
    assert flood.through("z") == "z"


def test_what_follows_a_flood_says_what_was_left_out(clock: Clock) -> None:
    flood = TextFlood(Allowance(10, 1, clock))
    flood.through("y" * 1000)
    clock.now = 5
    assert flood.through("z") == f"{left_out(1000, 'character')}z"


def test_of_displays_that_come_too_fast_the_last_is_shown(
    shell: Shell, remote: rpcnb.Remote
) -> None:
    output = CellOutput(remote)
    with capture_output() as captured:
        for number in range(10 * DISPLAYS[0]):
            output.show("display", {"text/plain": str(number)}, {}, "")
        for number in range(100):
            output.show("update", {"text/plain": f"step {number}"}, {}, "bar")
        output.end()
    shown = [o.data["text/plain"] for o in captured.outputs]
    assert len(shown) < 2 * DISPLAYS[0]
    assert {str(10 * DISPLAYS[0] - 1), "step 99"} <= set(shown)
    assert "displays left out" in captured.stdout


@pytest.mark.slow
def test_a_cell_that_prints_without_end_is_stopped_and_shows_little(
    start_kernel: Callable[..., Kernel], cell_server: Path
) -> None:
    kernel = start_kernel()
    kernel.run(f"%load_ext rpcnb\n%connect_remote {cell_server}")
    cell = kernel.start("%%remote\nfor n in range(10**9):\n    print(f'line {n} ' + 'x' * 100)")
    kernel.wait_for(cell, "line 1000 ")
    kernel.interrupt()
    kernel.finish(cell, "error")
    assert "RemoteInterrupted: %%remote stopped" in kernel.raised(cell)
    printed = kernel.printed(cell)
    assert len(printed) < TEXT[0] + 60 * TEXT[1]
    assert kernel.displayed(kernel.run("%%remote\n'next'")) == ["'next'"]
