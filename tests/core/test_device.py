from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from rpcnb.core.device import CPU, Device, DeviceType
from rpcnb.core.errors import DeviceError


@pytest.mark.parametrize(
    ("text", "device"),
    [
        ("cpu", CPU),
        ("cpu:0", CPU),
        ("cuda:1", Device(DeviceType.CUDA, 1)),
        ("cuda_host:9999", Device(DeviceType.CUDA_HOST, 9999)),
    ],
)
def test_a_name_is_read(text: str, device: Device) -> None:
    assert Device.parse(text) == device


@given(st.builds(Device, st.sampled_from(DeviceType), st.integers(0, 9999)))
def test_a_device_is_read_back_from_what_it_shows(device: Device) -> None:
    assert Device.parse(str(device)) == device
    assert Device.parse(device) is device


@pytest.mark.parametrize(
    "text", ["", "gpu", "CPU", "cpu:", "cpu:-1", "cpu:x", "cpu:10000", "cpu:0\n", " cpu", "cpu:0:1"]
)
def test_what_is_no_name_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(DeviceError, match="write for example 'cpu:0'"):
        Device.parse(text)


def test_devices_are_values_that_sort() -> None:
    devices = {Device.parse(text) for text in ("cuda:1", "cpu", "cuda:0", "cpu:0")}
    assert [str(device) for device in sorted(devices)] == ["cpu:0", "cuda:0", "cuda:1"]


def test_the_numbers_are_dlpacks() -> None:
    assert (DeviceType.CPU, DeviceType.CUDA, DeviceType.METAL, DeviceType.ROCM) == (1, 2, 8, 10)
