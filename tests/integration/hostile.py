"""A server that knows the secret and means harm, and how a user comes to it."""

from __future__ import annotations

import threading
from contextlib import suppress

import rpcnb
from rpcnb.core.deadline import Deadline
from rpcnb.core.errors import RpcnbError
from rpcnb.core.values import FunctionRef, Handle
from rpcnb.endpoint.client.connect import open_session
from rpcnb.endpoint.credentials import new_token, secret_of
from rpcnb.endpoint.greeting import exchange, send_due
from rpcnb.transport import listen
from rpcnb.wire import messages as m
from rpcnb.wire.frames import FIXED
from rpcnb.wire.handshake import Intent
from rpcnb.wire.server_handshake import ServerHandshake
from rpcnb.wire.v1 import WireV1

PATIENCE = 10.0
MEMORY = 32 << 20
TOKEN = new_token()


class Hostile:
    """A server that does what `script` says, for as many clients as come.

    The script is given this object once a client is in, and again for each.
    """

    def __init__(self, script, name: str = "hostile", refusal: str = "") -> None:
        self._script, self._name, self._refusal = script, name, refusal
        self._listener = listen("tcp://127.0.0.1:0")
        self.url = self._listener.url
        self.failures = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with suppress(RpcnbError):
            while True:
                with self._listener.accept() as transport:
                    try:
                        self._serve(transport)
                    except RpcnbError:
                        continue  # the client left, as it should
                    except Exception as error:  # noqa: BLE001 -- told to the test
                        self.failures.append(error)

    def _serve(self, transport) -> None:
        handshake = ServerHandshake(secret_of(TOKEN), self._name)
        exchange(transport, handshake, "proved", Deadline.after(PATIENCE))
        if self._refusal:
            handshake.refuse(self._refusal)
            send_due(transport, handshake)
            return
        is_new = handshake.request.intent is Intent.NEW
        handshake.accept(bytes(16), int(is_new), "" if is_new else '{"known": false}')
        send_due(transport, handshake)
        if not is_new:  # there is nothing to come back to
            return
        self.transport, self.protocol = transport, WireV1(m.Side.SERVER)
        self.inbox = []
        self._script(self)
        with suppress(RpcnbError):  # until the client goes
            while transport.receive_into(memoryview(bytearray(65536))):
                pass

    def hear(self, kind):
        """Return the next message of a kind."""
        while True:
            for message in self.inbox:
                if type(message) is kind:
                    self.inbox.remove(message)
                    return message
            count = self.transport.receive_into(self.protocol.receive_buffer())
            if not count:
                raise rpcnb.ConnectionClosed
            self.inbox += self.protocol.received(count)

    def say(self, *messages) -> None:
        for message in messages:
            self.transport.send(self.protocol.frame(self.protocol.prepare(message)))

    def shout(self, data: bytes) -> None:
        self.transport.send_one(data)

    def give_function(self) -> None:
        self.say(m.Return(self.hear(m.GetFunction).id, FunctionRef(Handle(1))))

    def answer(self, reply) -> None:
        """Say for each request what `reply` makes of it: messages, bytes, or None to hang up."""
        while True:
            count = self.transport.receive_into(self.protocol.receive_buffer())
            if not count:
                return
            for request in self.protocol.received(count):
                if not hasattr(request, "id") or type(request) in (m.Cancel, m.Pong, m.Ping):
                    continue
                for word in reply(request):
                    if word is None:
                        self.transport.abort()
                        return
                    (self.shout if type(word) is bytes else self.say)(word)

    def close(self) -> None:
        self._listener.close()
        self._thread.join(PATIENCE)
        assert self.failures == []


def frame(kind, content=b"", **lies) -> bytes:
    """Return the first frame of a server, with some numbers changed."""
    fixed = {
        "kind": int(kind),
        "flags": 0,
        "epoch": 1,
        "header": len(content),
        "id": 1,
        "sequence": 1,
        "ack": 0,
        "payload": 0,
    }
    return FIXED.pack(*(fixed | lies).values()) + content


def ask(url):
    """Call something, as a user does; return or raise what came."""
    with open_session(url, token=TOKEN, timeout=PATIENCE) as session:
        ref = session.get_function("f")
        return session.call_func(ref, ())
