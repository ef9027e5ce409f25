from __future__ import annotations

import gc
import os
import sys
import threading
from dataclasses import replace
from random import Random

import numpy as np
import pytest

from rpcnb.core.errors import ArrayMismatch, DeviceError, RpcnbError
from rpcnb.core.events import EVENTS, CopyProgress
from rpcnb.core.limits import KIB
from rpcnb.endpoint import memory
from rpcnb.endpoint.client import shared_memory
from rpcnb.endpoint.client.connect import open_session
from rpcnb.endpoint.memory import STEP, SWITCH
from rpcnb.endpoint.serving.serve_memory import AdoptedMemory
from rpcnb.endpoint.serving.server import Server
from rpcnb.remote.client import Remote
from rpcnb.session.functions import FunctionRegistry

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memfd_create is Linux's")
COUNT = 1 << 17
"""Elements of a megabyte."""


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("RPCNB_RUNTIME_DIR", str(tmp_path))
    kept: list[np.ndarray] = []
    registry = FunctionRegistry()
    registry.add("t.sum", lambda array: float(array.sum()))
    registry.add("t.add", lambda array, number: array.__iadd__(number) is None)
    registry.add("t.keep", lambda array: kept.append(array[1:]))
    registry.add("t.kept", lambda: [float(array.sum()) for array in kept])
    with Server(registry=registry, in_process=True, name="srv") as server:
        yield server


@pytest.fixture
def remote(server):
    with Remote(open_session(server.url, token=server.token)) as remote:
        yield remote


def values(seed: int = 0, count: int = COUNT) -> np.ndarray:
    return np.arange(count, dtype=np.float64) + seed


def sent(remote: Remote) -> tuple[object, object]:
    here = remote.session.statistics()
    return here["bytes_sent"], here["bytes_received"]


def test_a_large_array_is_copied_without_a_message_and_both_sides_see_it(remote) -> None:
    array = remote.array(values())
    assert remote.session.statistics()["bulk_path"] == "shared memory"
    before = sent(remote)
    array.copy_from(values(7))
    assert (array.to_numpy() == values(7)).all()
    assert sent(remote) == before
    assert remote.get_function("t.sum")(array) == values(7).sum()
    remote.get_function("t.add")(array, 1)
    assert (array.to_numpy() == values(8)).all()


@pytest.mark.parametrize("shape", [(COUNT,), (512, 256), (2, 256, 256)])
@pytest.mark.parametrize("dtype", ["f8", "<i2", ">u4", "c16", [("a", "u1"), ("b", "f4")]])
def test_shapes_and_dtypes_come_through(remote, shape, dtype) -> None:
    mine = np.zeros(shape, dtype)
    mine.reshape(-1).view("u1")[:] = np.arange(mine.nbytes) % 251
    array = remote.array(mine)
    assert array.to_numpy(copy=None).tobytes() == mine.tobytes()
    assert array.dtype == mine.dtype


def test_a_view_is_read_only_and_costs_nothing(remote) -> None:
    array = remote.array(values().reshape(256, 512))
    before = sent(remote)
    view = array.to_numpy(copy=False)
    assert (view == values().reshape(256, 512)).all()
    assert view.base is not None
    with pytest.raises(ValueError, match="read-only"):
        view[0, 0] = 1
    remote.get_function("t.add")(array, 1)
    assert view[0, 1] == 2.0, "it shows what is written over there"
    assert sent(remote) > before


def test_a_view_outlives_its_array_and_its_session(server) -> None:
    with Remote(open_session(server.url, token=server.token)) as remote:
        array = remote.array(values())
        view = array.to_numpy(copy=False)
        array.free()
        others = [remote.array(values(number)) for number in range(1, 4)]
        assert (view == values()).all()
        assert all((other.to_numpy() == values(n)).all() for n, other in enumerate(others, 1))
    assert (view == values()).all()


def test_memory_is_used_again_when_both_sides_need_it_no_more(remote) -> None:
    for number in range(30):
        array = remote.array(values(number))
        assert remote.get_function("t.sum")(array) == values(number).sum()
    assert remote.session.memory.nbytes <= 4 * values().nbytes


def test_what_the_other_side_still_has_is_not_written_over(remote) -> None:
    keep = remote.get_function("t.keep")
    for number in range(3):
        keep(remote.array(values(number)))
        gc.collect()
        remote.array(values(1000))
    assert remote.get_function("t.kept")() == [values(n)[1:].sum() for n in range(3)]


