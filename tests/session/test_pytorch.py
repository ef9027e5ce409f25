"""PyTorch's tensors as remote arrays: on the CPU always, on CUDA where it is."""

from __future__ import annotations

import gc
import operator
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from rpcnb.core.device import CPU, Device, DeviceAttr, DeviceType
from rpcnb.core.errors import ArrayMismatch, DeviceError, EncodeError
from rpcnb.endpoint.client.connect import open_session
from rpcnb.endpoint.serving.server import Server
from rpcnb.remote.client import Remote
from rpcnb.session.backend import make_backends
from rpcnb.session.functions import FunctionRegistry
from rpcnb.session.local import LocalSession
from rpcnb.session.pytorch import TorchBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

GPUS = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
DEVICES = ["cpu:0", *(f"cuda:{i}" for i in GPUS)]
VALUE = np.arange(1.0, 25).reshape(2, 3, 4)


@pytest.fixture
def remote() -> Iterator[Remote]:
    registry = FunctionRegistry()
    registry.add("kind", lambda array: type(array).__name__)
    registry.add("place", lambda array: str(array.device))
    session = LocalSession(registry, backends=make_backends(["torch"]))
    with Remote(session) as opened:
        yield opened
        gc.collect()
        assert list(opened.handles) == []


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.mark.parametrize("dtype", ["?", "u1", "i2", "i4", "i8", "f2", "f4", "f8", "c8", "c16"])
def test_arrays_come_back_as_they_went(remote: Remote, device: str, dtype: str) -> None:
    value = VALUE.astype(dtype)
    array = remote.array(value, device)
    assert array.device == Device.parse(device)
    assert remote.get_function("kind")(array) == "Tensor"
    np.testing.assert_array_equal(array.to_numpy(), value, strict=True)
    turned = array.transpose(2, 0, 1)
    np.testing.assert_array_equal(turned.to_numpy(), value.transpose(2, 0, 1), strict=True)
    turned.copy_from(np.ones(turned.shape, dtype))
    np.testing.assert_array_equal(array.to_numpy(), np.ones_like(value))


def test_large_strided_arrays_move_in_pieces(remote: Remote, device: str) -> None:
    value = np.arange(600_000, dtype="f8").reshape(600, 1000)
    array = remote.array(value, device).T[1:]
    np.testing.assert_array_equal(array.to_numpy(), value.T[1:])
    array.copy_from(-value.T[1:])
    np.testing.assert_array_equal(array.to_numpy(), -value.T[1:])


OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "sin": lambda xp, x: xp.sin(x),
    "add": lambda xp, x: xp.add(x, x),
    "add a number": lambda xp, x: 1.5 + x,
    "pow": lambda xp, x: x**2,
    "divide": lambda xp, x: 1 / x,
    "greater": lambda xp, x: x > 5,
    "floor_divide": lambda xp, x: x // 3,
    "where": lambda xp, x: xp.where(x > 5, x, -x),
    "clip": lambda xp, x: xp.clip(x, 2, 7),
    "sum": lambda xp, x: xp.sum(x, axis=1),
    "mean": lambda xp, x: xp.mean(x, axis=(0, 2), keepdims=True),
    "std": lambda xp, x: xp.std(x, correction=1),
    "argmax": lambda xp, x: xp.argmax(x, axis=2),
    "all": lambda xp, x: xp.all(x > 0),
    "cumulative_sum": lambda xp, x: xp.cumulative_sum(x, axis=1),
    "matmul": lambda xp, x: x @ x.mT,
    "solve": lambda xp, x: xp.linalg.solve(x @ x.mT + xp.eye(3, dtype=x.dtype), x),
    "svdvals": lambda xp, x: xp.linalg.svdvals(x),
    "qr": lambda xp, x: xp.abs(xp.linalg.qr(x)[1]),
    "eigvalsh": lambda xp, x: xp.linalg.eigvalsh(x @ x.mT),
    "det": lambda xp, x: xp.linalg.det(x[:, :2, :2]),
    "vector_norm": lambda xp, x: xp.linalg.vector_norm(x, axis=-1),
    "fft": lambda xp, x: xp.abs(xp.fft.fft(x)),
    "concat": lambda xp, x: xp.concat([x, x], axis=1),
    "stack": lambda xp, x: xp.stack([x, x]),
    "reshape": lambda xp, x: xp.reshape(x, (4, 6)),
    "permute_dims": lambda xp, x: xp.permute_dims(x, (2, 0, 1)),
    "flip": lambda xp, x: xp.flip(x, axis=0),
    "sort": lambda xp, x: xp.sort(-x, axis=0),
    "unique_values": lambda xp, x: xp.unique_values(x),
    "take": lambda xp, x: xp.take(x, xp.asarray([1, 0]), axis=1),
    "basic index": lambda xp, x: x[0, ..., 1:3],
    "list index": lambda xp, x: x[:, [2, 0]],
    "mask": lambda xp, x: x[x > 5],
    "ufunc": lambda xp, x: np.arctan2(x, x),
    "method": lambda xp, x: x.mean(axis=0).astype("f4"),
    "method with two names": lambda xp, x: x.reshape(6, 4).std(axis=0, ddof=1),
    "T": lambda xp, x: x[0].T,
}


