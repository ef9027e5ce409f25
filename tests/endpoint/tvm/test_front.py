"""The session contract over TVM's protocol between our two ends, and what a client may not do."""

from __future__ import annotations

import numpy as np
import pytest

from rpcnb.core.device import CPU
from rpcnb.core.errors import RemoteError, RpcnbError
from rpcnb.endpoint.tvm.connect import TVMAddress, connect_tvm
from rpcnb.endpoint.tvm.server import TVMServer, serve_here
from rpcnb.session.files import WorkFolder
from rpcnb.session.functions import FunctionRegistry
from rpcnb.session.local import LocalSession
from rpcnb.testing.session_functions import register_all
from rpcnb.testing.session_suite import SessionSuite
from rpcnb.wire.tvm.packets import (
    Call,
    Code,
    CopyAck,
    CopyFrom,
    CopyTo,
    InitServer,
    Raised,
    Result,
    SystemCall,
)
from rpcnb.wire.tvm.values import TVMDevice, TVMDType, TVMHandle, TVMPointer, TVMTensor


@pytest.fixture
def served(tmp_path):
    """Give a TVM server of ours, and the sessions that it opened."""
    registry = FunctionRegistry()
    register_all(registry)
    registry.add("test.strided", lambda: np.arange(6.0)[::2])
    sessions = []

    def open_session():
        sessions.append(LocalSession(registry, work_folder=WorkFolder(tmp_path)))
        return sessions[-1]

    with TVMServer(serve_here(open_session), "k") as server:
        server.sessions = sessions
        yield server


@pytest.fixture
def session(served):
    with connect_tvm(TVMAddress("127.0.0.1", served.port, "k"), 10.0) as session:
        yield session


class TestServedToTVMSession(SessionSuite):
    """What the flags take away is what TVM's protocol does not have."""

    has_callbacks = False
    has_progress = False
    has_output = False
    has_cancel = False
    has_deadlines = False
    has_streams = False
    has_generators = False
    has_kwargs = False
    has_files = False
    has_modules = False
    has_true_async = False
    has_process = False
    has_containers = False
    has_typed_errors = False
    has_catalogue = False
    has_array_work = False
    has_queue = False
    has_process_statistics = False
    has_device_names = False

    @pytest.fixture
    def session(self, session):
        return session


def call(session, name, *args):
    return session.call_func(session.get_function(name), args)


def test_errors_bring_their_class_and_traceback(session) -> None:
    with pytest.raises(ValueError, match="what went wrong") as caught:
        call(session, "test.fail", "ValueError", "what went wrong")
    assert "session_functions.py" in str(caught.value)


def test_everything_given_back_is_forgotten(session, served, eventually) -> None:
    (local,) = served.sessions
    for _ in range(10):
        array = session.get_device_api(CPU).alloc_data(CPU, (4,), "<f4")
        for ref in (array, call(session, "test.box", 1), call(session, "test.make_adder", 1)):
            session.free_handle(ref.handle, ref.type_code)
    for handle in list(session.holdings.table):
        session.free_handle(handle, None)
    assert eventually(lambda: session.get_function("absent") is None and not len(local.handles))


def test_strings_keep_their_nul(session) -> None:
    assert call(session, "test.strcat", "a\0b", "c\0") == "a\0bc\0"


@pytest.mark.parametrize("name", ["test.strided", "test.arrays"])
def test_what_a_tvm_client_cannot_be_given_is_told(session, name) -> None:
    with pytest.raises(RemoteError, match="TVM client"):
        call(session, name, *([3] if name == "test.arrays" else []))


def test_files_go_to_the_work_folder(session, tmp_path) -> None:
    data = bytes(range(256)) * 5000
    call(session, "tvm.rpc.server.upload", "a.bin", data)
    assert (tmp_path / "a.bin").read_bytes() == data
    assert call(session, "tvm.rpc.server.download", "a.bin") == data
    call(session, "tvm.rpc.server.remove", "a.bin")
    with pytest.raises(RemoteError, match="PermissionDenied"):
        call(session, "tvm.rpc.server.upload", "../out", b"x")


TENSOR = TVMTensor(0x999, TVMDevice(1, 0), TVMDType(2, 32), (2,))
REFUSED = [
    Call(0x999, ()),
    SystemCall(Code.FREE_HANDLE, (TVMPointer(0x999),)),
    SystemCall(Code.FREE_HANDLE, ()),
    SystemCall(Code.DEV_FREE_DATA, (TVMDevice(1, 0), TVMPointer(0x999))),
    SystemCall(Code.COPY_AMONG_REMOTE, (TENSOR, TENSOR, TVMPointer(0))),
    SystemCall(Code.DEV_ALLOC_DATA_WITH_SCOPE, (TENSOR._replace(shape=(-1,)), None)),
    SystemCall(Code.DEV_ALLOC_DATA_WITH_SCOPE, (TENSOR._replace(shape=(1 << 61,)), None)),
    SystemCall(Code.DEV_ALLOC_DATA_WITH_SCOPE, (TENSOR._replace(dtype=TVMDType(4, 16)), None)),
    CopyFrom(TENSOR, 8),
    InitServer(),
]


@pytest.mark.parametrize("packet", REFUSED, ids=repr)
def test_a_request_that_cannot_be_is_answered_and_forgotten(session, packet) -> None:
    (answer,) = session.link.ask(packet, what="it")
    assert isinstance(answer, Raised)
    assert call(session, "test.add_one", 1) == 2


def test_a_number_of_another_kind_is_refused(session) -> None:
    array = session.get_device_api(CPU).alloc_data(CPU, (2,), "<f4")
    pointer = session.tensor(array).data
    for packet in (Call(pointer, ()), Call(pointer, (TVMHandle(68, 1),))):
        (answer,) = session.link.ask(packet, what="it")
        assert isinstance(answer, Raised)
    view = session.tensor(array)._replace(shape=(1,))
    function = session.holdings.table[session.get_function("test.sum").handle].pointer
    (answer,) = session.link.ask(Call(function, (view,)), what="it")
    assert "views" in answer.message


@pytest.mark.parametrize(
    "packet", [CopyAck(b"abc"), Result((1,)), CopyTo(TENSOR, b"12345678")], ids=repr
)
def test_what_no_client_may_send_ends_its_own_connection_at_most(served, session, packet) -> None:
    with connect_tvm(TVMAddress("127.0.0.1", served.port, "k"), 10.0) as other:
        try:
            (answer,) = other.link.ask(packet, what="it")
        except RpcnbError:
            assert other.closed
        else:
            assert isinstance(answer, Raised)
    assert call(session, "test.add_one", 1) == 2
