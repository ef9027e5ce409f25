"""A TVM server of a few lines for tests, which does what it is told: also what no real one does.

It answers what `TVMSession` asks, knows one CPU, and keeps its memory in a dict.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from rpcnb.core.errors import TransportError
from rpcnb.transport import registry as transports
from rpcnb.wire.tvm.dialect import NEW
from rpcnb.wire.tvm.greeting import MAGIC
from rpcnb.wire.tvm.packets import (
    Call,
    Code,
    CopyAck,
    CopyFrom,
    CopyTo,
    InitServer,
    Packet,
    Raised,
    Result,
    Shutdown,
    SystemCall,
    encode,
)
from rpcnb.wire.tvm.parser import TVMWire
from rpcnb.wire.tvm.values import TVMPointer

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.transport.base import Transport


class TVMPeer:
    """Serves one connection after the other on a thread; remembers what it was asked."""

    def __init__(self) -> None:
        self._listener = transports.listen("tcp://127.0.0.1:0")
        self.url = self._listener.url.replace("tcp://", "tvm://") + "?key=k"
        self.asked: list[Packet] = []
        self.greeted: list[bytes] = []
        self.functions: dict[str, Callable[..., Any]] = {}
        """Name -> function of the values of a call; returns a return list, or a packet."""
        self.system: dict[Code, Callable[..., Any]] = {}
        """Overrides what a system call answers."""
        self.memory: dict[int, bytearray] = {}
        self.dialect = NEW
        self._names: list[str] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                transport = self._listener.accept()
            except TransportError:
                return
            with transport:
                try:
                    self._serve(transport)
                except TransportError:
                    continue

    def _serve(self, transport: Transport) -> None:
        buffer = memoryview(bytearray(1000))
        self.greeted.append(bytes(buffer[: transport.receive_into(buffer)]))
        key = b"server:k"
        transport.send([MAGIC.to_bytes(4, "little"), len(key).to_bytes(4, "little"), key])
        wire = TVMWire()
        wire.dialect = self.dialect
        while nbytes := transport.receive_into(wire.receive_buffer()):
            for packet in wire.received(nbytes):
                if isinstance(packet, CopyTo):
                    packet = packet._replace(payload=bytes(packet.payload))  # noqa: PLW2901
                self.asked.append(packet)
                if isinstance(packet, Shutdown):
                    return
                transport.send(encode(self._answer(packet), self.dialect))

    def _answer(self, packet: Packet) -> Packet:
        match packet:
            case InitServer():
                return Result((None,))
            case SystemCall(code, args):
                return self._system(code, args)
            case Call(function, args):
                found = self.functions[self._names[function - 1]](*args)
                return found if isinstance(found, Raised | Shutdown) else Result(tuple(found))
            case CopyTo(tensor, payload):
                start = tensor.byte_offset
                self.memory[tensor.data][start : start + len(payload)] = payload
                return Result((None,))
            case CopyFrom(tensor, nbytes):
                start = tensor.byte_offset
                return CopyAck(self.memory[tensor.data][start : start + nbytes])
            case _:
                return Raised(f"no answer to {packet}")

    def _system(self, code: Code, args: tuple[Any, ...]) -> Packet:
        if code in self.system:
            found = self.system[code](*args)
            return found if isinstance(found, Raised) else Result((found,))
        if code == Code.GET_GLOBAL_FUNC:
            if args[0] not in self.functions:
                return Result((TVMPointer(0),))
            self._names.append(args[0])
            return Result((TVMPointer(len(self._names)),))
        if code == Code.DEV_GET_ATTR:
            return Result((int(args[0].type == 1) if args[1] == 0 else None,))
        if code == Code.DEV_ALLOC_DATA_WITH_SCOPE:
            pointer = 4096 * (1 + len(self.memory))
            self.memory[pointer] = bytearray(4096)
            return Result((TVMPointer(pointer),))
        return Result((None,))

    def count(self, code: Code) -> int:
        """Return how many requests of one kind came."""
        return sum(isinstance(p, SystemCall) and p.code == code for p in self.asked)

    def close(self) -> None:
        """Stop listening; the session that is served goes on until its client leaves."""
        self._listener.close()
        self._thread.join(5)
