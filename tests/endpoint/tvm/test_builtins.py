"""Tests of `rpcnb.endpoint.tvm.builtins`: what the session offers in the server's stead."""

from __future__ import annotations

import struct

import pytest

from rpcnb.core.device import CPU
from rpcnb.core.errors import ArrayMismatch, EncodeError, FunctionNotFound, SessionError
from rpcnb.core.values import ArrayRef, DenseArray, DTypeValue, Handle
from rpcnb.endpoint.tvm.builtins import run_of
from rpcnb.wire.tvm.values import TVMPointer

ARRAY = ArrayRef(Handle(1), (3, 4, 5), "<f4")
ALL = slice(None)


@pytest.fixture
def builtin(tvm_session):
    def call(name, *args):
        return tvm_session.call_func(tvm_session.get_function(f"rpcnb.{name}"), args)

    return call


@pytest.fixture
def content(tvm_session):
    def read(array):
        out = bytearray(4 * (array.shape[0] if array.shape else 1))
        tvm_session.copy_from_remote(array, out, len(out))
        return memoryview(out).cast("i").tolist()

    return read


@pytest.mark.parametrize(
    ("index", "shape", "offset"),
    [
        ((), (3, 4, 5), 0),
        ((...,), (3, 4, 5), 0),
        ((1,), (4, 5), 80),
        ((-1, 2), (5,), 200),
        ((2, 3, 4), (), 236),
        ((slice(1, 3),), (2, 4, 5), 80),
        ((0, slice(1, 2), ALL), (1, 5), 20),
        ((0, ...), (4, 5), 0),
        ((slice(2, 1), ...), (0, 4, 5), 160),
    ],
)
def test_an_index_selects_a_run(index, shape, offset) -> None:
    assert run_of(ARRAY, index) == (shape, offset)


@pytest.mark.parametrize(
    "index",
    [(ALL, 1), (slice(None, None, 2),), (None,), (..., 1), (0, 0, 0, 0), (True,), (1.5,)],
)
def test_what_leaves_gaps_is_refused(index) -> None:
    with pytest.raises(ArrayMismatch, match="without gaps"):
        run_of(ARRAY, index)


def test_an_index_beyond_the_end_is_refused() -> None:
    with pytest.raises(ArrayMismatch, match="out of bounds"):
        run_of(ARRAY, (3,))


@pytest.mark.parametrize(
    ("kind", "fill", "expected"),
    [
        ("zeros", None, [0, 0, 0]),
        ("ones", None, [1, 1, 1]),
        ("full", DenseArray("<i8", (), struct.pack("<q", -7), is_scalar=True), [-7] * 3),
        ("full", 5, [5, 5, 5]),
    ],
)
def test_arrays_are_made(builtin, content, kind, fill, expected) -> None:
    assert content(builtin("array.create", kind, (3,), DTypeValue("<i4"), CPU, fill)) == expected


@pytest.mark.parametrize(("fill", "dtype"), [(1, "<i8"), (1.5, "<f8"), (True, "|b1")])
def test_a_value_without_a_dtype_has_its_own(builtin, fill, dtype) -> None:
    assert builtin("array.create", "full", (2,), None, CPU, fill).dtype == dtype


def test_a_range_is_made_here(builtin) -> None:
    with pytest.raises(EncodeError, match="makes no 'arange'"):
        builtin("array.create", "arange", [0, 3, 1], None, CPU, None)


def test_parts_are_read_and_written(builtin, content) -> None:
    array = builtin("array.create", "zeros", (4,), DTypeValue("<i4"), CPU, None)
    builtin("array.assign", array, slice(1, 3), 7)
    builtin("array.call", "setitem", array, slice(0, 1), DenseArray("<i4", (1,), b"\1\0\0\0"))
    part = builtin("array.call", "getitem", array, slice(1, 4))
    assert part.base == array.handle
    assert content(part) == [7, 7, 0]
    copied = builtin("array.copy", array)
    assert copied.shape == array.shape


def test_other_operations_are_refused_with_what_to_do(builtin) -> None:
    with pytest.raises(SessionError, match=r"has no 'matmul' of its own; download"):
        builtin("array.call", "matmul")


