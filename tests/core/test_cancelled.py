"""`RemoteCancelled` is what `concurrent.futures` raises, and what rpcnb raises."""

from __future__ import annotations

import concurrent.futures

import pytest

from rpcnb.core.cancelled import RemoteCancelled
from rpcnb.core.errors import RpcnbError


@pytest.mark.parametrize("base", [RpcnbError, concurrent.futures.CancelledError])
def test_handlers_of_both_libraries_catch_it(base: type[Exception]) -> None:
    with pytest.raises(base, match="was cancelled"):
        raise RemoteCancelled


def test_it_says_whether_the_other_side_has_confirmed_it() -> None:
    assert not RemoteCancelled().confirmed
    assert RemoteCancelled("stopped", confirmed=True).confirmed
