"""Devices: where memory is and where code runs.

The names and numbers are DLPack's (``dlpack.h``), which TVM, NumPy, PyTorch and CuPy share.
"""

from __future__ import annotations

import re
from enum import IntEnum

from rpcnb.core.errors import DeviceError
from rpcnb.core.frozen import frozen


class DeviceType(IntEnum):
    """Kinds of device, with DLPack's numbers."""

    CPU = 1
    CUDA = 2
    CUDA_HOST = 3
    OPENCL = 4
    VULKAN = 7
    METAL = 8
    ROCM = 10
    EXT_DEV = 12
    WEBGPU = 15
    HEXAGON = 16


class DeviceAttr(IntEnum):
    """What can be asked about a device; numbers as in TVM's ``DeviceAttrKind``."""

    EXIST = 0
    MAX_THREADS_PER_BLOCK = 1
    WARP_SIZE = 2
    MAX_SHARED_MEMORY_PER_BLOCK = 3
    COMPUTE_VERSION = 4
    DEVICE_NAME = 5
    MAX_CLOCK_RATE = 6
    MULTI_PROCESSOR_COUNT = 7
    MAX_THREAD_DIMENSIONS = 8
    TOTAL_GLOBAL_MEMORY = 14
    AVAILABLE_GLOBAL_MEMORY = 15


@frozen
class Device:
    """One device, for example ``cpu:0``."""

    type: DeviceType = DeviceType.CPU
    index: int = 0

    @classmethod
    def parse(cls, text: str | Device) -> Device:
        """Read ``"cuda:1"`` or ``"cpu"``.

        Raises
        ------
        DeviceError
            No such kind of device, or not of the form ``name[:index]``.
        """
        if isinstance(text, Device):
            return text
        match = re.fullmatch(r"([a-z_]+)(?::(\d{1,4}))?", text)
        if match is None or match[1].upper() not in DeviceType.__members__:
            known = ", ".join(kind.name.lower() for kind in DeviceType)
            message = f"{text!r} names no device; write for example 'cpu:0' (known: {known})"
            raise DeviceError(message)
        return cls(DeviceType[match[1].upper()], int(match[2] or 0))

    def __lt__(self, other: Device) -> bool:
        return (self.type, self.index) < (other.type, other.index)

    def __str__(self) -> str:
        return f"{self.type.name.lower()}:{self.index}"


CPU = Device()
"""The host's own memory and processor."""
