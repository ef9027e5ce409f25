from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

from rpcnb.array import policy
from rpcnb.core.errors import ImplicitTransferError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rpcnb.remote.client import Remote


@pytest.fixture
def setting() -> Iterator[None]:
    yield
    policy.set_implicit_transfers("forbid")


def test_the_default_forbids() -> None:
    with pytest.raises(ImplicitTransferError, match=r"somebody wants it .*; write this"):
        policy.permit(8, "somebody wants it", "write this")


def test_the_error_names_the_line_of_the_program(remote: Remote) -> None:
    array = remote.ones(3)
    with pytest.raises(ImplicitTransferError, match=r"24 B .*\(test_policy\.py:\d+\)") as caught:
        np.asarray(array)
    text = str(caught.value)
    for way in ("remote.call(", "to_numpy()", "copy_to(out)", "implicit_transfers('allow')"):
        assert way in text


def test_allow_moves_within_the_block_only(remote: Remote) -> None:
    array = remote.ones(3)
    with policy.implicit_transfers("allow"):
        np.testing.assert_array_equal(np.asarray(array), [1, 1, 1])
        np.testing.assert_array_equal((array + np.arange(3)).to_numpy(), [1, 2, 3])
    with pytest.raises(ImplicitTransferError):
        np.asarray(array)


def test_log_moves_and_says_so(remote: Remote, caplog: pytest.LogCaptureFixture) -> None:
    array = remote.ones(3)
    with caplog.at_level(logging.WARNING, "rpcnb.array"), policy.implicit_transfers("log"):
        np.asarray(array)
    assert "24 B" in caplog.text
    assert "test_policy.py" in caplog.text


@pytest.mark.parametrize("level", ["allow", "log"])
def test_the_limit_bounds_one_transfer(level: str) -> None:
    with policy.implicit_transfers(level, limit=100):
        policy.permit(100, "", "")
        with pytest.raises(ImplicitTransferError):
            policy.permit(101, "", "")


@pytest.mark.usefixtures("setting")
def test_the_setting_holds_for_all_threads() -> None:
    seen = []
    policy.set_implicit_transfers("allow", limit=5)
    thread = threading.Thread(target=lambda: seen.append(policy.current_policy()))
    thread.start()
    thread.join(10)
    assert seen == [policy.Policy("allow", 5)]


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match="forbid, log, allow"):
        policy.set_implicit_transfers("maybe")
