"""Frames that no TVM client sends, by the ten thousand, against a server that others use as well."""

from __future__ import annotations

import random
import socket
from pathlib import Path

import numpy as np
import pytest

from rpcnb.core.limits import MIB
from rpcnb.endpoint.tvm.connect import TVMAddress, connect_tvm
from rpcnb.endpoint.tvm.server import TVMServer, serve_here
from rpcnb.session.files import WorkFolder
from rpcnb.session.functions import FunctionRegistry
from rpcnb.session.local import LocalSession
from rpcnb.wire.tvm.greeting import Greeting
from rpcnb.wire.tvm.packets import (
    SYSTEM_CALLS,
    Call,
    Code,
    CopyAck,
    CopyFrom,
    CopyTo,
    InitServer,
    Packet,
    Raised,
    Result,
    SystemCall,
    encode,
)
from rpcnb.wire.tvm.parser import TVMWire
from rpcnb.wire.tvm.values import TVMDevice, TVMDType, TVMHandle, TVMPointer, TVMTensor

EACH = 12
"""Frames of one connection: enough for a table of numbers that some of them hit."""
NAMES = [
    "t.echo", "t.sum", "t.adder", "t.array", "t.absent", "", "\0", "ffi.SystemLib",
    "tvm.rpc.server.upload", "tvm.rpc.server.download", "tvm.rpc.server.listdir",
    "tvm.rpc.server.remove", "tvm.rpc.server.load_module", "tvm.rpc.server.ModuleGetFunction",
    "tvm.rpc.server.ImportModule", "ffi.FunctionListGlobalNamesFunctor", "rpcnb.statistics",
    "rpcnb.array.create", "rpcnb.array.view", "rpcnb.next",
]  # fmt: skip
NUMBERS = [0, 1, -1, 2, 7, 255, 2**31, -(2**31), 2**62, -(2**63), 2**63 - 1]
SIZES = [0, 1, 2, 3, 7, 100, -1, 2**40, 2**62]


