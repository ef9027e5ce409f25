"""What a call writes goes to whoever made the call; everything else goes where it always went.

``sys.stdout`` and ``sys.stderr`` are replaced by routers and ``warnings.showwarning`` by one of
ours, for as long as somebody needs it: a worker for its life, a session inside a notebook for the
length of a call.  The router asks the current context which call is writing.

Threads that a remote function starts have a context of their own, as `contextvars` has it: they
write to the original stream, unless started with ``contextvars.copy_context().run``.
"""

from __future__ import annotations

import codecs
import io
import sys
import threading
import warnings
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, TextIO, cast

from rpcnb.session.calls import CURRENT_CALL, CallContext
from rpcnb.session.timers import TIMERS, Timer

if TYPE_CHECKING:
    from collections.abc import Callable

FLUSH_AFTER = 0.05
"""Seconds that text may wait for more."""
PIECE = 16 * 1024
"""Characters of the largest piece handed to an observer."""


class CallText:
    """Collects the text of one call and passes it on in pieces, in order.  Thread-safe.

    A line goes out at once if nothing went out lately; what follows within `FLUSH_AFTER` seconds
    is collected, so that a loop that prints does not send a message per line.
    """

    def __init__(self, call: CallContext) -> None:
        self._call = call
        self._lock = threading.RLock()
        self._stream = "stdout"
        self._parts: list[str] = []
        self._size = 0
        self._sent_at = 0.0
        self._timer: Timer | None = None
        self._decoders: dict[str, codecs.IncrementalDecoder] = {}

    def write(self, stream: str, text: str) -> None:
        """Add text."""
        with self._lock:
            if stream != self._stream:
                self.flush()
                self._stream = stream
            self._parts.append(text)
            self._size += len(text)
            due = monotonic() - self._sent_at >= FLUSH_AFTER
            if self._size >= PIECE or (due and "\n" in text):
                self.flush()
            elif self._timer is None:
                self._timer = TIMERS.call_later(FLUSH_AFTER, self.flush)

    def write_bytes(self, stream: str, data: bytes) -> None:
        """Add UTF-8 text, which may end in the middle of a character."""
        with self._lock:
            decoder = self._decoders.get(stream)
            if decoder is None:
                decoder = codecs.getincrementaldecoder("utf-8")("replace")
                self._decoders[stream] = decoder
            self.write(stream, decoder.decode(data))

    def flush(self) -> None:
        """Pass on what was collected."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            text = "".join(self._parts)
            self._parts.clear()
            self._size = 0
            self._sent_at = monotonic()
            for start in range(0, len(text), PIECE):
                self._call.output(self._stream, text[start : start + PIECE])


def _current_text() -> CallText | None:
    """Return where the running call's text goes; None outside of calls that somebody watches."""
    call = CURRENT_CALL.get()
    if call is None or not call.observed:
        return None
    if call.text is None:
        call.text = CallText(call)
    return call.text


def _shielded() -> AbstractContextManager[None]:
    """Hold the current call's interrupts off; used where `_current_text` found a call."""
    call = CURRENT_CALL.get()
    return nullcontext() if call is None else call.shielded()


class _RouterBuffer(io.BufferedIOBase):
    """``sys.stdout.buffer``."""

    def __init__(self, name: str, original: TextIO) -> None:
        self._name = name
        self._original = original

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        text = _current_text()
        if text is None:
            return self._original.buffer.write(data)
        with _shielded():
            text.write_bytes(self._name, bytes(data))
        return memoryview(data).nbytes

    def flush(self) -> None:
        _flush(self._original)

    def close(self) -> None:
        """Do nothing, as the router: its collection, which closes it, must not flush what may be gone."""


class StreamRouter(io.TextIOBase):
    """``sys.stdout`` or ``sys.stderr`` while calls are watched.

    Parameters
    ----------
    name : str
        ``stdout`` or ``stderr``.
    original : text stream
        Where everything goes that no watched call wrote; answers what is not answered here.
    """

    def __init__(self, name: str, original: TextIO) -> None:
        self._name = name
        self.original = original
        self.buffer = _RouterBuffer(name, original)

    def write(self, text: str, /) -> int:
        destination = _current_text()
        if destination is None:
            return self.original.write(text)
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if text:
            with _shielded():
                destination.write(self._name, text)
        return len(text)

    def flush(self) -> None:
        _flush(self.original)

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return _current_text() is None and self.original.isatty()

    def fileno(self) -> int:
        return self.original.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]  # read-only, as in io itself
        return self.original.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]  # likewise
        return self.original.errors

    def close(self) -> None:
        """Do nothing: closing a router at its end must not close the process's stream."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.original, name)


def _flush(original: TextIO) -> None:
    text = _current_text()
    if text is None:
        original.flush()
    else:
        with _shielded():
            text.flush()


class OutputCapture:
    """Installs the routers, counting who needs them.  Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self.lasting = False
        """Installed for the life of the process: calls need not see to it, which takes 8 µs."""
        self._routers: dict[str, StreamRouter] = {}
        self._show: Callable[..., None] | None = None
        self._previous_show: Callable[..., None] = warnings.showwarning

    def install(self) -> None:
        """Route output from now on; each call of this needs one of `uninstall`."""
        with self._lock:
            self._users += 1
            if self._users == 1:
                for name in ("stdout", "stderr"):
                    # None in a process without a terminal, such as pythonw or a daemon
                    original = cast("TextIO", getattr(sys, name) or io.StringIO())
                    self._routers[name] = StreamRouter(name, original)
                    setattr(sys, name, self._routers[name])
                self._previous_show = warnings.showwarning
                self._show = partial(_show_warning, self._previous_show)
                warnings.showwarning = self._show

    def install_for_good(self) -> None:
        """Route output for the life of the process: a worker's."""
        self.install()
        self.lasting = True

    def uninstall(self) -> None:
        """Route no more; what somebody else put in our place meanwhile stays."""
        with self._lock:
            self._users -= 1
            if self._users == 0:
                for name, router in self._routers.items():
                    if getattr(sys, name) is router:
                        setattr(sys, name, router.original)
                if warnings.showwarning is self._show:
                    warnings.showwarning = self._previous_show

    def __enter__(self) -> None:
        self.install()

    def __exit__(self, *exc_info: object) -> None:
        self.uninstall()


def _show_warning(  # noqa: PLR0917 -- the form of `warnings.showwarning`
    previous: Callable[..., None],
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    text = _current_text() if file is None else None
    if text is None:
        previous(message, category, filename, lineno, file, line)
        return
    formatted = warnings.formatwarning(message, category, filename, lineno, line)
    with _shielded():
        text.write("warning", formatted)
        text.flush()  # each warning is a piece of its own


CAPTURE = OutputCapture()
"""The process-wide routers."""