@pytest.mark.parametrize("run", OPERATIONS.values(), ids=OPERATIONS)
def test_the_same_table_runs_on_tensors(remote: Remote, run: Callable[[Any, Any], Any]) -> None:
    import array_api_compat.numpy as here

    found = run(remote.xp, remote.array(VALUE))
    assert remote.get_function("kind")(found) == "Tensor"
    np.testing.assert_allclose(found.to_numpy(), run(here, VALUE), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", ["sin", "add a number", "sum", "matmul", "mask", "svdvals"])
def test_work_stays_on_the_device(remote: Remote, device: str, name: str) -> None:
    import array_api_compat.numpy as here

    array = remote.array(VALUE, device)
    found = OPERATIONS[name](remote.xp, array)
    assert found.device == array.device
    np.testing.assert_allclose(
        found.to_numpy(), OPERATIONS[name](here, VALUE), rtol=1e-6, atol=1e-12
    )


def test_views_share_memory_and_writes_are_seen(remote: Remote, device: str) -> None:
    array = remote.array(VALUE, device)
    view = array[0, 1:]
    assert view.shares_memory(array)
    view += 100
    array[1] = 0
    array[:, [0]] = np.array(7.0)
    expected = VALUE.copy()
    expected[0, 1:] += 100
    expected[1] = 0
    expected[:, [0]] = 7
    np.testing.assert_array_equal(array.to_numpy(), expected)
    assert not array.copy().shares_memory(array)


def test_pieces_of_an_array_are_written_and_read_where_they_lie(device: str) -> None:
    backend, where = TorchBackend(), Device.parse(device)
    array = backend.create("zeros", (1500, 1000), "<f4", where, None)
    value = np.arange(1_500_000, dtype="f4").reshape(1500, 1000)
    content = memoryview(value).cast("B")
    for begin in range(0, content.nbytes, 1_000_003):  # across elements, slots and pieces
        backend.write(array, begin, content[begin : begin + 1_000_003])
    found = bytearray(content.nbytes)
    for begin in range(0, content.nbytes, 700_001):
        backend.read(array, begin, memoryview(found)[begin : begin + 700_001])
    assert bytes(found) == bytes(content)
    assert float(array.sum(dtype=torch.float64)) == value.sum(dtype="f8")
    with pytest.raises(ArrayMismatch, match="do not lie"):
        backend.write(array, content.nbytes - 3, content[:4])


def test_a_download_sees_what_a_stream_was_told_to_do(remote: Remote, device: str) -> None:
    registry = remote.session.registry
    registry.add("powers", lambda array: [array := array @ array / 1000 for _ in range(20)][-1])
    where = remote.device(device)
    array = remote.full((1000, 1000), 1.0, "f4", device)
    stream = where.create_stream()
    found = remote.get_function("powers").submit(array, stream=stream).result(60)
    np.testing.assert_allclose(found.to_numpy(), 1.0, rtol=1e-3)
    found.copy_from(np.zeros((1000, 1000), "f4"))
    stream.synchronize()
    assert found[0, 0].item() == 0
    stream.close()


def test_a_stream_runs_its_calls_on_the_librarys_own(remote: Remote, device: str) -> None:
    registry = remote.session.registry
    registry.add("in_default", lambda: _stream_in_use() == 0)
    where = remote.device(device)
    stream = where.create_stream()
    ask = remote.get_function("in_default")
    assert ask()
    assert ask.options(stream=stream)() == (where.device.type is DeviceType.CPU)
    stream.synchronize()
    stream.close()


def _stream_in_use() -> int:
    return int(torch.cuda.current_stream().cuda_stream) if GPUS else 0


def test_random_numbers_are_numpys_on_every_device(remote: Remote, device: str) -> None:
    there = remote.random.default_rng(7, device=device)
    here = np.random.default_rng(7)
    drawn = there.normal(1, 2, size=(30, 2))
    assert drawn.device == Device.parse(device)
    assert remote.get_function("kind")(drawn) == "Tensor"
    np.testing.assert_array_equal(drawn.to_numpy(), here.normal(1, 2, (30, 2)))
    deck = remote.arange(8, device=device)
    there.shuffle(deck)
    expected = np.arange(8)
    here.shuffle(expected)
    assert deck.tolist() == expected.tolist()


@pytest.fixture
def far(tmp_path: Path) -> Iterator[Remote]:
    """Give a session with a server, so that there is something to wait for."""
    file = tmp_path / "connection.json"
    with (
        Server(
            registry=FunctionRegistry(),
            device_backends=["torch"],
            in_process=True,
            connection_file=file,
        ) as server,
        Remote(open_session(server.url, token=server.token)) as opened,
    ):
        yield opened
        opened.arrays.settle()
        gc.collect()
        assert list(opened.handles) == []


def test_what_all_libraries_agree_on_is_sent_ahead(far: Remote, device: str) -> None:
    array = far.array(VALUE, device)
    there = far.array(VALUE.astype("i4"), device)
    for run in (
        lambda x: (x + 1) * 2,
        lambda x: x.sum(),
        lambda x: far.xp.argmax(x, axis=1),
        lambda x: x[1:, 0],
        lambda x: far.xp.concat([x, x]),
        lambda x: x @ x.mT,
    ):
        found = run(array)
        assert found.promise is not None
        assert found.device == array.device
        assert found.to_numpy().shape == found.shape
    assert (there + 1).promise is None
    np.testing.assert_array_equal((there + 1).to_numpy(), VALUE.astype("i4") + 1)


def test_small_tensors_come_with_their_reply(far: Remote) -> None:
    array = far.array(VALUE)
    total = array.sum()
    far.arrays.settle()
    frames = far.session.statistics()["frames_sent"]
    assert float(total) == VALUE.sum()
    assert far.session.statistics()["frames_sent"] == frames
    small = array[0, 0] + 1
    view = small.reshape(2, 2)
    far.arrays.settle()
    small += 1
    assert view.tolist() == [[3, 4], [5, 6]]


def test_creation_is_on_the_device_asked_for(remote: Remote, device: str) -> None:
    assert str(remote.zeros((2, 3), "f4", device).device) == device
    assert remote.arange(5, device=device).tolist() == [0, 1, 2, 3, 4]
    assert remote.full((2,), 7, device=device).tolist() == [7, 7]
    assert remote.xp.ones(3, device=remote.device(device).device).tolist() == [1, 1, 1]
    with pytest.raises(DeviceError):
        remote.zeros(3, device="cuda:77")


def test_new_arrays_have_the_dtypes_the_namespace_promises(remote: Remote) -> None:
    xp = remote.xp
    assert xp.zeros(3).dtype == xp.linspace(0, 1, 3).dtype == xp.full(2, 1.5).dtype == xp.float64
    assert xp.arange(3).dtype == xp.full(2, 1).dtype == xp.int64


def test_figures_and_text_are_made_over_there(remote: Remote, device: str) -> None:
    array = remote.array(VALUE, device)
    assert array.summary() == "f64[2, 3, 4] 192 B ∈ [1, 24] μ=12.5 σ=6.922"  # noqa: RUF001
    assert str(array[0, 0]) == "[1., 2., 3., 4.]"
    assert array.planes(4)["mean"].shape == (4, 4)
    assert float(array.max()) == 24


def test_errors_are_pytorchs_or_ours(remote: Remote) -> None:
    array = remote.array(VALUE)
    with pytest.raises(IndexError):
        array[9]
    with pytest.raises(ArrayMismatch):
        array[0] = np.ones(7)
    with pytest.raises(NotImplementedError, match="NumPy arrays"):
        np.median(array)
    with pytest.raises(NotImplementedError, match=r"add\.outer"):
        np.add.outer(array, array)
    with pytest.raises(RuntimeError):
        operator.matmul(array, array)


def test_arrays_of_both_libraries_live_in_one_session(remote: Remote) -> None:
    registry = remote.session.registry
    registry.add("numpy_ones", lambda: np.ones(4))
    host, tensor = remote.get_function("numpy_ones")(), remote.ones(4)
    assert remote.get_function("kind")(host) == "ndarray"
    assert (tensor + host).tolist() == [2, 2, 2, 2]
    tensor[:2] = host[2:] * 5
    assert tensor.tolist() == [5, 5, 1, 1]


def test_devices_say_what_they_are(device: str) -> None:
    backend, where = TorchBackend(), Device.parse(device)
    assert where in backend.devices()
    assert backend.get_attr(where, DeviceAttr.EXIST)
    assert backend.get_attr(where, DeviceAttr.DEVICE_NAME)
    assert backend.get_attr(where, DeviceAttr.TOTAL_GLOBAL_MEMORY) > 1 << 20
    assert backend.get_attr(where, DeviceAttr.AVAILABLE_GLOBAL_MEMORY) > 1 << 20


def test_streams_are_the_librarys_where_it_has_them(device: str) -> None:
    backend, where = TorchBackend(), Device.parse(device)
    stream = backend.make_stream(where)
    assert (stream is not None) == (where.type is DeviceType.CUDA)
    with backend.stream_context(stream):
        array = backend.create("ones", (1000, 1000), "<f4", where, None)
        total = array.sum()
    backend.synchronize(where, stream)
    assert float(total) == 1e6


def test_what_cannot_cross_is_refused() -> None:
    backend = TorchBackend()
    assert not backend.owns(np.ones(3))
    with pytest.raises(EncodeError, match="bfloat16"):
        backend.describe(torch.ones(3, dtype=torch.bfloat16))
    with pytest.raises(EncodeError, match="sparse"):
        backend.describe(torch.eye(3).to_sparse())
    with pytest.raises(DeviceError, match="datetime64"):
        backend.from_host(np.array(["2026-01-01"], "M8[D]"), CPU)
    with pytest.raises(ValueError, match="makes no array"):
        backend.create("random", (3,), None, CPU, None)
    with pytest.raises(ArrayMismatch, match="shape"):
        backend.copy(torch.ones(3), torch.ones(4))
    with pytest.raises(ArrayMismatch, match="cast"):
        backend.copy(torch.ones(3), torch.ones(3, dtype=torch.int32))
