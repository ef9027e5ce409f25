"""Cases about calls that nobody waits for, and results whose handles the caller chooses."""

from __future__ import annotations

from itertools import count

import pytest

from rpcnb.array.replies import promise_text, read_reply
from rpcnb.core.device import CPU
from rpcnb.core.errors import InvalidHandle, RemoteError
from rpcnb.core.values import ArrayRef, FunctionRef, Handle, TypeCode, Value
from rpcnb.session.base import CallStatus
from rpcnb.session.handles import FIRST_PROMISED
from rpcnb.session.observer import CallOptions
from rpcnb.testing.session_cases import SessionCases, Started, needs, new_key

_numbers = count(FIRST_PROMISED + 1)


def new_handle() -> Handle:
    """Return a handle that nothing was ever promised under."""
    return Handle(next(_numbers))


class PromiseCases(SessionCases):
    """`RPCSession.queue_call`, and ``rpcnb.array.issue``."""

    def queue(self, function: FunctionRef, *args: Value, **kwargs: Value) -> Started:
        """Start a call that nobody waits for."""
        started = Started()
        started.running = self._session.queue_call(function, args, kwargs, started.callback)
        return started

    def give_up(self, *handles: int) -> None:
        """Give up arrays."""
        for handle in handles:
            self._session.free_handle(Handle(handle), TypeCode.ARRAY)

    def aside(self) -> CallOptions:
        """Make a stream beside the default one."""
        api = self._session.get_device_api(CPU)
        assert api is not None
        return CallOptions(stream=api.create_stream(CPU))

    @needs("array_work")
    def test_queued_calls_run_in_order_and_tell_their_ends(self) -> None:
        strcat = self.function("strcat")
        calls = [self.queue(strcat, "call ", str(number)) for number in range(100)]
        calls[-1].running.wait()
        assert [call.result() for call in calls] == [f"call {number}" for number in range(100)]
        self.free(strcat)

    @needs("array_work")
    def test_a_promised_result_is_an_argument_at_once(self) -> None:
        issue, first, second = self.function("rpcnb.array.issue"), new_handle(), new_handle()
        made = self.queue(issue, first, "arange", 0, 6)
        added = self.queue(issue, second, "add", 0b1, first, 0.5)
        assert self.call("sum", ArrayRef(second)) == 18
        added.running.wait()
        reply = read_reply(added.result(), promise_text("<f8", (6,)))
        assert reply is not None
        assert reply.content is not None
        assert read_reply(made.result(), promise_text("<i8", (6,))) is not None
        self.give_up(first, second)
        self.free(issue)

    @needs("array_work")
    def test_a_failure_fails_what_is_built_on_it(self) -> None:
        issue, first, second = self.function("rpcnb.array.issue"), new_handle(), new_handle()
        failed = self.queue(issue, first, "zeros", 0, -1)
        built = self.queue(issue, second, "add", 0b1, first, 1)
        built.running.wait()
        assert failed.status() is built.status() is CallStatus.EXCEPTION
        with pytest.raises((InvalidHandle, RemoteError), match="never made"):
            self.call("sum", ArrayRef(second))
        before = self.statistics()["handles"]
        self.give_up(first, second)
        self.eventually(lambda: self.statistics()["handles"] == before - 2)
        assert self.statistics()["bad_frees"] == 0
        self.free(issue)

    @needs("array_work", "queue")
    def test_a_handle_given_up_before_its_reply_is_not_held(self) -> None:
        issue = self.function("rpcnb.array.issue")
        before, key = self.statistics()["handles"], new_key()
        blocker = self.start("wait", key)
        handles = [new_handle() for _ in range(50)]
        calls = [self.queue(issue, handle, "zeros", 0, 3) for handle in handles]
        self.give_up(*handles)
        self.call("release", key, options=self.aside())
        assert blocker.status() is CallStatus.RETURN
        calls[-1].running.wait()
        assert {call.status() for call in calls} == {CallStatus.RETURN}
        self.eventually(
            lambda: self.statistics()["handles"] <= before + 1
        )  # the blocker's function
        assert self.statistics()["bad_frees"] == 0
        self.free(issue)

    @needs("array_work", "queue", "cancel")
    def test_what_is_queued_can_be_cancelled(self) -> None:
        issue, key = self.function("rpcnb.array.issue"), new_key()
        blocker = self.start("wait", key)
        handles = [new_handle() for _ in range(50)]
        calls = [self.queue(issue, handle, "zeros", 0, 3) for handle in handles]
        for call in calls:
            call.cancel()
        assert {call.status() for call in calls} == {CallStatus.CANCELLED}
        self.call("release", key, options=self.aside())
        assert blocker.status() is CallStatus.RETURN
        self.give_up(*handles)
        assert self.call("add_one", 1) == 2
        self.free(issue)