def test_functions_are_listed_by_name_many_at_a_time(tvm_peer, tvm_session, builtin) -> None:
    names = [f"f{number}" for number in range(450)]
    tvm_peer.functions["names"] = lambda n: (1, len(names)) if n < 0 else (65, names[n])
    found = tvm_session.get_function("names")
    pointer = TVMPointer(tvm_session.holdings.table[found.handle].pointer)
    tvm_peer.functions["ffi.FunctionListGlobalNamesFunctor"] = lambda: (68, pointer)
    assert [entry["name"] for entry in builtin("functions")] == names


def test_files_are_moved_whole_by_tvms_own_functions(tvm_peer, builtin) -> None:
    files = {}
    tvm_peer.functions["tvm.rpc.server.upload"] = lambda n, d: (files.update({n: d}), (0, None))[1]
    tvm_peer.functions["tvm.rpc.server.download"] = lambda name: (66, files[name])
    tvm_peer.functions["tvm.rpc.server.remove"] = lambda name: (files.pop(name), (0, None))[1]
    tvm_peer.functions["tvm.rpc.server.listdir"] = lambda _: (65, ",".join(files))
    builtin("upload", "a", 0, b"12345", True)
    assert builtin("download", "a", 0, None) == b"12345"
    assert builtin("download", "a", 1, 2) == b"23"
    assert builtin("listdir", "") == [["a", False, 0]]
    builtin("remove", "a")
    assert builtin("listdir", "") == []
    with pytest.raises(EncodeError, match="whole files only"):
        builtin("upload", "a", 3, b"x", False)


def test_what_this_server_lacks_is_not_found(builtin) -> None:
    with pytest.raises(FunctionNotFound, match=r"tvm\.rpc\.server\.listdir"):
        builtin("listdir", "")


def test_modules_are_loaded_and_looked_into(tvm_peer, builtin) -> None:
    tvm_peer.functions["tvm.rpc.server.load_module"] = lambda _name: (73, TVMPointer(50))
    tvm_peer.functions["ffi.SystemLib"] = lambda: (73, TVMPointer(51))
    find = "tvm.rpc.server.ModuleGetFunction"
    answers = {"f": (68, TVMPointer(52))}
    tvm_peer.functions[find] = lambda _module, name, _imports: answers.get(name, (0, None))
    module = builtin("load_module", "lib.so")
    assert builtin("module_function", module, "f").info.name == "f"
    with pytest.raises(FunctionNotFound, match="absent"):
        builtin("module_function", builtin("load_module", ""), "absent")


def test_a_measurement_is_unpacked(tvm_peer, tvm_session, builtin) -> None:
    asked = []
    tvm_peer.functions["measure"] = lambda *_: (66, struct.pack("<2d", 0.5, 0.25))
    make = tvm_session.get_function("measure")
    pointer = tvm_session.holdings.table[make.handle].pointer
    evaluator = "runtime.RPCTimeEvaluator"
    tvm_peer.functions[evaluator] = lambda *args: (asked.append(args), (68, TVMPointer(pointer)))[1]
    timed = builtin("time_evaluator", make, 10, 2, 5.0)
    assert tvm_session.call_func(timed, (1,)) == [0.5, 0.25]
    assert asked[0][:7] == (None, "measure", 1, 0, 10, 2, 5)


def test_statistics_count_memory_once(tvm_session, builtin) -> None:
    array = builtin("array.create", "zeros", (4,), DTypeValue("<i4"), CPU, None)
    view = builtin("array.view", array, slice(1, 2))
    assert builtin("statistics")["nbytes"] == 16
    tvm_session.free_handle(array.handle, array.type_code)
    assert builtin("statistics")["nbytes"] == 16
    tvm_session.free_handle(view.handle, view.type_code)
    assert builtin("statistics")["nbytes"] == 0


def test_an_array_may_be_named_by_its_handle_alone(builtin, content) -> None:
    array = builtin("array.create", "full", (6,), DTypeValue("<i4"), CPU, 7)
    view = builtin("array.view", ArrayRef(array.handle), slice(1, 3))
    assert (view.shape, content(view)) == ((2,), [7, 7])
