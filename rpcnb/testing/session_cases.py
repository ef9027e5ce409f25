"""What the cases of `SessionSuite` share: flags, and helpers at the level of `RPCSession`."""

from __future__ import annotations

import gc
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from rpcnb.core.values import CallbackRef, FunctionInfo, FunctionRef, Handle, TypeCode
from rpcnb.session.base import CallStatus, raise_or_return
from rpcnb.session.observer import (
    DEFAULT_OPTIONS,
    NO_OBSERVER,
    CallObserver,
    CallOptions,
    RunningCall,
)

if TYPE_CHECKING:
    from rpcnb.core.values import Value
    from rpcnb.session.base import RPCSession

WAIT = 20.0
"""Seconds after which something that should have happened has not."""


class RecordingObserver(CallObserver):
    """Records what happens during a call, and lends functions."""

    def __init__(self, *functions: Callable[..., Any]) -> None:
        self.functions = functions
        self.reports: list[tuple[float, float | None, str]] = []
        self.texts: list[tuple[str, str]] = []
        self.has_started = threading.Event()

    def lend(self, index: int = 0) -> CallbackRef:
        """Return the ref of one of its functions."""
        return CallbackRef(Handle(index + 1), FunctionInfo("lent"))

    def text(self, stream: str) -> str:
        """Return all that was written to a stream."""
        return "".join(text for name, text in self.texts if name == stream)

    def started(self) -> None:
        self.has_started.set()

    def progress(self, done: float, total: float | None, description: str) -> None:
        self.reports.append((done, total, description))

    def output(self, stream: str, text: str) -> None:
        self.texts.append((stream, text))

    def call_back(
        self, callback: CallbackRef, args: Sequence[Value], kwargs: Mapping[str, Value]
    ) -> Value:
        return self.functions[callback.handle - 1](*args, **kwargs)


class Started:
    """A call that was started, and how it ended."""

    def __init__(self) -> None:
        self.running = RunningCall()
        self.ends: list[tuple[CallStatus, Value]] = []
        self._ended = threading.Event()

    def callback(self, status: CallStatus, value: Value) -> None:
        """Be the callback of the call."""
        self.ends.append((status, value))
        self._ended.set()

    def cancel(self) -> None:
        """Ask that it be stopped."""
        self.running.cancel()

    def status(self) -> CallStatus:
        """Wait until it has ended, and return how."""
        assert self._ended.wait(WAIT), "the call did not end"
        assert len(self.ends) == 1, "a call ends once"
        return self.ends[0][0]

    def result(self) -> Value:
        """Wait until it has ended, and return or raise."""
        self.status()
        return raise_or_return(*self.ends[0])


def new_key() -> str:
    """Return a key of the board that nobody else uses."""
    return uuid.uuid4().hex


Case = TypeVar("Case", bound=Callable[..., None])


def needs(*flags: str) -> Callable[[Case], Case]:
    """Say that a case is only for sessions that can do this: ``@needs("streams")``."""

    def mark(case: Case) -> Case:
        case.needs = [f"has_{flag}" for flag in flags]  # type: ignore[attr-defined]
        return case

    return mark


class SessionCases:
    """Base of all cases.  What a flag says a session cannot do is no test of its subclass."""

    has_callbacks = True
    has_progress = True
    has_output = True
    has_cancel = True
    has_deadlines = True
    has_streams = True
    has_generators = True
    has_kwargs = True
    has_files = True
    has_modules = True
    """``math`` is on the allow-list."""
    has_containers = True
    """Containers, integers of any size and complex numbers may be passed."""
    has_typed_errors = True
    """Errors arrive with their class, arguments and traceback."""
    has_catalogue = True
    """Functions can be listed."""
    has_array_work = True
    """Arrays can be cast and strided over there."""
    has_process_statistics = True
    """The serving process counts for itself."""
    has_device_names = True
    """The CPU has a name, and there is only one."""
    has_queue = True
    """Queued calls return before they have run."""
    has_true_async = True
    """Asynchronous calls return before they have run."""
    has_process = True
    """Its functions run in a process of their own, which may be killed."""

    has_no_process = False
    """The opposite; by itself."""

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        cls.has_no_process = not cls.has_process
        for name in dir(cls):
            flags = getattr(getattr(cls, name), "needs", ())
            if not all(getattr(cls, flag) for flag in flags):
                setattr(cls, name, None)

    @pytest.fixture
    def session(self) -> RPCSession:
        """Give a live session; a subclass must."""
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def _keep_session(self, session: RPCSession) -> None:
        self._session = session

    def function(self, name: str) -> FunctionRef:
        """Look a function up that must be there."""
        full = name if "." in name else f"test.{name}"
        function = self._session.get_function(full)
        assert function is not None, f"{full} is not registered"
        return function

    def call(
        self,
        name: str | FunctionRef,
        *args: Value,
        observer: CallObserver = NO_OBSERVER,
        options: CallOptions = DEFAULT_OPTIONS,
        **kwargs: Value,
    ) -> Value:
        """Call by name, and give the function's handle up again."""
        function = name if isinstance(name, FunctionRef) else self.function(name)
        try:
            return self._session.call_func(
                function, args, kwargs, options=options, observer=observer
            )
        finally:
            if function is not name:
                self._session.free_handle(function.handle, TypeCode.FUNCTION)

    def start(
        self,
        name: str,
        *args: Value,
        observer: CallObserver = NO_OBSERVER,
        options: CallOptions = DEFAULT_OPTIONS,
    ) -> Started:
        """Start a call by name."""
        started = Started()
        started.running = self._session.async_call_func(
            self.function(name), args, {}, started.callback, options=options, observer=observer
        )
        return started

    def free(self, ref: Any) -> None:
        """Give up a ref."""
        self._session.free_handle(ref.handle, ref.type_code)

    def statistics(self) -> dict[str, Any]:
        """Ask the serving side for its counters."""
        counters = self.call("rpcnb.statistics")
        assert isinstance(counters, dict)
        return counters

    def eventually(self, condition: Callable[[], bool]) -> None:
        """Ask again and again; each question is a call, so nothing sleeps."""
        end = monotonic() + WAIT
        while not condition():
            assert monotonic() < end, "it never came true"
            gc.collect()
