"""``remote.batch()``: calls and array operations that go out together."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Self

from rpcnb.core.errors import ErrorInfo, FunctionNotFound, PermissionDenied, SessionError
from rpcnb.core.values import PLAIN_TYPES
from rpcnb.remote.wrap import lift
from rpcnb.session.base import CallStatus, raise_or_return

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rpcnb.core.values import FunctionRef, Value
    from rpcnb.remote.client import Remote
    from rpcnb.remote.function import RemoteFunction
    from rpcnb.remote.wrap import Lent
    from rpcnb.session.observer import RunningCall

BATCH = "rpcnb.batch"
MOST = 1 << 16
"""Values in one message; a batch of more is several, still sent together."""
_EXCEPTION, _RETURNED = CallStatus.EXCEPTION, CallStatus.RETURN


class BatchedCall:
    """A call made in a batch: a future of its result."""

    __slots__ = ("_group", "_number")

    def __init__(self, group: Group, number: int) -> None:
        self._group = group
        self._number = number

    @property
    def done(self) -> bool:
        """Whether its result or error is here."""
        return self._group.done

    def result(self) -> Any:
        """Return its result, having waited for it; the batch must have been left.

        Raises
        ------
        RemoteError
            It raised over there.
        SessionError
            The batch was not sent yet.
        """
        group = self._group
        if not group.done:
            group.wait()
        if group.status is not _RETURNED:
            return raise_or_return(group.status, group.value)
        failure = group.failures.get(self._number)
        if failure is not None:
            return raise_or_return(_EXCEPTION, failure)
        value = group.values[self._number]
        return value if type(value) in PLAIN_TYPES else group.lifted(self._number)

    def exception(self) -> BaseException | None:
        """Return what it raised, having waited for it; None if it has a result."""
        try:
            self.result()
        except BaseException as error:  # noqa: BLE001 -- given back
            return error
        return None

    def __repr__(self) -> str:
        return f"<BatchedCall {self._number} of {self._group!r}>"


class Group:
    """Calls that go out as one message, and what has come back."""

    def __init__(self, remote: Remote) -> None:
        self.remote = remote
        self.flat: list[Value] = []
        self.keep: list[RemoteFunction] = []
        """The functions, so that their handles live until the reply."""
        self.last: RemoteFunction | None = None
        """The last of them, with its handle and who owns that: most batches call one function often."""
        self.handle = 0
        self.owner: Any = None
        self.count = 0
        self.done = False
        self.running: RunningCall | None = None
        self.status = _RETURNED
        self.value: Value = None
        self.values: list[Any] = []
        self.failures: dict[int, ErrorInfo] = {}
        self._lock = threading.Lock()
        self._lifted: dict[int, Any] = {}

    def finish(self, status: CallStatus, value: Value) -> None:
        """Take what came back; on the thread that reads."""
        self.status, self.value = status, value
        if status is _RETURNED:
            self.values, failures = value
            self.failures = {number: ErrorInfo(*fields) for number, *fields in failures}
        self.flat, self.keep, self.last = [], [], None
        self.done = True

    def finish_alone(self, status: CallStatus, value: Value) -> None:
        """Take what a call returned that is a group by itself."""
        self.finish(status, [[value], []] if status is _RETURNED else value)

    def wait(self) -> None:
        """Wait until it has come back."""
        if self.running is None:
            raise SessionError("a batch is sent when its block is left: ask for results behind it")
        self.running.wait()

    def lifted(self, number: int) -> Any:
        """Return a result that is no plain value: the same object each time."""
        with self._lock:
            if number not in self._lifted:
                self._lifted[number] = lift(self.values[number], self.remote)
            return self._lifted[number]

    def __repr__(self) -> str:
        return f"<{self.count} calls{'' if self.done else ', not back yet'}>"


class Batch:
    """A block whose calls are sent when it is left: ``with remote.batch(): a, b = f(1), g(2)``.

    Within it, calls of this thread to functions of the session return `BatchedCall`, and array
    operations go out with them, in order. They run one after the other; an error is that of the
    call that raised. Positional plain values travel fastest: all such calls in a row are one message
    with one reply.
    """

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._group = Group(remote)
        self._batch: FunctionRef | None = None
        self._outer: Batch | None = None
        self.thread = threading.get_ident()

    def __enter__(self) -> Self:
        try:
            self._batch = self._remote.builtin(BATCH).lowered()
        except (FunctionNotFound, PermissionDenied):  # another kind of server: one by one
            self._batch = None
        self._outer, self._remote.batching = self._remote.batching, self
        self._remote.session.hold_back(held=True)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._remote.batching = self._outer
        self.send()
        self._remote.session.hold_back(held=False)

    def take(
        self, function: RemoteFunction, args: Sequence[Value], kwargs: Any, lent: Lent
    ) -> BatchedCall | None:
        """Collect a call of this thread, its arguments lowered.

        None for one that is not collected, and goes out behind those that are.
        """
        if self.thread != threading.get_ident():
            return None
        group = self._group
        plain = not kwargs and PLAIN_TYPES.issuperset(map(type, args))
        if not plain or group.last is not function or group.owner.freed or len(group.flat) > MOST:
            if lent or not function.is_usual:
                self.send()
                return None
            if not plain or self._batch is None:
                return self._add_alone(function, args, kwargs)
            group = self._group_for(function)
        group.flat += (group.handle, len(args), *args)
        number = group.count
        group.count = number + 1
        return BatchedCall(group, number)

    def _group_for(self, function: RemoteFunction) -> Group:
        """Return the group that takes another call, of this function."""
        handle = function.lowered().handle
        if len(self._group.flat) > MOST:
            self.send()
        group = self._group
        group.keep.append(function)
        group.last, group.owner, group.handle = function, function.owner, handle
        return group

    def _add_alone(
        self, function: RemoteFunction, args: Sequence[Value], kwargs: Any
    ) -> BatchedCall:
        ref = function.lowered()
        self.send()
        group = Group(self._remote)
        group.count = 1
        group.keep.append(function)
        group.running = self._remote.session.queue_call(
            ref, tuple(args), dict(kwargs), group.finish_alone
        )
        return BatchedCall(group, 0)

    def send(self) -> None:
        """Queue what was added so far, before something else of this thread that has to come after it."""
        group = self._group
        if group.count and self.thread == threading.get_ident():
            self._group = Group(self._remote)
            assert self._batch is not None  # else nothing is added to it
            group.running = self._remote.session.queue_call(
                self._batch, (group.flat,), {}, group.finish
            )
