from __future__ import annotations

from argparse import ArgumentTypeError

import pytest
from hypothesis import given, strategies as st

from rpcnb.cli.options import host_and_port, port_number, seconds, size


@given(st.integers(0, 65535))
def test_every_port_is_read(port: int) -> None:
    assert port_number(str(port)) == port


@pytest.mark.parametrize("text", ["", "-1", "65536", "9090x", " 80", "٣", "1.5"])
def test_what_is_no_port_is_refused(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match="is no TCP port"):
        port_number(text)


@pytest.mark.parametrize(("text", "read"), [("host:1", ("host", 1)), ("[::1]:9190", ("::1", 9190))])
def test_a_host_and_its_port_are_read(text: str, read: tuple[str, int]) -> None:
    assert host_and_port(text) == read


@pytest.mark.parametrize("text", ["host", ":9190", "host:", "host:x", ""])
def test_what_is_no_host_and_port_is_refused(text: str) -> None:
    with pytest.raises(ArgumentTypeError):
        host_and_port(text)


@given(st.floats(0, 1e8))
def test_every_length_of_time_is_read(length: float) -> None:
    assert seconds(str(length)) == length


@pytest.mark.parametrize("text", ["", "-1", "nan", "inf", "1h"])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match="seconds"):
        seconds(text)


@pytest.mark.parametrize(
    ("text", "nbytes"), [("512M", 512 << 20), ("16g", 16 << 30), ("1TiB", 1 << 40), ("5kb", 5120)]
)
def test_sizes_are_read(text, nbytes):
    assert size(text) == nbytes


@pytest.mark.parametrize("text", ["", "16", "G", "-1G", "1.5G", "16X"])
def test_what_is_no_size_is_said(text):
    with pytest.raises(ArgumentTypeError, match="write 512M or 16G"):
        size(text)
