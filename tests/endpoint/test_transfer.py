"""Tests of `rpcnb.endpoint.transfer`."""

from __future__ import annotations

import array
import threading

import pytest

from rpcnb.core.errors import ArrayMismatch, EncodeError
from rpcnb.core.values import ArrayRef, Handle
from rpcnb.endpoint.connection import SEND_AHEAD
from rpcnb.endpoint.transfer import buffers_in, host_view
from rpcnb.session.base import CallStatus

WAIT = 10.0


def test_host_memory_is_seen_as_flat_bytes() -> None:
    numbers = array.array("i", [1, 2, 3])
    view = host_view(numbers, 8)
    assert (view.format, view.nbytes) == ("B", 8)
    assert bytes(view) == numbers.tobytes()[:8]
    assert host_view(b"", 0).nbytes == 0


def test_memory_with_gaps_is_refused() -> None:
    with pytest.raises(EncodeError, match="contiguous"):
        host_view(memoryview(bytes(10))[::2], 5)


def test_read_only_memory_receives_nothing() -> None:
    with pytest.raises(EncodeError, match="writable"):
        host_view(bytes(4), 4, writable=True)
    assert host_view(bytes(4), 4).nbytes == 4


@pytest.mark.parametrize("nbytes", [-1, 5])
def test_more_than_there_is_is_refused(nbytes) -> None:
    with pytest.raises(ArrayMismatch, match="holds 4"):
        host_view(bytes(4), nbytes)


def ref(base: int) -> ArrayRef:
    return ArrayRef(Handle(base + 100), base=base)


@pytest.mark.parametrize(
    ("args", "kwargs", "found"),
    [
        ((), {}, ()),
        ((1, "a"), {}, ()),
        ((ref(1),), {}, (1,)),
        ((), {"x": ref(2)}, (2,)),
        (([ref(1), (ref(2), {"k": ref(3)})],), {"y": [None]}, (1, 2, 3)),
    ],
)
def test_the_buffers_of_a_call_are_found_wherever_they_are(args, kwargs, found) -> None:
    assert buffers_in(args, kwargs) == found


class Outcome:
    """The callback of one copy."""

    def __init__(self) -> None:
        self.ended = threading.Event()

    def __call__(self, status: CallStatus, value: object) -> None:
        self.status, self.value = status, value
        self.ended.set()

    def wait(self) -> tuple[CallStatus, object]:
        assert self.ended.wait(WAIT)
        return self.status, self.value


SIZE = 3 * SEND_AHEAD + 5


@pytest.fixture
def there(served):
    """Give an array over there that takes three and a bit pieces."""
    return served.client.call_func(served.client.get_function("t.zeros"), (SIZE,))


def test_a_large_copy_in_the_background_comes_back_equal(served, there) -> None:
    data = bytes(range(256)) * (SIZE // 256 + 1)
    up, down, back = Outcome(), Outcome(), bytearray(SIZE)
    served.client.async_copy_to_remote(data, there, SIZE, up)
    assert up.wait() == (CallStatus.RETURN, SIZE)
    served.client.async_copy_from_remote(there, back, SIZE, down)
    assert down.wait() == (CallStatus.RETURN, SIZE)
    assert back == data[:SIZE]


def test_nothing_is_copied_at_once(served, there) -> None:
    up, down = Outcome(), Outcome()
    served.client.async_copy_to_remote(b"", there, 0, up)
    served.client.async_copy_from_remote(there, bytearray(), 0, down)
    assert (up.wait(), down.wait()) == ((CallStatus.RETURN, 0), (CallStatus.RETURN, 0))


def test_a_copy_that_does_not_fit_is_refused_over_there(served, there) -> None:
    data = bytearray(SIZE + 1)
    with pytest.raises(ArrayMismatch):
        served.client.copy_to_remote(data, there, SIZE + 1)
    with pytest.raises(ArrayMismatch):
        served.client.copy_from_remote(there, data, SIZE + 1)
    served.client.copy_to_remote(data, there, SIZE)


def test_a_copy_whose_connection_goes_ends(served, there) -> None:
    up = Outcome()
    served.session.host_memory = lambda handle: served.connection.transport.close()
    served.client.async_copy_to_remote(bytes(SIZE), there, SIZE, up)
    assert up.wait()[0] is CallStatus.LOST
