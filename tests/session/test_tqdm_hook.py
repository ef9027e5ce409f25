"""Real tqdm, inside and outside of calls."""

from __future__ import annotations

import io
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from rpcnb.session import tqdm_hook
from rpcnb.session.calls import CURRENT_CALL, CallContext
from rpcnb.session.observer import CallObserver
from rpcnb.session.output import CAPTURE

if TYPE_CHECKING:
    from collections.abc import Iterator


class Recorder(CallObserver):
    def __init__(self) -> None:
        self.reports: list[tuple[float, float | None, str]] = []
        self.written = ""

    def progress(self, done, total, description) -> None:
        self.reports.append((done, total, description))

    def output(self, stream, text) -> None:
        self.written += text


@pytest.fixture
def hook():
    tqdm_hook.install()
    yield
    tqdm_hook.uninstall()


@contextmanager
def watched() -> Iterator[Recorder]:
    """Be inside a call.  Not a fixture: pytest changes the streams between fixtures and tests."""
    recorder = Recorder()
    call = CallContext(1, "f", recorder)
    with CAPTURE:
        token = CURRENT_CALL.set(call)
        try:
            yield recorder
            call.finish()
        finally:
            CURRENT_CALL.reset(token)


def test_a_bar_is_the_progress_of_the_call_and_prints_nothing(hook) -> None:
    from tqdm import tqdm

    with watched() as recorder:
        for _ in tqdm(range(5), desc="rows"):
            pass
    assert recorder.reports[0] == (0, 5, "rows")
    assert recorder.reports[-1] == (5, 5, "rows")
    assert recorder.written == ""


def test_of_nested_bars_the_outer_counts(hook) -> None:
    from tqdm.auto import tqdm, trange

    with watched() as recorder:
        for _ in tqdm("ab", desc="outer"):
            for _ in trange(3, desc="inner", leave=False):
                pass
    assert {report[2] for report in recorder.reports} == {"outer"}
    assert recorder.written == ""


def test_lines_written_beside_a_bar_arrive(hook) -> None:
    from tqdm import tqdm

    with watched() as recorder:
        for item in tqdm("ab"):
            tqdm.write(item)
    assert recorder.written == "a\nb\n"


def test_a_manual_bar_of_unknown_length_reports(hook) -> None:
    from tqdm import tqdm

    with watched() as recorder, tqdm(mininterval=0, unit="B") as bar:
        bar.update(10)
    assert recorder.reports[-1] == (10, None, "")


def test_outside_of_calls_a_bar_draws_itself(hook) -> None:
    from tqdm import tqdm

    file = io.StringIO()
    assert list(tqdm("ab", file=file, desc="mine")) == ["a", "b"]
    assert "mine: 100%" in file.getvalue()
    assert file.getvalue().endswith("\n")


def test_a_call_nobody_watches_draws_too(hook) -> None:
    from tqdm import tqdm

    file = io.StringIO()
    token = CURRENT_CALL.set(CallContext(1, "f"))
    try:
        list(tqdm("ab", file=file))
    finally:
        CURRENT_CALL.reset(token)
    assert "100%" in file.getvalue()


def test_tqdm_imported_later_is_patched_then(run_python) -> None:
    printed = run_python(
        "import sys; from rpcnb.session import tqdm_hook as h; h.install(); h.install();"
        "assert 'tqdm' not in sys.modules;"
        "import tqdm; print(hasattr(tqdm.tqdm.display, '__wrapped__'));"
        "h.uninstall(); h.uninstall(); print(hasattr(tqdm.tqdm.display, '__wrapped__'))"
    )
    assert printed.split() == ["True", "False"]


def test_removal_leaves_nothing_behind(hook) -> None:
    before = list(sys.meta_path)
    tqdm_hook.uninstall()
    assert len(sys.meta_path) == len(before) - 1
