"""`RemoteDevice` and `RemoteStream`: where arrays over there live, and queues of work."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from rpcnb.core.device import Device, DeviceAttr
from rpcnb.core.errors import DeviceError
from rpcnb.core.values import Handle, ObjectRef, TypeCode
from rpcnb.remote.future import RemoteFuture
from rpcnb.remote.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Generator

    from rpcnb.core.values import Value
    from rpcnb.remote.client import Remote
    from rpcnb.session.device_api import DeviceAPI


class RemoteDevice(Proxy):
    """A device over there, for example ``remote.device("cpu:0")``.

    Whether it exists, its name and its memory are asked for once, when this is made.
    """

    def __init__(self, remote: Remote, device: Device) -> None:
        self._remote = remote
        self.device = device
        """What kind of device, and which."""
        api = remote.session.get_device_api(device, allow_missing=True)
        self.exists = api is not None and bool(api.get_attr(device, DeviceAttr.EXIST))
        """Whether the session has it."""
        self.name: str = ""
        """What it calls itself; empty if it does not say."""
        self.total_memory: int | None = None
        """Bytes; None if it does not say."""
        if api is not None and self.exists:
            self.name = str(api.get_attr(device, DeviceAttr.DEVICE_NAME) or "")
            self.total_memory = api.get_attr(device, DeviceAttr.TOTAL_GLOBAL_MEMORY)

    def api(self) -> DeviceAPI:
        """Return what manages the device's memory and streams.

        Raises
        ------
        DeviceError
            The session has no such device.
        """
        api = self._remote.session.get_device_api(self.device)
        assert api is not None  # allow_missing is off
        return api

    def attributes(self) -> dict[str, Value]:
        """Ask for all attributes the device has, by their names in lower case."""
        api = self.api()
        values = {kind.name.lower(): api.get_attr(self.device, kind) for kind in DeviceAttr}
        return {name: value for name, value in values.items() if value is not None}

    def create_stream(self) -> RemoteStream:
        """Make a queue of work: calls on it run in order, beside those of other streams."""
        return RemoteStream(self, self.api().create_stream(self.device))

    def lowered(self) -> Device:
        """Return the device as a value."""
        return self.device

    def __str__(self) -> str:
        return str(self.device)

    def __repr__(self) -> str:
        state = self.name if self.exists else "does not exist"
        return f"<RemoteDevice {self.device} {state} on {self._remote.name}>"


class RemoteStream(Proxy):
    """An ordered queue of work of one device.

    Give it to ``f.submit(…, stream=s)``; wait for what is queued with `synchronize` or ``await s``.
    """

    def __init__(self, device: RemoteDevice, handle: int) -> None:
        self._remote = device.remote
        self._session = device.remote.session
        self._handle = handle
        self.device = device
        """Whose queue it is."""
        self.closed = False
        """Whether it was ended."""

    @property
    def handle(self) -> int:
        """Number of the stream in its session.

        Raises
        ------
        DeviceError
            The stream was closed.
        """
        if self.closed:
            raise DeviceError(f"{self!r} was closed")
        return self._handle

    def synchronize(self) -> None:
        """Wait until everything queued so far has finished."""
        self.device.api().stream_sync(self.device.device, self.handle)

    def wait(self) -> RemoteFuture:
        """Return a future that is done when everything queued so far has finished."""
        future = RemoteFuture(self._remote, f"stream {self.handle}", {})
        self._session.async_stream_wait(self.device.device, self.handle, future.finish)
        return future

    def __await__(self) -> Generator[Any, None, Any]:
        return self.wait().__await__()

    def close(self) -> None:
        """End the stream once what is queued on it has run.  Idempotent."""
        if not self.closed:
            self.closed = True
            self.device.api().free_stream(self.device.device, self._handle)

    def lowered(self) -> ObjectRef:
        """Refuse: a stream says where a call runs, and is not an argument."""
        raise DeviceError("a stream is not an argument; use f.options(stream=s)(…)")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __del__(self) -> None:
        # Sends nothing: the session keeps the number until it next sends.
        if not getattr(self, "closed", True):
            with suppress(Exception):  # the interpreter ends, or the session is broken
                self._session.free_handle(Handle(self._handle), TypeCode.STREAM)

    def __repr__(self) -> str:
        state = " closed" if self.closed else ""
        return (
            f"<RemoteStream {self._handle} of {self.device.device} on {self._remote.name}{state}>"
        )
