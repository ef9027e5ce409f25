from __future__ import annotations

import pytest

from rpcnb.core.answers import expect
from rpcnb.core.errors import RemoteProtocolError


def test_what_was_asked_for_is_passed_on() -> None:
    assert expect(5, int, "a number") == 5


@pytest.mark.parametrize("value", [None, "5", 5.0])
def test_anything_else_is_the_servers_mistake(value) -> None:
    with pytest.raises(RemoteProtocolError, match=r"answered with a .* where a number was asked"):
        expect(value, int, "a number")
