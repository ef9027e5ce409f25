"""Apache TVM's own client and C++ server: tensors and functions, one session at a time.

The server is started as `tvm.rpc.Server` does in its helper process, which is told by pickle.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
from typing import TYPE_CHECKING, Any

import tvm
import tvm_ffi
from tvm import rpc
from tvm.rpc.server import PopenRPCServerState

from benchmarks import work
from benchmarks.peers.base import Peer, serve

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np


class Client(Peer):
    """A session; has to be closed in the middle of nothing, or the server accepts nobody more."""

    one_at_a_time = True

    def __init__(self, server: dict[str, Any]) -> None:
        self._session = rpc.connect("127.0.0.1", server["port"])
        self._device = self._session.cpu()
        get = self._session.get_function
        self._nothing, self._mean = get("bench.nothing"), get("bench.mean")
        self._checksum, self._renew = get("bench.checksum"), get("bench.renew")
        self._words: Any = None
        self._key: Any = None

    def nothing(self) -> object:
        return self._nothing()

    def churn(self) -> None:
        tvm.runtime.empty((1,), device=self._device)

    def upload(self, words: np.ndarray) -> None:
        key = (words.dtype.str, words.shape)
        if self._key != key:
            self._key = key
            self._words = tvm.runtime.empty(words.shape, str(words.dtype), self._device)
        self._words.copyfrom(words)

    def mean(self) -> float:
        return float(self._mean(self._words))

    def download(self) -> np.ndarray:
        words: np.ndarray = self._words.numpy()
        return words

    def checksum(self) -> int:
        return int(self._checksum(self._words))

    def renew(self) -> int:
        return int(self._renew(self._words))

    def close(self) -> None:
        # The server goes on to the next client only when this one has freed all it held.
        del self._words, self._nothing, self._mean, self._checksum, self._renew
        del self._device, self._session


def start(_: dict[str, Any]) -> tuple[dict[str, Any], Callable[[], object]]:
    def renew(tensor: Any) -> int:
        words = tensor.numpy()
        number = work.renew(words)
        tensor.copyfrom(words)
        return number

    functions = {  # a function is given a view without an owner, of which `numpy` makes a copy
        "nothing": work.nothing,
        "mean": lambda tensor: work.mean(tensor.numpy()),
        "checksum": lambda tensor: work.checksum(tensor.numpy()),
        "renew": renew,
    }
    for name, function in functions.items():
        tvm_ffi.register_global_func(f"bench.{name}", function)
    port = free_port()
    state = PopenRPCServerState("127.0.0.1", port, port + 1, silent=True)
    return {"port": state.port}, end


def end() -> None:
    """Leave at once: a session's process would be waited for."""
    for child in multiprocessing.active_children():
        child.kill()
    os._exit(0)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


if __name__ == "__main__":
    serve(start)