def test_a_view_of_an_array_goes_by_the_socket_to_the_same_memory(remote) -> None:
    array = remote.array(values())
    half = array[COUNT // 2 :]
    half.copy_from(values(9)[: COUNT // 2])
    assert (array.to_numpy()[COUNT // 2 :] == values(9)[: COUNT // 2]).all()
    with pytest.raises(ValueError, match="copy=None"):
        half.to_numpy(copy=False)
    assert half.to_numpy(copy=None).flags.writeable


def test_what_was_made_over_there_is_copied_through_shared_memory(remote) -> None:
    array = remote.array(values(count=4 * COUNT))
    double = array * 2
    before = sent(remote)
    assert (double.to_numpy() == 2 * values(count=4 * COUNT)).all()
    assert (double[COUNT:].to_numpy() == 2 * values(count=4 * COUNT)[COUNT:]).all()
    assert (double[::2].to_numpy() == 2 * values(count=4 * COUNT)[::2]).all()
    assert (double[:, None].T.to_numpy() == 2 * values(count=4 * COUNT)).all()
    assert sent(remote)[1] - before[1] < values(count=2 * COUNT).nbytes + 5000, "the strided one"
    out = np.empty(4 * COUNT)
    for number in range(10):
        (array + number).copy_to(out)
        assert out[1] == 1 + number
    assert remote.session.memory.nbytes <= 8 * array.nbytes


def test_what_was_made_over_there_needs_no_more_memory_than_a_piece(remote) -> None:
    count = 5 * COUNT * STEP // (2 * COUNT * 8) + 3
    made = remote.arange(count, dtype="f8")
    assert (made.to_numpy() == np.arange(count)).all()
    assert made.nbytes > 2 * STEP
    assert 0 < remote.session.memory.nbytes <= STEP


def test_a_small_array_goes_by_the_socket(remote) -> None:
    array = remote.array(values(count=100))
    assert remote.session.statistics()["bulk_path"] == "socket"
    with pytest.raises(ValueError, match="not in memory that is shared"):
        array.to_numpy(copy=False)
    assert (array.to_numpy(copy=None) == values(count=100)).all()


def test_a_dtype_is_cast_and_a_part_copied_as_anywhere(remote) -> None:
    array = remote.empty(COUNT, "f8")
    array.copy_from(np.arange(COUNT, dtype="i4"))
    assert (array.to_numpy() == values()).all()
    every_second = np.arange(2 * COUNT, dtype="f8")[::2]
    array.copy_from(every_second)
    assert (array.to_numpy() == every_second).all()


@pytest.mark.parametrize("word", ["off", "0", "OFF"])
def test_it_can_be_switched_off(server, monkeypatch, word) -> None:
    monkeypatch.setenv(SWITCH, word)
    with Remote(open_session(server.url, token=server.token)) as remote:
        array = remote.array(values())
        assert remote.session.statistics()["bulk_path"] == "socket"
        assert (array.to_numpy() == values()).all()


@pytest.mark.parametrize("offer", [None, ("/no/such/folder/memory.sock", bytes(32))])
def test_a_server_that_cannot_share_is_asked_once(server, monkeypatch, offer) -> None:
    asked = []
    monkeypatch.setattr(AdoptedMemory, "offer", lambda _: asked.append(1) or offer)
    with Remote(open_session(server.url, token=server.token)) as remote:
        arrays = [remote.array(values(number)) for number in range(3)]
        assert [float(array.to_numpy()[0]) for array in arrays] == [0.0, 1.0, 2.0]
        assert remote.session.statistics()["bulk_path"] == "socket"
    assert asked == [1]


def test_when_there_are_as_many_as_may_be_the_next_goes_by_the_socket(remote, monkeypatch) -> None:
    monkeypatch.setattr(shared_memory, "MOST_SEGMENTS", 2)
    arrays = [remote.array(values(number)) for number in range(4)]
    assert [array.to_numpy()[0] for array in arrays] == [0, 1, 2, 3]
    assert remote.session.memory.nbytes == 2 * values().nbytes


def test_many_smaller_arrays_leave_room_for_large_ones(remote, monkeypatch) -> None:
    monkeypatch.setattr(shared_memory, "MOST_SEGMENTS", 4)
    monkeypatch.setattr(shared_memory, "FOR_LARGE", 2)
    smaller = [remote.array(values(number, count=1 << 13)) for number in range(3)]
    assert remote.session.memory.nbytes == 2 * 64 * KIB
    large = [remote.array(values(number)) for number in range(3)]
    assert remote.session.memory.nbytes == 2 * 64 * KIB + 2 * values().nbytes
    assert [array.to_numpy()[0] for array in smaller + large] == [0, 1, 2, 0, 1, 2]


def test_idle_memory_of_one_size_makes_room_for_another(remote, monkeypatch) -> None:
    monkeypatch.setattr(shared_memory, "MOST_SEGMENTS", 2)
    for array in [remote.array(values(number)) for number in range(2)]:
        array.free()
    remote.ping()
    other = remote.array(values(5, count=2 * COUNT))
    assert remote.session.memory.find(other.handle) is not None
    assert remote.session.memory.nbytes == values().nbytes + other.nbytes
    assert other.to_numpy()[0] == 5


def test_what_is_idle_is_given_back_when_it_is_too_much(remote, monkeypatch) -> None:
    monkeypatch.setattr(shared_memory, "MOST_IDLE", values().nbytes)
    arrays = [remote.array(values(number)) for number in range(5)]
    for array in arrays:
        array.free()
    remote.ping()
    other = remote.array(values(count=COUNT // 2))
    assert remote.session.memory.nbytes <= 3 * values().nbytes
    assert (other.to_numpy() == values(count=COUNT // 2)).all()


def test_an_array_no_machine_has_memory_for_is_refused(remote) -> None:
    with pytest.raises(DeviceError):
        remote.empty((1 << 50,), "f8")
    assert remote.session.memory.nbytes == 0


def test_a_wrong_dtype_costs_no_segment(remote) -> None:
    remote.array(values())
    with pytest.raises((RpcnbError, TypeError)):
        remote.empty(COUNT, object)
    assert (remote.array(values(1)).to_numpy() == values(1)).all()


def test_a_copy_after_the_end_of_the_session_raises(server) -> None:
    remote = Remote(open_session(server.url, token=server.token))
    array = remote.array(values())
    remote.close()
    with pytest.raises(RpcnbError):
        array.copy_from(values())
    with pytest.raises(RpcnbError):
        array.to_numpy()


def test_a_copy_waits_for_calls_that_use_the_array(remote) -> None:
    array = remote.array(values())
    calls = [remote.get_function("t.add").submit(array, 1) for _ in range(5)]
    assert (array.to_numpy() == values(5)).all()
    assert all(call.done() for call in calls)


def test_operations_that_were_sent_ahead_come_before_a_copy_and_before_a_look(remote) -> None:
    for _ in range(10):
        array = remote.array(values())
        for _ in range(5):
            array += 1
        double = array * 2
        view = array.to_numpy(copy=False)
        assert view[0] == 5.0
        array.copy_from(values())
        assert (double.to_numpy() == 2 * values(5)).all()
        assert (view == values()).all()


def test_a_part_of_an_array_is_where_it_belongs(remote) -> None:
    array = remote.array(values())
    ref = array.lowered()
    behind = replace(ref, byte_offset=8 * (COUNT - 2))
    remote.session.copy_to_remote(bytes(16), behind, 16)
    assert array.to_numpy()[-3:].tolist() == [COUNT - 3, 0, 0]
    with pytest.raises(ArrayMismatch):
        remote.session.copy_to_remote(bytes(8 * COUNT), behind, 8 * COUNT)


def test_views_are_told_of_a_copy(remote, monkeypatch) -> None:
    monkeypatch.setattr(memory, "STEP", 400_000)
    array = remote.array(values())
    with EVENTS.subscribe() as events:
        array.copy_from(values(1))
        told = [event for event in events.drain() if isinstance(event, CopyProgress)]
    assert [event.done for event in told] == [400_000, 800_000, 1 << 20]
    assert (array.to_numpy() == values(1)).all()


def test_threads_that_make_and_drop_arrays_get_their_own(remote) -> None:
    failures: list[str] = []

    def work(seed: int) -> None:
        random = Random(seed)
        for number in range(20):
            count = COUNT >> random.randint(0, 2)
            mine = values(seed * 1000 + number, count)
            array = remote.array(mine)
            if not (array.to_numpy(copy=random.choice([True, None])) == mine).all():
                failures.append(f"{seed} {number}")
            if random.random() < 0.5:
                array.free()

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert failures == []


def test_no_descriptor_is_left_when_the_session_ends(server, eventually) -> None:
    with Remote(open_session(server.url, token=server.token)) as remote:
        for number in range(3):
            remote.array(values(number))
        assert shared_descriptors()
    del remote
    gc.collect()
    # The server's end of it is in this process, too, and goes when its thread has seen the goodbye.
    assert eventually(lambda: shared_descriptors() == []), shared_descriptors()


def test_through_a_gateway_a_client_shares_nothing_and_gets_everything(server) -> None:
    def open_next():
        return open_session(server.url, token=server.token)

    with (
        Server(open_next=open_next, in_process=True, name="gateway") as gateway,
        Remote(open_session(gateway.url, token=gateway.token)) as remote,
    ):
        array = remote.array(values())
        assert remote.session.statistics()["bulk_path"] == "socket"
        remote.get_function("t.add")(array, 1)
        assert (array.to_numpy() == values(1)).all()


def shared_descriptors() -> list[str]:
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{name}"))
        except FileNotFoundError:  # the listing's own
            continue
    return [target for target in found if "memfd:rpcnb" in target]
