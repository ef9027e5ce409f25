from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from IPython.utils.capture import capture_output

from rpcnb.notebook import progress
from rpcnb.notebook.progress import CellBar, text_bar
from rpcnb.remote.progress import Progress

if TYPE_CHECKING:
    from conftest import Shell


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Give a clock that shows its one element."""
    now = [0.0]
    monkeypatch.setattr(progress, "monotonic", lambda: now[0])
    return now


def test_a_fast_call_shows_nothing(shell: Shell, clock: list[float]) -> None:
    with capture_output() as captured:
        view = CellBar("f")
        clock[0] = 0.4
        view.update(Progress(1, 2))
        view.close()
    assert captured.outputs == []


def test_a_slow_call_shows_a_bar_ten_times_a_second_at_most(
    shell: Shell, clock: list[float]
) -> None:
    with capture_output() as captured:
        view = CellBar("f")
        for step in range(1, 101):  # two seconds, fifty updates each
            clock[0] = step / 50
            view.update(Progress(step, 100, "rows"))
        running = len(captured.outputs)
        view.close()
    assert 10 <= running <= 16
    first, last = captured.outputs[0], captured.outputs[-1]
    assert "<progress" in first.data["text/html"]
    assert "[########" in first.data["text/plain"]
    assert "rows 100/100 (100%), 2.0 s" in last.data["text/html"]
    assert "<progress" not in last.data["text/html"]


def test_a_description_is_text(shell: Shell, clock: list[float]) -> None:
    with capture_output() as captured:
        view = CellBar("f")
        clock[0] = 1.0
        view.update(Progress(1, None, "<b>\x1b"))
        view.close()
    assert "&lt;b&gt;\\x1b" in captured.outputs[0].data["text/html"]
    assert "<b>\\x1b" in captured.outputs[0].data["text/plain"]


def test_a_bar_of_characters() -> None:
    assert text_bar(0.5) == f"[{'#' * 15}{'.' * 15}] "
    assert text_bar(None) == ""
