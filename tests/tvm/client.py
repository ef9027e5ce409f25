"""TVM's own client against the server at a port: the cases of TVM's own tests that apply.

``python client.py PORT CASE…`` runs cases by name, and prints ``passed`` after the last.
"""

from __future__ import annotations

import sys
import threading
import time

import numpy as np
import tvm
from tvm import rpc
from tvm.error import RPCError, RPCSessionTimeoutError

PORT = int(sys.argv[1])
KEY = "k"
BOARD = "board:with:colons"


def connect(**options):
    return rpc.connect("127.0.0.1", PORT, KEY, **options)


def refused(function, *args, error=RPCError, **options) -> str:
    try:
        function(*args, **options)
    except error as caught:
        return str(caught)
    raise AssertionError("nothing was raised")


def values() -> None:  # test_rpc_simple, test_rpc_echo, test_rpc_runtime_string
    remote = connect()
    assert remote.get_function("test.add_one")(10) == 11
    echo = remote.get_function("test.echo")
    for value in (None, 1, -(2**62), 1.5, "xyz", "a longer string", bytearray(b"\0\xff")):
        assert echo(value) == value, value
    assert echo(1, 2, 3) == 1
    assert remote.get_function("test.strcat")("abc", "def") == "abcdef"
    assert "ValueError: abc" in refused(remote.get_function("test.fail"), "ValueError", "abc")
    assert remote.get_function("test.nothing")() is None
    remote.cpu().sync()
    refused(remote.get_function, "test.absent", error=AttributeError)
    refused(remote.system_lib().__getitem__, "notexist", error=AttributeError)


def arrays() -> None:  # test_rpc_array, test_rpc_large_array, test_rpc_return_tensor
    remote = connect()
    for shape in ((3, 4), (5041, 720), (720, 192), ()):
        host = np.random.default_rng(0).random(shape).astype("float32")
        array = tvm.runtime.tensor(host, remote.cpu())
        np.testing.assert_array_equal(array.numpy(), host)
    ones = tvm.runtime.tensor(np.ones((3, 4)), remote.cpu())
    assert remote.get_function("test.sum")(ones) == 12.0
    returned = remote.get_function("test.array")(5)
    assert returned.numpy().tolist() == [0, 1, 2, 3, 4]
    del ones
    assert remote.get_function("test.sum")(returned) == 10.0


def objects() -> None:  # test_rpc_return_func, test_rpc_return_remote_object
    remote = connect()
    assert remote.get_function("test.make_adder")(10)(5) == 15
    box = remote.get_function("test.box")(7)
    assert remote.get_function("test.content")(box) == 7


def files() -> None:  # test_rpc_file_exchange
    remote = connect()
    data = np.random.default_rng(1).integers(0, 255, 100_000).astype("uint8").tobytes()
    remote.upload(bytearray(data), "dat.bin")
    assert bytes(remote.download("dat.bin")) == data
    assert remote.listdir("") == "dat.bin"
    remote.remove("dat.bin")
    assert remote.listdir("") == ""


def modules() -> None:  # test_rpc_remote_module, as far as there is a module to load
    remote = connect()
    assert remote.system_lib()["test.add_one"](1) == 2
    module = remote.load_module("math")
    assert module["gcd"](12, 18) == 6
    refused(module.__getitem__, "absent", error=AttributeError)
    assert "not be loaded here" in refused(remote.load_module, "subprocess")
    measured = remote.system_lib().time_evaluator("test.sleep", remote.cpu(), number=2, repeat=3)
    results = measured(0.001).results
    assert len(results) == 3
    assert all(0.001 <= seconds < 0.5 for seconds in results)
    timed = module.time_evaluator("gcd", remote.cpu(), number=3, repeat=2, min_repeat_ms=1)
    assert 0 < timed(12, 18).mean < 0.1
    assert "absent" in refused(remote.system_lib().time_evaluator, "absent", remote.cpu())


def constructors() -> None:  # test_rpc_session_constructor_args
    remote = connect(session_constructor_args=["rpc.LocalSession"])
    assert remote.get_function("test.add_one")(1) == 2
    onwards = ["rpc.Connect", "127.0.0.1", PORT, KEY, False]
    for path in (onwards, [*onwards, *onwards]):
        remote = connect(session_constructor_args=path)
        assert remote.get_function("test.add_one")(10) == 11
        host = np.arange(6, dtype="float32").reshape(2, 3)
        array = tvm.runtime.tensor(host, remote.cpu())
        np.testing.assert_array_equal(array.numpy(), host)
        assert remote.get_function("test.sum")(array) == 15.0
        assert remote.get_function("test.make_adder")(1)(2) == 3
        assert "abc" in refused(remote.get_function("test.fail"), "ValueError", "abc")
    assert "rpc.NonExistant" in refused(connect, session_constructor_args=["rpc.NonExistant"])
    wrong = ["rpc.Connect", "127.0.0.1", PORT, "another key", False]
    assert "no key 'another key'" in refused(connect, session_constructor_args=wrong)


def timeout() -> None:  # test_rpc_session_timeout_error
    remote = connect(session_timeout=0.3)
    sleep = remote.get_function("test.sleep")
    assert "0.3s session has expired" in refused(sleep, 20.0, error=RPCSessionTimeoutError)
    refused(sleep, 0.0, error=Exception)
    idle = connect(session_timeout=0.2)
    sleep = idle.get_function("test.sleep")
    time.sleep(0.4)
    assert "0.2s session has expired" in refused(sleep, 0.0, error=RPCSessionTimeoutError)
    assert connect(session_timeout=60).get_function("test.add_one")(1) == 2


def tracker() -> None:  # test_rpc_tracker_register, test_rpc_tracker_request
    session = rpc.connect_tracker("127.0.0.1", PORT)
    assert f"server:{BOARD}" in session.text_summary()
    assert session.summary()["queue_info"][BOARD] == {"free": 1, "pending": 0}
    remote = session.request(BOARD, session_timeout=30)
    assert session.summary()["queue_info"][BOARD] == {"free": 0, "pending": 0}
    answers = []
    second = threading.Thread(target=lambda: answers.append(run_one(session_of_its_own())))
    second.start()
    while session.summary()["queue_info"][BOARD]["pending"] != 1:
        time.sleep(0.01)
    assert run_one(remote) == 11
    assert not answers
    del remote
    second.join(20)
    assert answers == [11]
    assert session.request_and_run(BOARD, run_one, session_timeout=30) == 11
    while session.summary()["queue_info"][BOARD] != {"free": 1, "pending": 0}:
        time.sleep(0.01)


def session_of_its_own():
    return rpc.connect_tracker("127.0.0.1", PORT).request(BOARD)


def run_one(remote) -> int:
    return remote.get_function("test.add_one")(10)


for name in sys.argv[2:]:
    globals()[name]()
print("passed")
