from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from IPython.utils.capture import capture_output

import rpcnb
from rpcnb.endpoint.client.connect import open_session
from rpcnb.remote.client import Remote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Shell

    from rpcnb.endpoint.serving.server import Server

BAD = "bad = remote.xp.asarray([1, 2]) ** remote.xp.asarray([1, -1])"


@pytest.fixture
def connected(shell: Shell, server: Server) -> Iterator[Shell]:
    remote = Remote(open_session(server.url, token=server.token), name="cells")
    rpcnb.manager.add(remote)
    shell.shell.user_ns["remote"] = remote
    yield shell
    remote.close()


def shown(shell: Shell, cell: str) -> str:
    """Run a cell that itself does not fail; return what stands under it."""
    with capture_output() as captured:
        result = shell.shell.run_cell(cell, store_history=True)
    assert result.success
    return captured.stdout + captured.stderr


def test_an_error_that_nobody_waited_for_stands_under_its_cell(connected: Shell) -> None:
    text = shown(connected, BAD)
    assert "negative integer powers" in text
    assert "sent without waiting at" in text
    assert "negative" not in shown(connected, "1 + 1")
    assert "negative integer powers" in connected.fail("bad + 1")


def test_a_cell_ends_with_what_it_sent(connected: Shell) -> None:
    shown(connected, "for _ in range(50): remote.ones(3) + 1")
    assert not connected["remote"].arrays.pipeline.in_flight


def test_unloading_takes_the_hook_back(connected: Shell) -> None:
    connected.run("%unload_ext rpcnb")
    assert "negative" not in shown(connected, BAD)
    assert "negative" in shown(connected, "%load_ext rpcnb")
