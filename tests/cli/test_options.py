from __future__ import annotations

from argparse import ArgumentTypeError

import pytest
from hypothesis import given, strategies as st

from rpcnb.cli.options import port_number


@given(st.integers(0, 65535))
def test_every_port_is_read(port: int) -> None:
    assert port_number(str(port)) == port


@pytest.mark.parametrize("text", ["", "-1", "65536", "9090x", " 80", "٣", "1.5"])
def test_what_is_no_port_is_refused(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match="is no TCP port"):
        port_number(text)
