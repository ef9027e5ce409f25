"""Tests of `rpcnb.endpoint.client.socket_device`: each operation does over there what its name says."""

from __future__ import annotations

import pytest

from rpcnb.core.device import CPU, Device, DeviceAttr
from rpcnb.core.errors import DecodeError, DeviceError, InvalidHandle
from rpcnb.session.local import LocalSession


@pytest.fixture
def client(serve):
    return serve(LocalSession).client


@pytest.fixture
def api(client):
    return client.get_device_api(CPU)


def test_attributes_come_from_over_there(client, api) -> None:
    assert api.get_attr(CPU, DeviceAttr.EXIST) is True
    assert isinstance(api.get_attr(CPU, DeviceAttr.DEVICE_NAME), str)
    assert client.get_device_api(CPU) is api


def test_memory_is_made_copied_and_freed_over_there(client, api) -> None:
    source, target = (api.alloc_data(CPU, (2, 2), "<i4") for _ in range(2))
    assert (source.shape, source.dtype) == ((2, 2), "<i4")
    client.copy_to_remote(b"0123456789abcdef", source, 16)
    api.copy_data(source, target)
    back = bytearray(16)
    client.copy_from_remote(target, back, 16)
    assert back == b"0123456789abcdef"
    api.free_data(target)
    client.flush_released()
    with pytest.raises(InvalidHandle):
        client.copy_from_remote(target, back, 16)


def test_streams_are_made_used_and_ended_over_there(api) -> None:
    stream = api.create_stream(CPU)
    assert api.get_current_stream(CPU) == 0
    api.set_stream(CPU, stream)
    assert api.get_current_stream(CPU) == stream
    api.stream_sync(CPU, stream)
    api.free_stream(CPU, stream)
    with pytest.raises(DeviceError):
        api.stream_sync(CPU, stream)


@pytest.mark.parametrize(("shape", "dtype"), [((-1,), "<f8"), ((2,), "|O8"), ((1 << 60,), "<f8")])
def test_what_cannot_be_made_is_refused_before_asking(client, api, shape, dtype) -> None:
    asked = client.statistics()["frames_sent"]
    with pytest.raises((DecodeError, DeviceError)):
        api.alloc_data(CPU, shape, dtype)
    assert client.statistics()["frames_sent"] <= asked + 1


def test_a_missing_device_is_none_or_an_error(client) -> None:
    missing = Device(CPU.type, 99)
    assert client.get_device_api(missing, allow_missing=True) is None
    with pytest.raises(DeviceError, match="has no device cpu:99"):
        client.get_device_api(missing)
