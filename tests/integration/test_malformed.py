"""Bytes that make no sense, over real sockets: the connection ends, and nothing else happens.

Each case is one connection.  Before the proof it costs the server a thread; after it, a worker.
"""

from __future__ import annotations

import ctypes
import gc
import random
import struct
from typing import TYPE_CHECKING

import msgpack
import psutil
import pytest

from rpcnb.endpoint.client.connect import greet
from rpcnb.endpoint.credentials import secret_of
from rpcnb.endpoint.serving.server import Server
from rpcnb.session.functions import FunctionRegistry
from rpcnb.testing.strategies import EXAMPLES
from rpcnb.transport import registry as transports
from rpcnb.wire.client_handshake import ClientHandshake
from rpcnb.wire.frames import FIXED
from rpcnb.wire.handshake import MAGIC, Intent
from rpcnb.wire.messages import Goodbye, Kind, Message, Side
from rpcnb.wire.v1 import WireV1

if TYPE_CHECKING:
    from collections.abc import Callable

M_ARENA_MAX, M_TRIM_THRESHOLD = -8, -1  # of malloc.h
MEMORY = 16 << 20
"""Bytes by which a server may be larger afterwards."""


def hello(secret: bytes, numbers: random.Random) -> bytes:
    handshake = ClientHandshake(secret, session_name="x" * numbers.randrange(65))
    return handshake.data_to_send()


def random_bytes(secret: bytes, numbers: random.Random) -> bytes:
    return numbers.randbytes(numbers.randrange(1, 300))


def almost_magic(secret: bytes, numbers: random.Random) -> bytes:
    return MAGIC[: numbers.randrange(9)] + numbers.randbytes(numbers.randrange(1, 200))


