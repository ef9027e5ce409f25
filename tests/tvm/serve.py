"""TVM's own RPC server with functions of ours, in a process of its own; prints its port.

``python serve.py KEY [TRACKER_PORT]``. What `tvm.rpc.Server` starts in its helper process is
started here directly: the helper is reached by pickled functions, which are not wanted here.
"""

from __future__ import annotations

import signal
import socket
import sys
import time

import ml_dtypes
import numpy as np
import tvm
import tvm_ffi
from tvm.rpc.server import PopenRPCServerState


class CustomError(Exception):
    """An error class which the other side does not know."""


class Box:
    """An object that must stay where it is."""

    def __init__(self, content: object) -> None:
        self.content = content


def fail(kind: str, message: str) -> None:
    raise {"ValueError": ValueError, "KeyError": KeyError, "CustomError": CustomError}[kind](
        message
    )


def sleep(seconds: float) -> int:
    time.sleep(seconds)
    return 1


class Adder:
    """Counts how many of it there are."""

    count = 0

    def __init__(self) -> None:
        Adder.count += 1

    def __del__(self) -> None:
        Adder.count -= 1

    def __call__(self, number: int) -> int:
        return number + 1


def sleep_then_adder(seconds: float) -> Adder:
    time.sleep(seconds)
    return Adder()


def make_holder(count: int) -> object:
    array = tvm.runtime.tensor(np.ones(count))
    functions = {"array": lambda: array, "sum": lambda: float(array.numpy().sum())}
    return lambda name: functions[name]


def bfloat16() -> object:
    return tvm.runtime.tensor(np.array([1.0, 2.0], ml_dtypes.bfloat16))


FUNCTIONS = {
    "add_one": lambda number: number + 1,
    "array": lambda count: tvm.runtime.tensor(np.arange(count, dtype="<f8")),
    "box": Box,
    "call": lambda function, *args: function(*args),
    "content": lambda box: box.content,
    "echo": lambda value, *_: value,
    "fail": fail,
    "bfloat16": bfloat16,
    "dtype": lambda array: str(array.dtype),
    "length": len,
    "make_adder": lambda number: lambda other: number + other,
    "make_holder": make_holder,
    "nothing": lambda: None,
    "sleep": sleep,
    "adders": lambda: Adder.count,
    "sleep_then_adder": sleep_then_adder,
    "strcat": lambda left, right: left + right,
    "sum": lambda array: float(array.numpy().sum()),
    "type": lambda value: type(value).__name__,
    "die": lambda: __import__("os")._exit(3),
}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def main() -> None:
    for name, function in FUNCTIONS.items():
        tvm_ffi.register_global_func(f"test.{name}", function)
    key, *tracker = sys.argv[1:]
    where = ("127.0.0.1", int(tracker[0])) if tracker else None
    port = free_port()
    state = PopenRPCServerState(
        "127.0.0.1", port, port + 1, tracker_addr=where, key=key, silent=True
    )
    print(state.port, flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
