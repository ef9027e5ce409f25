"""Cases about arrays, copies, devices, files, modules and the session's own functions."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from rpcnb.core.device import CPU, Device, DeviceAttr, DeviceType
from rpcnb.core.errors import (
    ArrayMismatch,
    DeviceError,
    InvalidHandle,
    PermissionDenied,
    RemoteError,
)
from rpcnb.core.values import ArrayRef, DenseArray, Handle
from rpcnb.session.base import CallStatus, RPCSession
from rpcnb.testing.session_cases import SessionCases, Started, needs

if TYPE_CHECKING:
    from rpcnb.session.device_api import DeviceAPI


class DataCases(SessionCases):
    """Arrays and everything about them; files; modules."""

    @property
    def api(self) -> DeviceAPI:
        """What manages the memory of the CPU."""
        api = self._session.get_device_api(CPU)
        assert api is not None
        return api

    def upload(self, array: Any) -> ArrayRef:
        """Make an array over there with the content of a NumPy array."""
        target = self.api.alloc_data(CPU, array.shape, array.dtype.str)
        content = np.ascontiguousarray(array)
        self._session.copy_to_remote(content.data.cast("B"), target, content.nbytes)
        return target

    def download(self, ref: ArrayRef) -> Any:
        """Copy an array from over there."""
        assert isinstance(ref.dtype, str)
        array = np.empty(ref.shape, ref.dtype)
        self._session.copy_from_remote(ref, array.data.cast("B"), array.nbytes)
        return array

    # --- arrays -------------------------------------------------------------------------------------

    def test_an_array_goes_up_and_comes_down_equal(self) -> None:
        array = np.arange(12, dtype="<f4").reshape(3, 4)
        ref = self.upload(array)
        assert (ref.shape, ref.dtype, ref.device) == ((3, 4), "<f4", CPU)
        np.testing.assert_array_equal(self.download(ref), array)
        assert self.call("sum", ref) == array.sum()
        self.free(ref)

    def test_a_large_array_is_exact_to_the_bit(self) -> None:
        array = np.random.default_rng(1).standard_normal((5041, 720)).astype("<f4")
        ref = self.upload(array)
        assert self.download(ref).tobytes() == array.tobytes()
        self.free(ref)

    def test_a_small_array_may_go_by_value(self) -> None:
        array = np.arange(4, dtype="<f8")
        assert self.call("sum", DenseArray("<f8", (4,), array.tobytes())) == 6.0

    def test_a_returned_array_is_a_handle(self) -> None:
        ref = self.call("array", 5)
        assert isinstance(ref, ArrayRef)
        np.testing.assert_array_equal(self.download(ref), np.arange(5.0))
        self.free(ref)

    @needs("containers")
    def test_arrays_inside_containers_are_handles_too(self) -> None:
        returned = self.call("arrays", 3)
        for number, ref in enumerate(returned["all"]):
            np.testing.assert_array_equal(self.download(ref), np.full(3, number))
        assert [self.call("sum", ref) for ref in returned["all"]] == [0.0, 3.0, 6.0]
        for ref in returned["all"]:
            self.free(ref)

    @needs("containers")
    def test_giving_up_an_array_leaves_it_to_who_still_uses_it(self) -> None:
        array, total = self.call("make_holder", 100)
        assert self.call("sum", array) == 100.0
        self.free(array)
        assert self.call(total) == 100.0
        self.free(total)

    def test_a_part_of_an_array_is_copied_from_an_offset(self) -> None:
        ref = self.upload(np.arange(10, dtype="<i8"))
        part = ArrayRef(ref.handle, ref.shape, ref.dtype, byte_offset=16)
        out = bytearray(24)
        self._session.copy_from_remote(part, out, 24)
        assert np.frombuffer(out, "<i8").tolist() == [2, 3, 4]
        self._session.copy_to_remote(np.array([7], "<i8").tobytes(), part, 8)
        assert self.download(ref).tolist() == [0, 1, 7, 3, 4, 5, 6, 7, 8, 9]
        self.free(ref)

    def test_copies_beyond_the_end_are_refused(self) -> None:
        ref = self.upload(np.zeros(4, "<i8"))
        beyond = ArrayRef(ref.handle, ref.shape, ref.dtype, byte_offset=24)
        with pytest.raises(ArrayMismatch):
            self._session.copy_from_remote(beyond, bytearray(16), 16)
        with pytest.raises(ArrayMismatch):
            self._session.copy_to_remote(bytes(16), beyond, 16)
        with pytest.raises(ArrayMismatch):
            self._session.copy_to_remote(bytes(2), ref, 8)
        self._session.copy_to_remote(b"", ref, 0)
        self.free(ref)

    def test_copies_of_a_freed_array_are_refused(self) -> None:
        ref = self.upload(np.zeros(4))
        self.free(ref)
        with pytest.raises(InvalidHandle):
            self._session.copy_from_remote(ref, bytearray(32), 32)
        with pytest.raises(InvalidHandle):
            self._session.copy_to_remote(bytes(32), ArrayRef(Handle(10**12), (4,), "<f8"), 32)

    def test_asynchronous_copies_call_back(self) -> None:
        ref = self.upload(np.zeros(4, "<i8"))
        up, down, out = Started(), Started(), bytearray(32)
        source = np.arange(4, dtype="<i8").tobytes()
        self._session.async_copy_to_remote(source, ref, 32, up.callback)
        assert up.status() is CallStatus.RETURN
        self._session.async_copy_from_remote(ref, out, 32, down.callback)
        assert down.status() is CallStatus.RETURN
        assert bytes(out) == source
        self.free(ref)

    @needs("array_work")
    def test_arrays_are_copied_over_there(self) -> None:
        source, target = self.upload(np.arange(6.0)), self.upload(np.zeros(6, "<f4"))
        self.api.copy_data(source, target)
        assert self.download(target).tolist() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
        with pytest.raises(ArrayMismatch):
            self.api.copy_data(source, self.upload(np.zeros(5)))

    @needs("array_work")
    def test_a_view_shares_its_bytes_and_its_base(self) -> None:
        ref = self.upload(np.arange(12.0).reshape(3, 4))
        view = self.call("rpcnb.array.view", ref, (slice(None, None, 2), 1))
        assert self.download(view).tolist() == [1.0, 9.0]
        self.call("rpcnb.array.assign", view, ..., -1.0)
        assert self.download(ref)[2, 1] == -1.0
        assert view.base == self.call("rpcnb.array.view", ref, ...).base

    def test_memory_is_counted_once_and_given_back(self) -> None:
        before = self.statistics()["nbytes"]
        ref = self.upload(np.zeros(1000))
        view = self.call("rpcnb.array.view", ref, slice(10, 20))
        assert self.statistics()["nbytes"] == before + 8000
        self.free(ref)
        self.free(view)
        gc.collect()
        self.eventually(lambda: self.statistics()["nbytes"] == before)

    # --- devices ------------------------------------------------------------------------------------

    @needs("device_names")
    def test_the_cpu_exists_and_has_a_name(self) -> None:
        assert self.api.get_attr(CPU, DeviceAttr.EXIST) is True
        assert isinstance(self.api.get_attr(CPU, DeviceAttr.DEVICE_NAME), str)
        assert self.api.get_attr(Device(CPU.type, 99), DeviceAttr.EXIST) is False

    def test_a_missing_device_is_refused_or_none(self) -> None:
        missing = Device(DeviceType.HEXAGON, 7)
        assert self._session.get_device_api(missing, allow_missing=True) is None
        with pytest.raises(DeviceError):
            self._session.get_device_api(missing)

    def test_impossible_arrays_are_refused(self) -> None:
        with pytest.raises((DeviceError, ValueError)):
            self.api.alloc_data(CPU, (-1,), "<f8")
        with pytest.raises((DeviceError, ValueError)):
            self.api.alloc_data(CPU, (2,), "|O8")
        with pytest.raises((DeviceError, ValueError)):
            self.api.alloc_data(CPU, (1 << 60,), "<f8")

    # --- the session's own functions ----------------------------------------------------------------

    @needs("catalogue")
    def test_the_functions_are_listed_with_their_signatures(self) -> None:
        listed = {entry["name"]: entry for entry in self.call("rpcnb.functions")}
        entry = listed["test.strcat"]
        assert [parameter[0] for parameter in entry["parameters"]] == ["left", "right"]
        assert listed["test.numbers"]["is_generator"]
        assert listed["test.numbers"]["doc"].startswith("Yield numbers")
        assert listed["test.async_add"]["is_async"]

    def test_a_function_is_timed_where_it_lives(self) -> None:
        function = self.function("add_one")
        evaluator = self.call("rpcnb.time_evaluator", function, 5, 3, 0.0)
        seconds = self.call(evaluator, 1)
        assert len(seconds) == 3
        assert all(0.0 < one < 1.0 for one in seconds)

    @needs("process_statistics")
    def test_statistics_are_plain(self) -> None:
        counters = self.statistics()
        plain = {"handles", "nbytes", "calls", "rss", "pid", "uptime", "name", "bad_frees"}
        assert counters.keys() >= plain

    @needs("files")
    def test_a_file_goes_up_and_comes_down(self) -> None:
        self.call("rpcnb.upload", "data.bin", 0, b"\x00binary\xff", True)
        assert self.call("rpcnb.download", "data.bin", 0, 100) == b"\x00binary\xff"
        assert self.call("rpcnb.listdir", "") == [["data.bin", False, 8]]
        self.call("rpcnb.remove", "data.bin")
        assert self.call("rpcnb.listdir", "") == []

    @needs("files")
    @pytest.mark.parametrize("name", ["../out", "/etc/passwd", "a/../../b"])
    def test_files_stay_in_their_folder(self, name: str) -> None:
        with pytest.raises((PermissionDenied, RemoteError)):
            self.call("rpcnb.upload", name, 0, b"x", True)

    @needs("modules")
    def test_an_allowed_module_gives_its_functions(self) -> None:
        module = self.call("rpcnb.load_module", "math")
        assert "sqrt" in module.names
        root = self.call("rpcnb.module_function", module, "sqrt")
        assert self.call(root, 16.0) == 4.0

    @needs("modules")
    def test_any_other_module_is_denied(self) -> None:
        with pytest.raises(PermissionDenied, match="math"):
            self.call("rpcnb.load_module", "subprocess")

    # --- the table ----------------------------------------------------------------------------------

    def test_a_session_is_found_by_its_index(self) -> None:
        assert RPCSession.get(self._session.table_index) is self._session
