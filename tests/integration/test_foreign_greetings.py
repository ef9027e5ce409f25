"""200 greetings of other protocols at each kind of port: it closes at once, and says nothing.

"At once": before the time that a stranger has for a proof, which is twice as long as is waited here.
"""

from __future__ import annotations

import socket
import ssl
import sys
from contextlib import suppress
from pathlib import Path

from rpcnb.core.limits import DEFAULT_LIMITS
from rpcnb.transport.address import parse_address

sys.path.insert(0, str(Path(__file__).parent))
from foreign import GREETINGS, MAGIC  # beside this file, which is no package

PATIENCE = DEFAULT_LIMITS.preauth_seconds / 2
ALERT = 7
"""Bytes with which OpenSSL says that a version of TLS is too old, and nothing else."""


def test_there_are_200_and_none_is_ours() -> None:
    assert len(GREETINGS) == len(set(GREETINGS.values())) == 200
    assert not any(hello.startswith(MAGIC) for hello in GREETINGS.values())


def answer_to(sock: socket.socket, hello: bytes) -> bytes:
    """Return what is said to somebody who stays, until the other side closes.

    Raises
    ------
    TimeoutError
        It does not.
    """
    said = bytearray()
    with sock, suppress(ConnectionError, ssl.SSLError):
        sock.settimeout(PATIENCE)
        sock.sendall(hello)
        while part := sock.recv(4096):
            said += part
    return bytes(said)


def told(call, greetings=GREETINGS) -> dict[str, bytes]:
    """Return what was said to those to whom something was said."""
    answers = {name: answer_to(call(), hello) for name, hello in greetings.items()}
    return {name: said for name, said in answers.items() if said}


def calling_tcp(port: int):
    def call() -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else 40 ms for each by TLS
        return sock

    return call


def test_a_port_of_this_machine_says_nothing(server) -> None:
    with server.connect() as session:
        assert told(calling_tcp(parse_address(server.url).port)) == {}
        assert session.ping() >= 0


def test_a_unix_socket_says_nothing(start_server, tmp_path) -> None:
    path = tmp_path / "private" / "s"

    def call() -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(PATIENCE)
        sock.connect(str(path))
        return sock

    with start_server(url=f"unix://{path}") as server, server.connect() as session:
        assert told(call) == {}
        assert session.ping() >= 0


def test_a_port_beyond_this_machine_says_at_most_which_tls_it_speaks(start_server) -> None:
    with start_server(host="0.0.0.0") as server, server.connect() as session:
        plain = calling_tcp(parse_address(server.url).port)
        foreign = {n: hello for n, hello in GREETINGS.items() if not n.startswith("TLS 1.3")}
        assert len(foreign) == 192  # the others are answered as TLS 1.3 says, with no word of ours
        answers = told(plain, foreign)
        assert set(answers) == {n for n in foreign if n.startswith(("TLS 1.2", "SSL 3"))}
        assert {(said[:3], len(said)) for said in answers.values()} == {(b"\x15\x03\x03", ALERT)}

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        assert told(lambda: context.wrap_socket(plain())) == {}
        assert session.ping() >= 0


def test_the_door_for_tvm_clients_says_nothing(command, tmp_path) -> None:
    options = ("--allow-module", "math", "--port", "0", "--tvm-port", "0")
    with command(tmp_path, "serve", *options) as serving:
        said = [serving.line() for _ in range(3)]
        assert "serving TVM clients" in said[2]
        assert told(calling_tcp(int(said[2].rpartition(":")[2]))) == {}
