from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from rpcnb.core.errors import AddressError
from rpcnb.transport.address import EXAMPLES, Address, parse_address

HOSTS = st.from_regex(r"[A-Za-z0-9._-]{1,30}", fullmatch=True)
PORTS = st.integers(0, 65535)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tcp://127.0.0.1:4000", Address("tcp", "127.0.0.1", 4000)),
        ("tcp://[::1]:4000", Address("tcp", "::1", 4000)),
        ("tcp://[fe80::1%eth0]:1", Address("tcp", "fe80::1%eth0", 1)),
        ("unix:///tmp/a b?c.sock", Address("unix", path="/tmp/a b?c.sock")),
        ("memory://name", Address("memory", "name")),
        ("memory://", Address("memory")),
        ("mine+x://h:1/p/q?a=b&c", Address("mine+x", "h", 1, "/p/q", "a=b&c")),
        ("mine://", Address("mine")),
    ],
)
def test_parts_are_found_and_written_back(text, expected):
    assert parse_address(text) == expected
    assert str(expected) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "127.0.0.1:4000",
        "TCP://a:1",
        "://a:1",
        "tcp://",
        "tcp://:4000",
        "tcp://a",
        "tcp://a:",
        "tcp://a:b",
        "tcp://a:-1",
        "tcp://a:65536",
        "tcp://a:١",  # noqa: RUF001 a digit, but not of a port
        "tcp://a:1/path",
        "tcp://a:1?query",
        "tcp://::1:4000",
        "tcp://[::1",
        "tcp://[::1]4000",
        "tcp://[]:4000",
        "tcp://user@a:1",
        "tcp://a b:1",
        "tcp://a\n:1",
        "unix://relative",
        "unix://",
        "unix:///",
        "unix:///folder/",
        "unix:///a\0b",
        "memory://name:1",
        "memory://name/path",
        "memory://name?query",
    ],
)
def test_what_cannot_be_read_is_shown_with_an_example(text):
    with pytest.raises(
        AddressError, match=r"cannot read the address .*; for example .*://"
    ) as info:
        parse_address(text)
    assert repr(text) in str(info.value)


@pytest.mark.parametrize("scheme", EXAMPLES)
def test_examples_are_correct(scheme):
    assert parse_address(EXAMPLES[scheme]).scheme == scheme


@given(host=HOSTS, port=PORTS)
def test_tcp_round_trip(host, port):
    assert parse_address(f"tcp://{host}:{port}") == Address("tcp", host, port)


@given(path=TEXT.filter(lambda text: not text.endswith("/")))
def test_unix_paths_are_taken_as_they_are(path):
    if path:
        address = parse_address(f"unix:///{path}")
        assert address.path == f"/{path}"
        assert str(address) == f"unix:///{path}"


@given(text=st.text(max_size=40) | st.builds("tcp://{}".format, st.text(max_size=40)))
def test_any_text_is_an_address_or_an_address_error(text):
    try:
        address = parse_address(text)
    except AddressError:
        return
    assert parse_address(str(address)) == address
