"""What several commands' options have in common."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError


def port_number(text: str) -> int:
    """Read a TCP port; the type of an option."""
    if not (text.isascii() and text.isdigit() and int(text) < 1 << 16):
        raise ArgumentTypeError(f"{text!r} is no TCP port: 0 to 65535")
    return int(text)


def seconds(text: str) -> float:
    """Read a length of time; the type of an option."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e9:  # neither negative, nor endless, nor no number
        raise ArgumentTypeError(f"{text!r} is no number of seconds")
    return value


def host_and_port(text: str) -> tuple[str, int]:
    """Read ``host:port``, with brackets around an IPv6 address; the type of an option."""
    host, separator, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (separator and host):
        raise ArgumentTypeError(f"{text!r} is no HOST:PORT")
    return host, port_number(port)


def size(text: str) -> int:
    """Read a size such as ``512M`` or ``16G``, in bytes; the type of an option."""
    match = re.fullmatch(r"(\d{1,6})([KMGT])", text.upper().removesuffix("B").removesuffix("I"))
    if match is None:
        raise ArgumentTypeError(f"{text!r} is no size: write 512M or 16G")
    return int(match[1]) << 10 * ("KMGT".index(match[2]) + 1)
