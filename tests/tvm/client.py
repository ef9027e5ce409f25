"""TVM's own client against the server at a port: the cases of TVM's own tests that apply."""

from __future__ import annotations

import sys

import numpy as np
import tvm
from tvm import rpc
from tvm.error import RPCError

remote = rpc.connect("127.0.0.1", int(sys.argv[1]), "k")


def refused(function, *args) -> str:
    try:
        function(*args)
    except RPCError as error:
        return str(error)
    raise AssertionError("nothing was raised")


# test_rpc_simple, test_rpc_echo
assert remote.get_function("test.add_one")(10) == 11
echo = remote.get_function("test.echo")
for value in (None, 1, -(2**62), 1.5, "xyz", "a longer string", bytearray(b"\0\xff")):
    assert echo(value) == value, value
assert echo(1, 2, 3) == 1
assert remote.get_function("test.strcat")("abc", "def") == "abcdef"
assert "ValueError: abc" in refused(remote.get_function("test.fail"), "ValueError", "abc")
remote.cpu().sync()
# test_rpc_array, test_rpc_large_array
for shape in ((3, 4), (5041, 720), (720, 192), ()):
    host = np.random.default_rng(0).random(shape).astype("float32")
    array = tvm.runtime.tensor(host, remote.cpu())
    np.testing.assert_array_equal(array.numpy(), host)
ones = tvm.runtime.tensor(np.ones((3, 4)), remote.cpu())
assert remote.get_function("test.sum")(ones) == 12.0
# test_rpc_return_func, test_rpc_return_tensor, remote objects
assert remote.get_function("test.make_adder")(10)(5) == 15
returned = remote.get_function("test.array")(5)
assert returned.numpy().tolist() == [0, 1, 2, 3, 4]
del ones
assert remote.get_function("test.sum")(returned) == 10.0
box = remote.get_function("test.box")(7)
assert remote.get_function("test.content")(box) == 7
# test_rpc_file_exchange
blob = bytearray(np.random.default_rng(1).integers(0, 255, 100_000).astype("uint8").tobytes())
remote.upload(blob, "dat.bin")
assert bytearray(remote.download("dat.bin")) == blob
remote.remove("dat.bin")
# unknown name
try:
    remote.get_function("test.absent")
except AttributeError:
    print("passed")
