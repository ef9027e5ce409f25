"""`LocalSession`: the suite, and what only a session of this process can do."""

from __future__ import annotations

import pytest

from rpcnb.core.device import CPU
from rpcnb.core.errors import ArrayMismatch, PermissionDenied
from rpcnb.session.files import WorkFolder
from rpcnb.session.functions import FunctionRegistry
from rpcnb.session.local import LocalSession
from rpcnb.testing.session_functions import register_all
from rpcnb.testing.session_suite import SessionSuite

WAIT = 20.0


@pytest.fixture
def registry() -> FunctionRegistry:
    registry = FunctionRegistry()
    register_all(registry)
    return registry


class TestLocalSession(SessionSuite):
    has_queue = False
    has_process = False

    @pytest.fixture
    def session(self, registry, tmp_path):
        folder = WorkFolder(tmp_path)
        with LocalSession(registry, allowed_modules=("math",), work_folder=folder) as session:
            yield session


@pytest.fixture
def session(registry):
    with LocalSession(registry) as session:
        yield session


def test_the_memory_of_an_array_is_seen_in_place(session) -> None:
    api = session.get_device_api(CPU)
    ref = api.alloc_data(CPU, (4,), "<i4")
    view = session.host_memory(ref.handle)
    view[:4] = (7).to_bytes(4, "little")
    out = bytearray(4)
    session.copy_from_remote(ref, out, 4)
    assert out == b"\x07\0\0\0"
    with pytest.raises(ArrayMismatch, match="read-only"):
        session.copy_from_remote(ref, bytes(4), 4)


def test_without_a_folder_no_files_are_taken(session) -> None:
    upload = session.get_function("rpcnb.upload")
    with pytest.raises(PermissionDenied, match="no work folder"):
        session.call_func(upload, ("a", 0, b"", True))


def test_it_is_local_and_async(session) -> None:
    assert session.is_local_session()
    assert session.is_async()


def test_no_calls_are_left_over(session) -> None:
    echo = session.get_function("test.echo")
    for number in range(10):
        session.call_func(echo, (number,))
    assert session._calls == {}
    assert session.statistics()["calls"] == 10
