"""A server that knows the secret and means harm: the client stays a client.

Each case is a connection of a real client to a server that follows a script. Whatever it says, the
client ends with a result or with an error of ours, runs no code, writes no file, and does not grow.
"""

from __future__ import annotations

import os
import random
import socket
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

import rpcnb
from rpcnb.core.errors import ErrorInfo, RemoteError, RpcnbError
from rpcnb.core.values import ArrayRef, FunctionInfo, FunctionRef, Handle, ObjectRef
from rpcnb.endpoint.client.connect import open_session
from rpcnb.testing.strategies import EXAMPLES
from rpcnb.wire import messages as m
from rpcnb.wire.server_handshake import ServerHandshake
from rpcnb.wire.v1 import WireV1

sys.path.insert(0, str(Path(__file__).parent))
from hostile import PATIENCE, TOKEN, ask, frame  # beside this file, which is no package

MEMORY = 32 << 20


@pytest.fixture(autouse=True)
def nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    assert list(tmp_path.iterdir()) == []


LIES = {
    "a header of 2 GiB": frame(m.Kind.RETURN, b"\xc0", header=0x7FFFFFFF),
    "a payload of 4 GiB": frame(m.Kind.RETURN, payload=0xFFFFFFFF),
    "17 MiB": frame(m.Kind.RETURN, payload=17 << 20),
    "an unknown kind": frame(0xEE),
    "a request that only clients make": frame(m.Kind.GET_FUNCTION, b"\x91\xa1x"),
    "a skipped number": frame(m.Kind.PING, sequence=7),
    "an acknowledgement of what was not sent": frame(m.Kind.PING, ack=10**6),
    "another epoch": frame(m.Kind.PING, epoch=9),
    "a document that nests for ever": frame(m.Kind.RETURN, b"\x91" * 60_000 + b"\xc0"),
    "a list of four thousand million": frame(m.Kind.RETURN, b"\xdd\xff\xff\xff\xff"),
    "an array without its bytes": frame(
        m.Kind.RETURN, b"\x91\xc7\x0a\x12\x93\xa3<f8\x91\xcd\x0f\xff\xc4\x00"
    ),
    "a class by name": frame(m.Kind.RETURN, b"\x91\xc7\x0a\x63os.system()"),
    "no document": frame(m.Kind.RETURN, b"\xc1"),
    "bytes": bytes(range(256)),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_a_lie_in_a_frame_ends_the_connection_with_an_error_of_ours(hostile, lie) -> None:
    def script(server) -> None:
        server.hear(m.GetFunction)
        server.shout(lie)

    before = psutil.Process().memory_info().rss
    with pytest.raises(RpcnbError):
        ask(hostile(script))
    assert psutil.Process().memory_info().rss - before < MEMORY


def reply_with(*values):
    def script(server) -> None:
        server.give_function()
        call = server.hear(m.CallFunc)
        server.say(*(value(call.id) for value in values))

    return script


def test_replies_that_nobody_asked_for_change_nothing(hostile) -> None:
    strays = [
        lambda n, k=k: k
        for k in (
            m.Return(999, 1),
            m.Raised(998, ErrorInfo("X", "x")),
            m.Stopped(997),
            m.CopyData(996, 0, 3, True, b"abc"),
            m.CopyData(995, 1 << 40, 3, False, b"abc"),
            m.Progress(994, 1.0),
            m.Output(993, "stdout", "x"),
            m.Started(992),
            m.Pong(991),
        )
    ]
    script = reply_with(*strays, lambda n: m.Return(n, "mine"), lambda n: m.Return(n, "again"))
    assert ask(hostile(script)) == "mine"


def test_a_copy_never_writes_beyond_the_memory_it_was_given(hostile) -> None:
    size = 1 << 20  # what is smaller takes another way

    copies = []

    def script(server) -> None:
        server.say(m.Return(server.hear(m.DeviceCall).id, None))  # no shared memory here
        asked = server.hear(m.CopyFromRemote)
        copies.append(asked)
        for offset in (size, size - 1, 1 << 40, (1 << 63) - 1):
            server.say(m.CopyData(asked.id, offset, 4, False, b"evil"))
        server.say(m.CopyData(asked.id, 0, 2 * size, False, b"e" * 2 * size))
        server.say(m.CopyData(asked.id, 0, 4, True, b"good"))

    memory = bytearray(b"." * (3 * size))
    with open_session(hostile(script), token=TOKEN, timeout=PATIENCE) as session:
        target = memoryview(memory)[size : 2 * size]
        with suppress(RpcnbError):
            session.copy_from_remote(ArrayRef(Handle(1), (size,), "|u1"), target, size)
    assert memory[:size] == memory[2 * size :] == b"." * size
    assert len(copies) == 1


@pytest.mark.parametrize("name", ["SystemExit", "KeyboardInterrupt", "GeneratorExit", "os.system"])
def test_an_error_is_an_error_whatever_it_calls_itself(hostile, name) -> None:
    info = ErrorInfo(name, "\x1b[2Jgone", name, ("x",), "\x1b]0;root\x07")
    with pytest.raises(RemoteError) as caught:
        ask(hostile(reply_with(lambda n: m.Raised(n, info))))
    assert isinstance(caught.value, Exception)
    assert "\x1b" not in str(caught.value) + repr(caught.value)
    assert "\\x1b[2Jgone" in str(caught.value)


def test_the_client_runs_nothing_that_it_did_not_lend(hostile) -> None:
    answers = []

    def script(server) -> None:
        server.give_function()
        call = server.hear(m.CallFunc)
        for handle in (0, 1, 2, 10**6, (1 << 63) - 1):
            server.say(m.CallFunc(1000 + handle % 1000, handle, ("x",)))
            answers.append(server.hear(m.Raised))
        server.say(m.Return(call.id, "done"))

    assert ask(hostile(script)) == "done"
    assert len(answers) == 5


def test_names_and_texts_are_shown_as_what_they_are(hostile) -> None:
    evil = "\x1b[2J<script>\u202e" + "x" * 100_000

    def script(server) -> None:
        for _ in range(3):
            asked = server.hear(m.GetFunction)
            server.say(m.Return(asked.id, FunctionRef(Handle(5), FunctionInfo(evil, doc=evil))))
            call = server.hear(m.CallFunc)
            value = (
                [{"name": evil, "doc": evil}]
                if asked.name == "rpcnb.functions"
                else ObjectRef(Handle(6), evil, evil)
            )
            server.say(m.Output(call.id, "stdout", evil[:20]), m.Return(call.id, value))

    with rpcnb.connect(hostile(script), TOKEN, timeout=PATIENCE) as remote:
        printed = []
        remote.on_output = lambda stream, text: printed.append(text)
        function = remote.get_function("f")
        thing = function()
        names = "".join(remote.functions)
        shown = f"{remote!r}{remote.functions!r}{function!r}{function.__doc__}{thing!r}{names}"
        assert printed
        for text in (shown, *printed):
            assert "\x1b" not in text
            assert "\u202e" not in text
        assert len(function.__name__) <= 256
        assert len(function.__doc__) < 20_000


def test_a_flood_of_output_is_not_kept(hostile) -> None:
    amount, piece = 1500, "x" * 30_000

    def script(server) -> None:
        server.give_function()
        call = server.hear(m.CallFunc)
        for _ in range(amount):
            server.say(m.Output(call.id, "stdout", piece))
        server.say(m.Return(call.id, "done"))

    with rpcnb.connect(hostile(script), TOKEN, timeout=PATIENCE) as remote:
        before = psutil.Process().memory_info().rss
        call = remote.get_function("f").submit()
        assert call.result(timeout=PATIENCE) == "done"
        assert len(call.stdout) <= 1 << 20
        assert psutil.Process().memory_info().rss - before < MEMORY


def test_a_server_that_never_answers_is_waited_for_no_longer_than_wanted(hostile) -> None:
    def script(server) -> None:
        server.give_function()

    remote = rpcnb.connect(hostile(script), TOKEN, timeout=PATIENCE)
    call = remote.get_function("f").submit()
    with pytest.raises(TimeoutError):
        call.result(timeout=0.05)
    began = time.monotonic()
    remote.close()
    assert time.monotonic() - began < 5.0
    with pytest.raises((RpcnbError, TimeoutError)):
        call.result(timeout=PATIENCE)


def test_listed_names_lead_to_no_other_place(tmp_path) -> None:
    with rpcnb.connect("local:") as remote:
        for name in ("..", "a/..", ".", "a/"):
            with pytest.raises(ValueError, match="names no file to make"):
                remote.download(name, tmp_path)


def mutated(numbers: random.Random) -> bytes:
    """Return frames that begin right and go wrong somewhere."""
    protocol = WireV1(m.Side.SERVER)
    kinds = [k for k in EXAMPLES if k in ALLOWED]
    data = bytearray()
    for _ in range(numbers.randrange(1, 4)):
        message = EXAMPLES[numbers.choice(kinds)]
        data += b"".join(bytes(part) for part in protocol.frame(protocol.prepare(message)))
    for _ in range(numbers.randrange(4)):
        data[numbers.randrange(len(data))] ^= 1 << numbers.randrange(8)
    return bytes(data[: numbers.randrange(1, len(data) + 1)])


ALLOWED = {
    m.Kind.RETURN,
    m.Kind.RAISED,
    m.Kind.STOPPED,
    m.Kind.COPY_DATA,
    m.Kind.STARTED,
    m.Kind.PROGRESS,
    m.Kind.OUTPUT,
    m.Kind.PING,
    m.Kind.PONG,
    m.Kind.CALL_FUNC,
}


def fuzz(hostile, amount: int) -> None:
    numbers = random.Random(amount)

    def script(server) -> None:
        server.hear(m.GetFunction)
        server.shout(mutated(numbers))
        server.transport.close()

    url = hostile(script)
    grown = 0
    for case in range(amount):
        with suppress(RpcnbError, LookupError, ValueError, TypeError, AttributeError):
            ask(url)
        if case == 50:
            grown = psutil.Process().memory_info().rss
    assert psutil.Process().memory_info().rss - grown < MEMORY
    assert threading.active_count() < 30


def test_2000_garbled_servers_hurt_no_client(hostile) -> None:
    fuzz(hostile, 2000)


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_200_000_garbled_servers_hurt_no_client(hostile) -> None:
    fuzz(hostile, 200_000)


@pytest.mark.parametrize("attempt", range(50))
def test_an_impostor_at_the_port_gets_no_proof(attempt) -> None:
    heard = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as impostor:

        def listen_in() -> None:
            peer, _ = impostor.accept()
            with peer:
                heard.extend(peer.recv(4096))
                other = ServerHandshake(os.urandom(32), "impostor")
                other.receive_data(bytes(heard))
                peer.sendall(other.data_to_send())
                with suppress(OSError):
                    heard.extend(peer.recv(4096))

        thread = threading.Thread(target=listen_in)
        thread.start()
        with pytest.raises(RpcnbError, match="does not know this secret"):
            ask("tcp://{}:{}".format(*impostor.getsockname()))
        thread.join(PATIENCE)
    assert len(heard) == 72  # the hello and nothing more
