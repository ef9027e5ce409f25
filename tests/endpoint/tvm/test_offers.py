"""Tests of `rpcnb.endpoint.tvm.offers`: TVM's names for what every rpcnb session has."""

from __future__ import annotations

import struct

import pytest

from rpcnb.core.errors import EncodeError, FunctionNotFound, PermissionDenied
from rpcnb.core.values import ModuleRef
from rpcnb.endpoint.tvm.offers import construct, find
from rpcnb.endpoint.tvm.table import Offer, SystemLibrary
from rpcnb.session.files import WorkFolder
from rpcnb.session.functions import FunctionRegistry
from rpcnb.session.local import LocalSession


@pytest.fixture
def session(tmp_path):
    registry = FunctionRegistry()
    registry.add("t.add", lambda a, b: a + b)
    folder = WorkFolder(tmp_path)
    with LocalSession(registry, work_folder=folder, allowed_modules=("math",)) as session:
        yield session


@pytest.fixture
def offered(session):
    return lambda name, *args: find(session, name).run(*args)


def test_files_are_written_read_listed_and_removed(offered, tmp_path) -> None:
    data = bytes(range(256)) * 5000
    for name in ("a", "b"):
        offered("tvm.rpc.server.upload", name, data)
    assert (tmp_path / "a").read_bytes() == data
    assert offered("tvm.rpc.server.download", "a") == data
    assert offered("tvm.rpc.server.listdir", "") == "a,b"
    offered("tvm.rpc.server.remove", "a")
    assert offered("tvm.rpc.server.listdir", "") == "b"
    with pytest.raises(PermissionDenied, match="leads out"):
        offered("tvm.rpc.server.upload", "../out", b"x")


def test_modules_are_those_the_server_allows(offered, session) -> None:
    module = offered("tvm.rpc.server.load_module", "math")
    assert isinstance(module, ModuleRef)
    function = offered("tvm.rpc.server.ModuleGetFunction", module, "gcd", True)
    assert session.call_func(function, (12, 18)) == 6
    assert offered("tvm.rpc.server.ModuleGetFunction", module, "absent", True) is None
    with pytest.raises(PermissionDenied, match="may not be loaded"):
        offered("tvm.rpc.server.load_module", "subprocess")
    with pytest.raises(EncodeError, match="no module"):
        offered("tvm.rpc.server.ModuleGetFunction", function, "gcd", True)
    with pytest.raises(EncodeError, match="not linked"):
        offered("tvm.rpc.server.ImportModule", module, module)


def test_the_systems_library_holds_all_functions(offered, session) -> None:
    library = offered("ffi.SystemLib")
    assert library == SystemLibrary()
    found = offered("tvm.rpc.server.ModuleGetFunction", library, "t.add", False)
    assert session.call_func(found, (1, 2)) == 3
    assert offered("tvm.rpc.server.ModuleGetFunction", library, "t.absent", False) is None


@pytest.mark.parametrize("module", [None, SystemLibrary()])
def test_a_function_is_timed_as_tvm_has_it(offered, session, module) -> None:
    before = len(session.handles)
    settings = (1, 0, 2, 3, 0, 100, 0, 1, 0, "")
    measure = offered("runtime.RPCTimeEvaluator", module, "t.add", *settings)
    assert isinstance(measure, Offer)
    seconds = struct.unpack("<3d", measure.run(1, 2))
    assert all(0 < number < 1 for number in seconds)
    assert len(session.handles) == before + len(measure.keeps)
    with pytest.raises(FunctionNotFound, match="absent"):
        offered("runtime.RPCTimeEvaluator", module, "absent", *settings)


def test_names_are_told_one_by_one(offered) -> None:
    names = offered("ffi.FunctionListGlobalNamesFunctor").run
    assert names(-1) == 1
    assert names(0) == "t.add"


def test_what_is_not_offered_is_not_found(session) -> None:
    assert find(session, "tvm.rpc.server.workpath") is None


def test_only_two_constructors_make_sessions(session) -> None:
    assert construct(lambda: session, "rpc.LocalSession") is session
    with pytest.raises(FunctionNotFound, match=r"rpc\.Connect"):
        construct(lambda: session, "rpc.PopenSession", b"")
    with pytest.raises(EncodeError, match=r"rpc\.Connect takes"):
        construct(lambda: session, "rpc.Connect", "host", "port", "key", False)