def flipped(data: bytes, numbers: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(numbers.randrange(1, 4)):
        changed[numbers.randrange(len(changed))] ^= 1 << numbers.randrange(8)
    return bytes(changed)


def cut(data: bytes, numbers: random.Random) -> bytes:
    return data[: numbers.randrange(len(data))]


def wrong_proof(secret: bytes, numbers: random.Random) -> bytes:
    return hello(secret, numbers) + numbers.randbytes(32)


def frames_without_proof(secret: bytes, numbers: random.Random) -> bytes:
    return hello(secret, numbers) + frame(EXAMPLES[Kind.CALL_FUNC])


def too_much(secret: bytes, numbers: random.Random) -> bytes:
    return hello(secret, numbers) + bytes(20_000)


BEFORE: list[Callable[[bytes, random.Random], bytes]] = [
    random_bytes,
    almost_magic,
    wrong_proof,
    frames_without_proof,
    lambda secret, numbers: flipped(hello(secret, numbers), numbers),
    lambda secret, numbers: cut(hello(secret, numbers), numbers),
    too_much,
]


def throw(url: str, data: bytes) -> bytes:
    """Send bytes, say that there are no more, and return what comes back until the end."""
    with transports.connect(url, 10.0) as transport:
        answer = bytearray()
        try:
            transport.send_one(data)
            transport._socket.shutdown(1)  # the peer need not wait for the rest
            buffer = memoryview(bytearray(4096))
            while count := transport.receive_into(buffer):
                answer += buffer[:count]
        except OSError:  # reset, as for somebody who is still talking
            pass
        return bytes(answer)


def before_the_proof(server, remote, amount: int) -> None:
    numbers = random.Random(amount)
    secret, stranger = secret_of(server.token), bytes(range(32))
    broker = psutil.Process(server.pid)
    with server.connect() as bystander:
        echo = remote(bystander, "t.echo")
        for case in range(300):
            throw(server.url, BEFORE[case % len(BEFORE)](stranger, numbers))
        memory, fds = broker.memory_info().rss, broker.num_fds()
        for case in range(amount):
            make = BEFORE[case % len(BEFORE)]
            data = make(secret if case % 2 else stranger, numbers)
            answer = throw(server.url, data)
            assert len(answer) < 200, f"{make}: {answer!r}"
            if not data.startswith(MAGIC):
                assert answer == b"", "a stranger is told nothing"
            if case % 500 == 0:
                assert echo(case) == case
        assert len(server.workers()) == 1, "nobody has got in"
        grown = broker.memory_info().rss - memory
        assert grown < MEMORY, f"{amount:,} cases left {grown:,} bytes"
        assert broker.num_fds() <= fds + 2


@pytest.mark.untraced  # it measures memory
def test_18_000_malformed_greetings_reach_nothing(server, remote) -> None:
    before_the_proof(server, remote, 18_000)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_900_000_malformed_greetings_reach_nothing(server, remote) -> None:
    before_the_proof(server, remote, 900_000)


# --- after the proof ------------------------------------------------------------------------------


def frame(message: Message, **changes: int) -> bytes:
    """Return a correct first frame of a client, with some numbers changed."""
    protocol = WireV1(Side.CLIENT if type(message) is not Goodbye else Side.SERVER)
    prepared = protocol.prepare(message)
    fixed = {
        "kind": prepared.kind,
        "flags": 0,
        "epoch": 1,
        "header": len(prepared.header),
        "id": prepared.id,
        "sequence": 1,
        "ack": 0,
        "payload": prepared.payload_nbytes,
    }
    packed = FIXED.pack(*(fixed | changes).values())
    return packed + prepared.header + b"".join(prepared.payload)


CLIENT_SAYS = [
    EXAMPLES[kind]
    for kind in (Kind.GET_FUNCTION, Kind.CALL_FUNC, Kind.COPY_TO_REMOTE, Kind.DEVICE_CALL)
]


def document(numbers: random.Random) -> bytes:
    """Return a header that lies about what follows, or nests for ever."""
    bombs = [
        b"\x91" * numbers.randrange(1, 60_000) + b"\xc0",
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xff" + b"x",
        b"\xc6\x7f\xff\xff\xff",
        b"\xc9\xff\xff\xff\xff\x05",
        msgpack.packb([1, [[None] * 2000]]),
        msgpack.packb([1, [], {str(n): None for n in range(2000)}]),
        msgpack.packb([msgpack.ExtType(numbers.randrange(128), numbers.randbytes(9)), []]),
        msgpack.packb([-1, []]),
        msgpack.packb(["function", {"a": 1}]),
        numbers.randbytes(numbers.randrange(1, 100)),
    ]
    return numbers.choice(bombs)


def bomb(numbers: random.Random) -> bytes:
    header = document(numbers)
    return FIXED.pack(int(Kind.CALL_FUNC), 0, 1, len(header), 1, 1, 0, 0) + header


def lie(numbers: random.Random) -> bytes:
    name, value = numbers.choice(
        [
            ("kind", 0xEE),
            ("kind", int(Kind.STARTED)),
            ("flags", 1),
            ("epoch", 2),
            ("epoch", 0),
            ("header", 0x7FFFFFFF),
            ("payload", 0xFFFFFFFF),
            ("payload", 17 << 20),
            ("sequence", 2),
            ("sequence", 0),
            ("ack", 9),
        ]
    )
    return frame(numbers.choice(CLIENT_SAYS), **{name: value})


AFTER: list[Callable[[random.Random], bytes]] = [
    bomb,
    lie,
    lambda numbers: numbers.randbytes(numbers.randrange(40, 300)),
    lambda numbers: flipped(frame(numbers.choice(CLIENT_SAYS)), numbers),
    lambda numbers: cut(frame(numbers.choice(CLIENT_SAYS)), numbers),
    lambda numbers: frame(EXAMPLES[Kind.PING]) * 2,
    lambda numbers: frame(EXAMPLES[Kind.GOODBYE]) + numbers.randbytes(60),
]
MAY_BE_RIGHT = (3, 4, 6)
"""Cases that can be correct by chance: an argument differs, nothing was sent, or a goodbye."""


def say_no_more(transport) -> None:
    """Let the peer see the end of what is sent, and receive its answer nevertheless."""
    if hasattr(transport, "_socket"):
        transport._socket.shutdown(1)
    else:  # two pipes
        transport._writer.close()


def intrude(url: str, secret: bytes, data: bytes) -> list[Message]:
    """Send bytes behind a correct handshake; return the messages that come back."""
    transport, agreement = greet(url, secret, 10.0, Intent.NEW)
    protocol = WireV1(Side.CLIENT, epoch=agreement.epoch)
    protocol.frames_sent = 1 << 20  # so that any acknowledgement is right
    messages: list[Message] = []
    with transport:
        try:
            transport.send_one(data)
            say_no_more(transport)
            while count := transport.receive_into(protocol.receive_buffer()):
                messages += protocol.received(count)
        except OSError:
            pass
    return messages


def after_the_proof(url: str, token: str, amount: int, check: Callable[[int], None]) -> None:
    numbers = random.Random(amount)
    secret = secret_of(token)
    for case in range(amount):
        which = case % len(AFTER)
        data = AFTER[which](numbers)
        messages = intrude(url, secret, data)
        goodbyes = [message for message in messages if isinstance(message, Goodbye)]
        if which not in MAY_BE_RIGHT:
            assert len(goodbyes) == 1, f"{data[:80]!r}: {messages}"
        for goodbye in goodbyes:
            assert goodbye.error
            assert 0 < len(goodbye.reason) <= 500
        check(case)


def test_400_malformed_sessions_hurt_no_other_one(server, remote, eventually) -> None:
    broker = psutil.Process(server.pid)
    with server.connect() as bystander:
        echo, memory = remote(bystander, "t.echo"), remote(bystander, "t.memory")

        def check(case: int) -> None:
            if case % 20 == 0:
                assert echo(case) == case

        after_the_proof(server.url, server.token, 100, check)
        assert eventually(lambda: len(server.workers()) == 1, timeout=15.0)
        before = [p.memory_info().rss for p in (broker, server.zygote)] + memory(False)[:1]
        after_the_proof(server.url, server.token, 400, check)
        assert eventually(lambda: len(server.workers()) == 1, timeout=15.0), "workers were left"
        after = [p.memory_info().rss for p in (broker, server.zygote)] + memory(False)[:1]
        grown = [b - a for a, b in zip(before, after, strict=True)]
        assert max(grown) < MEMORY, f"400 cases left {grown} bytes in broker, zygote and bystander"


def held() -> int:
    """Return the bytes of this process, without what its allocator keeps of freed ones."""
    gc.collect()
    getattr(ctypes.CDLL(None), "malloc_trim", bool)(0)  # glibc's
    resident: int = psutil.Process().memory_info().rss
    return resident


def give_back_what_is_freed() -> None:
    """Have glibc keep next to nothing: it would be 70 MiB, in an arena for each of many threads.

    Once a large block was freed (14 MiB while modules are loaded) it keeps twice as much at the end
    of each arena, and gives that of arenas beside the first not even back to `malloc_trim`.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", max)
    set_option(M_ARENA_MAX, 1)
    set_option(M_TRIM_THRESHOLD, 128 << 10)


def many_sessions(tmp_path, amount: int) -> None:
    """Without a process for each session: ten times as many."""
    url = f"unix://{tmp_path}/s.sock"
    with Server(
        url=url,
        in_process=True,
        registry=FunctionRegistry(),
        connection_file=tmp_path / "server.json",
        grace=0.0,  # a thousand sessions whose peers hang up would be waited for
    ) as server:
        give_back_what_is_freed()
        after_the_proof(server.url, server.token, 500, lambda case: None)
        before = held()
        after_the_proof(server.url, server.token, amount, lambda case: None)
        assert held() - before < MEMORY
        assert server.sessions <= 1


def test_2000_malformed_sessions_each_end_with_one_goodbye(tmp_path) -> None:
    many_sessions(tmp_path, 2000)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_100_000_malformed_sessions_each_end_with_one_goodbye(tmp_path) -> None:
    many_sessions(tmp_path, 100_000)


def test_requests_about_nothing_are_errors_and_the_session_goes_on(server, remote) -> None:
    from rpcnb.core.errors import DeviceError, InvalidHandle, RpcnbError
    from rpcnb.core.values import ArrayRef, FunctionRef, TypeCode
    from rpcnb.wire.messages import DeviceCall, StreamWait

    with server.connect() as session:
        nowhere = ArrayRef(999)
        with pytest.raises(InvalidHandle):
            session.call_func(FunctionRef(999))
        with pytest.raises(InvalidHandle):
            session.copy_to_remote(bytes(8), nowhere, 8)
        with pytest.raises(InvalidHandle):
            session.copy_from_remote(nowhere, bytearray(8), 8)
        for operation, args in (("format_disk", ()), ("alloc_data", ()), ("get_attr", (99,))):
            with pytest.raises((RpcnbError, LookupError, TypeError, ValueError)):
                session.ask(lambda n, o=operation, a=args: DeviceCall(n, "cpu:0", o, a))
        for device in ("", "cpu:99", "toaster", "\0"):
            with pytest.raises(DeviceError):
                session.ask(lambda n, d=device: DeviceCall(n, d, "create_stream", ()))
            with pytest.raises(DeviceError):
                session.ask(lambda n, d=device: StreamWait(n, d, 0))
        with pytest.raises(DeviceError):
            session.ask(lambda n: StreamWait(n, "cpu:0", 77))
        for code in (TypeCode.ARRAY, TypeCode.FUNCTION, TypeCode.STREAM):
            session.free_handle(12345, code)
        assert remote(session, "t.echo")("fine") == "fine"


def test_an_error_larger_than_a_frame_still_arrives(server, remote) -> None:
    with server.connect() as session, pytest.raises(Exception, match="x") as raised:
        remote(session, "t.raise_large")(40_000_000)
    assert len(str(raised.value)) < 100_000


def test_a_frame_has_the_layout_these_tests_know() -> None:
    assert FIXED.size == struct.calcsize(FIXED.format)
    message = EXAMPLES[Kind.CALL_FUNC]
    protocol = WireV1(Side.CLIENT)
    assert frame(message) == b"".join(protocol.frame(protocol.prepare(message)))
