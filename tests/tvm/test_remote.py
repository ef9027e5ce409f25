"""A person's tools on TVM's own server: functions, arrays, files, modules, errors, the end."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from rpcnb.core.device import CPU, DeviceAttr
from rpcnb.core.errors import (
    ArrayMismatch,
    DeadlineExceeded,
    EncodeError,
    FunctionNotFound,
    HandshakeError,
    OutcomeUnknown,
    RemoteError,
    SessionClosed,
    SessionError,
    TransportTimeout,
    WorkerDied,
)
from rpcnb.endpoint.tvm.connect import TVMAddress, connect_tvm
from rpcnb.remote.client import Remote, open_remote
from rpcnb.remote.object import RemoteObject

KEY = "device"  # of the server in conftest.py
DTYPES = [
    "?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16",
]  # fmt: skip


@pytest.fixture
def remote(session):
    return Remote(session)


def test_a_url_opens_a_session(port) -> None:
    with open_remote(f"tvm://127.0.0.1:{port}?key={KEY}") as remote:
        assert remote.get_function("test.add_one")(1) == 2
        assert remote.name == KEY
        assert 0 < remote.ping() < 5


def test_the_servers_functions_are_listed(remote) -> None:
    assert {"test.add_one", "tvm.rpc.server.upload"} <= set(remote.functions)
    assert remote.fn.test.add_one(1) == 2
    with pytest.raises(FunctionNotFound, match=r"test\.add_one"):
        remote.get_function("test.addone")


# --- functions and values ----------------------------------------------------------------------


def test_a_closure_keeps_what_it_captured(remote) -> None:
    adder = remote.get_function("test.make_adder")(10)
    assert adder(5) == 15
    assert remote.get_function("test.call")(adder, 7) == 17


def test_a_string_with_nul_arrives_whole(remote) -> None:
    assert remote.get_function("test.strcat")("a\0b", "c")[:1] == "a"  # TVM cuts on the way back
    length = remote.get_function("test.length")
    assert length("a\0b") == 3


def test_objects_are_opaque_and_go_back(remote) -> None:
    shape = remote.get_function("ffi.Shape")(1, 2, 3)
    assert isinstance(shape, RemoteObject)
    assert shape.type_name == "tvm.Shape"
    assert remote.get_function("test.type")(shape) == "Shape"
    array = remote.get_function("ffi.Array")(1, 2, 3)
    assert remote.get_function("ffi.ArraySize")(array) == 3


def test_numpy_scalars_go_as_numbers(remote) -> None:
    echo = remote.get_function("test.echo")
    assert echo(np.float32(1.5)) == 1.5
    assert echo(np.int8(-3)) == -3
    assert echo(np.True_) is True


@pytest.mark.parametrize("value", [[1], (1,), {}, 2**64, 1j, slice(1)])
def test_what_tvm_cannot_pass_is_refused_here(remote, value) -> None:
    with pytest.raises(EncodeError, match="TVM"):
        remote.get_function("test.echo")(value)


def test_what_tvm_cannot_do_is_said(remote) -> None:
    echo = remote.get_function("test.echo")
    with pytest.raises(EncodeError, match="no keyword arguments"):
        echo(value=1)
    with pytest.raises(EncodeError, match="cannot call functions of this side"):
        echo(lambda: 1)
    with pytest.raises(EncodeError, match="no time-out for one call"):
        echo.options(timeout=1)(1)
    with pytest.raises(SessionError, match=r"has no 'method\.sum' of its own"):
        remote.zeros(3).sum()


def test_a_remote_exception_is_a_runtime_error_with_its_text(remote) -> None:
    with pytest.raises(RuntimeError, match="abc") as caught:
        remote.get_function("test.fail")("ValueError", "abc")
    assert isinstance(caught.value, RemoteError)
    assert remote.get_function("test.add_one")(1) == 2


def test_a_function_is_timed_over_there(remote) -> None:
    result = remote.get_function("test.add_one").time_evaluator(number=5, repeat=3)(1)
    assert len(result.results) == 3
    assert 0 < result.mean < 1
    with pytest.raises(EncodeError, match="by name only"):
        remote.get_function("test.make_adder")(1).time_evaluator()


def test_a_started_call_does_not_block_and_keeps_its_turn(remote) -> None:
    sleep, add_one = remote.get_function("test.sleep"), remote.get_function("test.add_one")
    first, *others = [sleep.submit(0.2), *(add_one.submit(n) for n in range(5))]
    assert not first.done()
    assert others[-1].cancel()
    assert add_one(10) == 11
    assert [future.result(5) for future in (first, *others[:-1])] == [1, 1, 2, 3, 4]


# --- arrays ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_goes_up_and_comes_down(remote, dtype) -> None:
    host = (np.arange(12) % 2).astype(dtype).reshape(3, 4)
    array = remote.array(host)
    assert array.dtype == host.dtype
    np.testing.assert_array_equal(array.to_numpy(), host)


@pytest.mark.parametrize("dtype", [">f4", "M8[s]", "S4", "U2"])
def test_a_dtype_tvm_does_not_have_is_refused(remote, dtype) -> None:
    with pytest.raises(EncodeError, match="TVM has no arrays of dtype"):
        remote.empty(3, dtype)


def test_bfloat16_comes_as_its_bits(remote) -> None:
    array = remote.get_function("test.bfloat16")()
    assert array.dtype == np.uint16
    assert array.to_numpy().tolist() == [0x3F80, 0x4000]
    assert remote.get_function("test.dtype")(array) == "bfloat16"


def test_a_returned_tensor_lives_as_long_as_anybody_needs_it(remote) -> None:
    holder = remote.get_function("test.make_holder")(100)
    array = holder("array")()
    assert array.to_numpy().sum() == 100
    array.free()
    assert holder("sum")() == 100.0


def test_views_are_runs_of_the_same_memory(remote) -> None:
    array = remote.array(np.arange(12, dtype="f4").reshape(3, 4))
    assert array[1].to_numpy().tolist() == [4, 5, 6, 7]
    assert array[1:].to_numpy().shape == (2, 4)
    part = array[2, 1:3]
    array[2] = np.full(4, 9, "f4")
    array[0] = 7
    array.free()
    assert part.to_numpy().tolist() == [9, 9]
    with pytest.raises(ArrayMismatch, match="without gaps"):
        part[::2]


def test_arrays_are_made_and_copied(remote) -> None:
    assert remote.zeros((2, 2), "i4").to_numpy().tolist() == [[0, 0], [0, 0]]
    assert remote.full(3, 2.5).to_numpy().tolist() == [2.5] * 3
    copied = remote.ones(3, "u1").copy()
    assert copied.to_numpy().tolist() == [1, 1, 1]
    with pytest.raises(ArrayMismatch, match="equal shapes and dtypes"):
        copied[:2] = remote.zeros(3, "u1")


def test_memory_is_had_in_a_scope(session) -> None:
    api = session.get_device_api(CPU)
    array = api.alloc_data(CPU, (4,), "<f4", scope="global")
    session.copy_to_remote(bytes(16), array, 16)
    api.free_data(array)


def test_a_large_array_is_exact(remote) -> None:
    host = np.random.default_rng(0).integers(0, 256, 3_000_001, "u1")
    np.testing.assert_array_equal(remote.array(host).to_numpy(), host)


# --- devices, modules, files -------------------------------------------------------------------


def test_devices_tell_about_themselves(remote) -> None:
    assert remote.device("cpu:0").exists
    assert not remote.device("cuda:0").exists
    api = remote.session.get_device_api(CPU)
    assert api.get_attr(CPU, DeviceAttr.WARP_SIZE) in {None, 1}


def test_a_device_without_streams_gives_its_only_one(session) -> None:
    api = session.get_device_api(CPU)
    stream = api.create_stream(CPU)
    api.set_stream(CPU, stream)
    api.stream_sync(CPU, stream)
    assert api.get_current_stream(CPU) == stream == 0
    api.free_stream(CPU, stream)


def test_the_systems_library_is_a_module(remote) -> None:
    module = remote.load_module("")
    with pytest.raises(AttributeError, match="offers no 'absent'"):
        _ = module.absent
    attached = remote.get_function("tvm.rpc.server.ImportModule")
    with pytest.raises(RemoteError, match="Cyclic"):  # it is the same one
        attached(module, remote.load_module(""))


def test_files_go_up_come_down_and_away(remote, tmp_path) -> None:
    data = bytes(range(256)) * 5000
    assert remote.upload(data, "a.bin") == "a.bin"
    assert remote.download("a.bin") == data
    assert remote.download("a.bin", tmp_path).read_bytes() == data
    remote.remove("a.bin")
    with pytest.raises(RemoteError):
        remote.download("a.bin")


# --- handles -----------------------------------------------------------------------------------


def test_everything_dropped_here_is_given_up_there(remote, eventually) -> None:
    make = remote.get_function("test.make_holder")
    before = remote.stats()["there"]["handles"]
    for _ in range(400):
        holder = make(3)
        holder("array")()
    del holder
    gc.collect()
    assert remote.stats()["there"]["handles"] == before
    assert eventually(lambda: remote.session.statistics()["releases_queued"] == 0)
    assert make(3)("sum")() == 3.0


def test_a_handle_freed_twice_harms_nobody(session) -> None:
    function = session.get_function("test.echo")
    for _ in range(3):
        session.free_handle(function.handle, function.type_code)
    assert session.holdings.bad_frees == 2
    assert session.get_function("test.echo") is not None


def test_every_request_is_one_round_trip(session) -> None:
    array = session.get_device_api(CPU).alloc_data(CPU, (4,), "<f4")
    before = session.statistics()["requests"]
    session.copy_to_remote(bytes(16), array, 16)
    session.copy_from_remote(array, bytearray(16), 16)
    assert session.statistics()["requests"] == before + 2


# --- beginning and end -------------------------------------------------------------------------


def test_another_key_is_refused_with_a_sentence(port) -> None:
    with pytest.raises(HandshakeError, match="no key 'other'"):
        connect_tvm(TVMAddress("127.0.0.1", port, "other"), 5.0)


def test_a_server_that_is_taken_is_told_from_one_that_is_not_there(session, port) -> None:
    with pytest.raises(TransportTimeout, match="one client at a time"):
        connect_tvm(TVMAddress("127.0.0.1", port, KEY), 0.2)


def test_a_session_over_its_time_says_so(open_session) -> None:
    session = open_session(timeout=0.3)
    sleep = session.get_function("test.sleep")
    with pytest.raises(DeadlineExceeded, match="session has expired"):
        session.call_func(sleep, (20.0,))
    with pytest.raises(SessionClosed):
        session.call_func(sleep, (0.0,))
    assert session.closed


def test_a_process_that_dies_is_reported_and_nothing_else_is_answered(own_port) -> None:
    with open_remote(f"tvm://127.0.0.1:{own_port}?key={KEY}") as remote:
        echo = remote.get_function("test.echo")
        with pytest.raises((WorkerDied, OutcomeUnknown), match=r"ended during|was lost"):
            remote.get_function("test.die")()
        with pytest.raises(SessionClosed):
            echo(1)


def test_a_session_may_go_on_to_another_server(open_session, serving) -> None:
    with serving("far") as far:
        session = open_session(constructor=("rpc.Connect", "127.0.0.1", far, "far", False))
        remote = Remote(session)
        assert remote.get_function("test.add_one")(1) == 2
        host = np.arange(5.0)
        np.testing.assert_array_equal(remote.array(host).to_numpy(), host)
        with pytest.raises(RemoteError, match="abc"):
            remote.get_function("test.fail")("ValueError", "abc")
        session.shutdown()


def test_an_unknown_constructor_is_an_error(open_session) -> None:
    with pytest.raises(RemoteError, match="absent"):
        open_session(constructor=("rpc.absent",))