class Fuzzer:
    """Makes frames by chance; the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)

    def number(self) -> int:
        """Return what may be in the table, or anything."""
        known = 0x1000 + 0x10 * self.chance.randrange(8)
        return self.chance.choice([known, known, known, 0, 1, 2**64 - 1])

    def tensor(self) -> TVMTensor:
        chance = self.chance
        shape = tuple(chance.choice(SIZES) for _ in range(chance.randrange(4)))
        dtype = TVMDType(chance.randrange(8), chance.choice([8, 16, 32, 64, 1, 0]), 1)
        device = TVMDevice(chance.choice([1, 1, 1, 2, 99]), chance.choice([0, 0, 1, -1]))
        return TVMTensor(self.number(), device, dtype, shape, chance.choice([0, 0, 0, 4, 2**40]))

    def value(self) -> object:
        chance = self.chance
        return chance.choice(
            [
                lambda: None,
                lambda: chance.choice(NUMBERS),
                lambda: chance.random() < 0.5,
                lambda: chance.choice([0.5, float("nan"), float("inf"), -0.0]),
                lambda: chance.choice(NAMES),
                lambda: chance.randbytes(chance.randrange(40)),
                lambda: TVMPointer(self.number()),
                lambda: TVMHandle(chance.choice([68, 73, 115]), self.number()),
                lambda: TVMDevice(chance.choice([1, 2, 99]), chance.choice([0, -1, 5])),
                lambda: TVMDType(chance.randrange(9), chance.choice([8, 32, 3])),
                self.tensor,
            ]
        )()

    def values(self, most: int = 4) -> tuple[object, ...]:
        return tuple(self.value() for _ in range(self.chance.randrange(most + 1)))

    def packet(self) -> Packet:
        """Return a packet that can be read, and need not make sense."""
        chance = self.chance
        return chance.choice(
            [
                lambda: SystemCall(Code.GET_GLOBAL_FUNC, (chance.choice(NAMES),)),
                lambda: SystemCall(Code.GET_GLOBAL_FUNC, (chance.choice(NAMES),)),
                lambda: SystemCall(Code.DEV_ALLOC_DATA_WITH_SCOPE, (self.tensor(), None)),
                lambda: SystemCall(chance.choice(sorted(SYSTEM_CALLS)), self.values()),
                lambda: SystemCall(Code.FREE_HANDLE, (TVMPointer(self.number()),)),
                lambda: Call(self.number(), self.values()),
                lambda: Call(self.number(), self.values()),
                lambda: CopyFrom(self.tensor(), chance.choice([0, 4, 400, 2**40])),
                lambda: CopyTo(self.tensor(), chance.randbytes(chance.randrange(64))),
                lambda: InitServer(self.values(2)),
                lambda: chance.choice([Result(self.values()), Raised("x"), CopyAck(b"abc")]),
            ]
        )()

    def broken(self) -> bytes:
        """Return a frame whose bytes were changed: its length, its code, its body."""
        data = bytearray(frame(self.packet()))
        for _ in range(self.chance.randrange(1, 4)):
            data[self.chance.randrange(len(data))] = self.chance.randrange(256)
        if self.chance.random() < 0.3:
            del data[self.chance.randrange(len(data)) :]
        return bytes(data)

    def connection(self, frames: int) -> bytes:
        """Return all that one client sends."""
        array = SystemCall(
            Code.DEV_ALLOC_DATA_WITH_SCOPE,
            (TVMTensor(0, TVMDevice(1, 0), TVMDType(2, 32), (7,)), None),
        )
        begin = [InitServer(), array] if self.chance.random() < 0.95 else []
        sound = [self.packet() for _ in range(frames - 1)]
        return b"".join(map(frame, begin + sound)) + self.broken()


def frame(packet: Packet) -> bytes:
    return b"".join(bytes(buffer) for buffer in encode(packet))


def resident() -> int:
    """Return the bytes of memory this process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def attack(port: int, sent: bytes) -> int:
    """Send it all as a client; return how many frames were answered, and the one that was fatal."""
    greeting, wire = Greeting("k"), TVMWire()
    with socket.create_connection(("127.0.0.1", port), 20) as peer:
        try:
            peer.sendall(greeting.sends + sent)
            peer.shutdown(socket.SHUT_WR)
            while greeting.missing:
                greeting.receive(peer.recv(greeting.missing))
            while count := peer.recv_into(wire.receive_buffer()):
                wire.received(count)
        except ConnectionError:  # it was thrown out in the middle
            pass
    return wire.packets_received + 1


@pytest.fixture
def server(tmp_path):
    registry = FunctionRegistry()
    registry.add("t.echo", lambda value=None, *_: value)
    registry.add("t.sum", lambda array: float(np.sum(array)))
    registry.add("t.adder", lambda number: lambda other: number + other)
    registry.add("t.array", lambda: np.arange(5.0))

    def open_session() -> LocalSession:
        return LocalSession(registry, work_folder=WorkFolder(tmp_path))

    with TVMServer(serve_here(open_session), "k") as server:
        yield server


def run(server: TVMServer, frames: int, seed: int) -> int:
    """Attack until so many frames were dealt with; return the growth of memory meanwhile."""
    fuzzer, before, count = Fuzzer(seed), 0, 0
    with connect_tvm(TVMAddress("127.0.0.1", server.port, "k"), 10.0) as bystander:
        echo = bystander.get_function("t.echo")
        while count < frames:
            for _ in range(50):
                count += attack(server.port, fuzzer.connection(EACH))
            assert bystander.call_func(echo, (count,)) == count
            before = before or (count > frames // 10) * resident()  # after it has warmed up
    return resident() - before


@pytest.mark.slow
def test_twenty_thousand_frames_harm_nobody(server) -> None:
    assert run(server, 20_000, seed=1) <= 16 * MIB


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(2, 7))
def test_a_hundred_thousand_frames_harm_nobody(server, seed) -> None:
    assert run(server, 100_000, seed) <= 16 * MIB
