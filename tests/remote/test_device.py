from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from rpcnb.core.errors import DeviceError

if TYPE_CHECKING:
    from rpcnb.remote.client import Remote


def test_a_device_says_what_it_is(remote: Remote) -> None:
    device = remote.device("cpu:0")
    assert device.exists
    assert device.name
    assert device.total_memory is None or device.total_memory > 1 << 20
    assert device.attributes()["exist"]
    assert str(device) == "cpu:0"
    assert repr(device) == f"<RemoteDevice cpu:0 {device.name} on lab>"


def test_a_device_that_is_missing_says_so(remote: Remote) -> None:
    device = remote.device("hexagon:3")
    assert not device.exists
    assert "does not exist" in repr(device)
    with pytest.raises(DeviceError):
        device.create_stream()


def test_a_device_may_be_an_argument(remote: Remote) -> None:
    assert remote.functions["type_name"](remote.device()) == "Device"


def test_a_call_keeps_the_stream_it_was_given(remote: Remote, gate: object) -> None:
    call = remote.functions["demo.wait"].submit(stream=remote.device().create_stream())
    remote.functions["demo.add"](1)  # what was given up goes along with this
    gate.open.set()
    call.result(20)


def test_work_on_a_stream_is_waited_for(remote: Remote, gate: object) -> None:
    with remote.device().create_stream() as stream:
        call = remote.functions["demo.wait"].submit(stream=stream)
        drained = stream.wait()
        assert not drained.done()
        gate.open.set()
        drained.result(5)
        assert call.done()
        stream.synchronize()


def test_a_stream_is_awaited(remote: Remote) -> None:
    async def main() -> None:
        with remote.device().create_stream() as stream:
            call = remote.functions["demo.add"].submit(1, stream=stream)
            await stream
            assert call.done()

    asyncio.run(main())


def test_a_closed_stream_says_so(remote: Remote) -> None:
    stream = remote.device().create_stream()
    stream.close()
    stream.close()
    assert repr(stream).endswith("closed>")
    with pytest.raises(DeviceError, match="closed"):
        remote.functions["demo.add"].submit(1, stream=stream)


def test_a_stream_is_no_argument(remote: Remote) -> None:
    with remote.device().create_stream() as stream, pytest.raises(DeviceError, match="options"):
        remote.functions["type_name"](stream)


def test_a_collected_stream_is_freed_by_number(remote: Remote) -> None:
    stream = remote.device().create_stream()
    number = stream.handle
    del stream
    with pytest.raises(DeviceError, match="freed"):
        remote.functions["demo.add"].submit(1, stream=number).result(5)
