from __future__ import annotations

import io
import sys

import pytest

from rpcnb.remote.progress import Progress, TerminalBar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("progress", "text", "fraction"),
    [
        (Progress(1, 4, "rows"), "rows 1/4 (25%)", 0.25),
        (Progress(3), "3", None),
        (Progress(0, 0), "0/0", None),
        (Progress(5, 4), "5/4 (100%)", 1.0),
    ],
)
def test_progress_reads_well(progress: Progress, text: str, fraction: float | None) -> None:
    assert str(progress) == text
    assert progress.fraction == fraction


def test_nothing_is_drawn_where_nobody_sees_it(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    bar = TerminalBar("f")
    bar.update(Progress(1, 2))
    bar.close()
    assert stream.getvalue() == ""


def test_nothing_is_drawn_for_a_fast_call(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    bar = TerminalBar("f")
    bar.update(Progress(1, 2))
    bar.close()
    assert stream.getvalue() == ""


def test_a_slow_call_is_drawn_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    bar = TerminalBar("f", delay=0)
    bar.update(Progress(1, 4, "rows"))
    bar.close()
    assert "rows:  25%" in stream.getvalue()
