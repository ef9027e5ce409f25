"""What several commands' options have in common."""

from __future__ import annotations

from argparse import ArgumentTypeError


def port_number(text: str) -> int:
    """Read a TCP port; the type of an option."""
    if not (text.isascii() and text.isdigit() and int(text) < 1 << 16):
        raise ArgumentTypeError(f"{text!r} is no TCP port: 0 to 65535")
    return int(text)


def host_and_port(text: str) -> tuple[str, int]:
    """Read ``host:port``, with brackets around an IPv6 address; the type of an option."""
    host, separator, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (separator and host):
        raise ArgumentTypeError(f"{text!r} is no HOST:PORT")
    return host, port_number(port)
