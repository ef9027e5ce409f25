from __future__ import annotations

import numpy as np
import pytest

from rpcnb.array.replies import promise_text, read_reply, write_reply
from rpcnb.core.device import CPU, Device, DeviceType
from rpcnb.session.backend import ArrayDescription
from rpcnb.session.cpu import NumPyBackend

BACKEND = NumPyBackend()


@pytest.mark.parametrize(
    "array",
    [
        np.ones(3),
        np.ones((2, 3), "f4").T,
        np.broadcast_to(np.ones(3), (2, 3)),
        np.array(5),
        np.zeros((0, 4), "c16"),
        np.zeros(3, [("a", "i4"), ("b", "f8")]),
        np.ones(6)[::-2],
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_what_is_written_is_read(array: np.ndarray) -> None:
    told = BACKEND.describe(array)
    for content in (None, b"", b"\0|\0", array.tobytes()):
        found = read_reply(write_reply(told, content), promise_text(told.dtype, told.shape))
        assert found == (told.base, told.strides, told.writeable, CPU, content)


def test_other_devices_are_named() -> None:
    gpu = Device(DeviceType.CUDA, 1)
    told = ArrayDescription((2,), "<f4", gpu, None, 7, 8, writeable=True)
    found = read_reply(write_reply(told, None), promise_text("<f4", (2,)))
    assert found is not None
    assert (found.device, found.base) == (gpu, 7)


@pytest.mark.parametrize(("dtype", "shape"), [("<f4", (3,)), ("<f8", (3, 1)), ("<f8", ())])
def test_another_array_than_was_promised_is_none(dtype: str, shape: tuple[int, ...]) -> None:
    reply = write_reply(BACKEND.describe(np.ones(3)), None)
    assert read_reply(reply, promise_text(dtype, shape)) is None
