"""Text goes to the call that wrote it, and everything else where it always went."""

from __future__ import annotations

import io
import sys
import threading
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from rpcnb.session.calls import CURRENT_CALL, CallContext
from rpcnb.session.observer import CallObserver
from rpcnb.session.output import CAPTURE, PIECE, OutputCapture

if TYPE_CHECKING:
    from collections.abc import Iterator

WAIT = 10.0


class Recorder(CallObserver):
    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []
        self.arrived = threading.Event()

    def output(self, stream, text) -> None:
        self.seen.append((stream, text))
        self.arrived.set()

    def text(self, stream: str = "stdout") -> str:
        return "".join(text for name, text in self.seen if name == stream)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@contextmanager
def writing(recorder: Recorder) -> Iterator[CallContext]:
    """Be inside a call.  Not a fixture: pytest changes the streams between fixtures and tests."""
    call = CallContext(1, "f", recorder)
    with CAPTURE:
        token = CURRENT_CALL.set(call)
        try:
            yield call
            call.finish()
        finally:
            CURRENT_CALL.reset(token)


def test_lines_arrive_in_order(recorder) -> None:
    with writing(recorder) as call:
        for number in range(1000):
            print(number)
        call.finish()
        assert recorder.text() == "".join(f"{n}\n" for n in range(1000))
        assert len(recorder.seen) < 100  # collected, not a message per line


def test_a_first_line_arrives_at_once(recorder) -> None:
    with writing(recorder):
        print("now")
        assert recorder.seen == [("stdout", "now\n")]


def test_text_without_a_newline_arrives_soon(recorder) -> None:
    with writing(recorder):
        print("soon", end="")
        assert recorder.arrived.wait(WAIT)
        assert recorder.seen == [("stdout", "soon")]


def test_flush_sends_at_once(recorder) -> None:
    with writing(recorder):
        print("a")
        print("b", end="", flush=True)
        assert recorder.text() == "a\nb"


def test_streams_keep_their_order(recorder) -> None:
    with writing(recorder) as call:
        print("1")
        print("2", file=sys.stderr)
        print("3")
        call.finish()
        assert recorder.seen == [("stdout", "1\n"), ("stderr", "2\n"), ("stdout", "3\n")]


def test_pieces_are_bounded(recorder) -> None:
    with writing(recorder) as call:
        print("x" * (3 * PIECE + 5))
        call.finish()
        assert max(len(text) for _, text in recorder.seen) <= PIECE
        assert len(recorder.text()) == 3 * PIECE + 6


def test_bytes_are_text_even_when_cut_inside_a_character(recorder) -> None:
    with writing(recorder):
        data = "schön".encode()
        assert sys.stdout.buffer.write(data[:4]) == 4
        sys.stdout.buffer.write(data[4:])
        sys.stdout.buffer.flush()
        assert recorder.text() == "schön"


def test_a_call_has_no_terminal(recorder) -> None:
    with writing(recorder):
        assert not sys.stdout.isatty()
        assert sys.stdout.writable()
        assert sys.stdout.encoding


def test_what_is_not_text_is_refused(recorder) -> None:
    with writing(recorder), pytest.raises(TypeError, match="must be str"):
        sys.stdout.write(b"bytes")  # type: ignore[arg-type]


def test_warnings_arrive_as_such(recorder) -> None:
    with writing(recorder):
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("careful", UserWarning, stacklevel=1)
        assert "UserWarning: careful" in recorder.text("warning")


def test_outside_of_calls_all_is_as_ever(recorder, monkeypatch) -> None:
    original = io.StringIO()
    monkeypatch.setattr(sys, "stdout", original)
    with OutputCapture():
        print("mine")
        print("yours", file=sys.stdout)
    assert original.getvalue() == "mine\nyours\n"
    assert sys.stdout is original


def test_calls_nobody_watches_print_as_ever(monkeypatch) -> None:
    original = io.StringIO()
    monkeypatch.setattr(sys, "stdout", original)
    token = CURRENT_CALL.set(CallContext(1, "f"))
    try:
        with OutputCapture():
            print("here")
    finally:
        CURRENT_CALL.reset(token)
    assert original.getvalue() == "here\n"


def test_an_ended_call_takes_no_more(recorder, monkeypatch) -> None:
    with writing(recorder) as call:
        original = io.StringIO()
        monkeypatch.setattr(sys.stdout, "original", original)
        call.finish()
        print("late")
        assert recorder.seen == []
        assert original.getvalue() == "late\n"


def test_threads_of_a_function_write_to_the_original(recorder, monkeypatch) -> None:
    with writing(recorder):
        original = io.StringIO()
        monkeypatch.setattr(sys.stdout, "original", original)
        thread = threading.Thread(target=print, args=("elsewhere",))
        thread.start()
        thread.join(WAIT)
        assert original.getvalue() == "elsewhere\n"
        assert recorder.seen == []


def test_calls_in_parallel_threads_keep_their_text_apart() -> None:
    recorders = [Recorder() for _ in range(4)]

    def work(number: int) -> None:
        call = CallContext(number, "f", recorders[number])
        CURRENT_CALL.set(call)
        for _ in range(200):
            print(number)
        call.finish()

    with CAPTURE:
        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT)
    assert [r.text() for r in recorders] == [f"{n}\n" * 200 for n in range(4)]


def test_the_last_user_restores_the_streams() -> None:
    before = sys.stdout, sys.stderr, warnings.showwarning
    capture = OutputCapture()
    with capture:
        with capture:
            pass
        assert sys.stdout is not before[0]
    assert (sys.stdout, sys.stderr, warnings.showwarning) == before


def test_what_somebody_else_put_there_stays(monkeypatch) -> None:
    monkeypatch.setattr(sys, "stdout", sys.stdout)  # to have it back afterwards
    other = io.StringIO()
    with OutputCapture():
        sys.stdout = other
    assert sys.stdout is other


def test_a_process_without_streams_can_be_captured(monkeypatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with OutputCapture():
        assert sys.stdout.write("nowhere") == 7
    assert sys.stdout is None or sys.stdout.getvalue() == "nowhere"


def test_a_routers_buffer_that_is_collected_leaves_its_stream_alone(monkeypatch) -> None:
    gone = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stdout", gone)
    with OutputCapture():
        buffer = sys.stdout.buffer
    gone.close()
    buffer.close()  # as collecting it does; Python 3.13 shows what that raises, others hide it
