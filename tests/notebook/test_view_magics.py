from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Shell


@pytest.fixture
def connected(shell: Shell, address: str) -> Shell:
    shell.run(f"%connect_remote {address}")
    return shell


def test_calls_are_recorded_from_the_first_look_on(connected: Shell) -> None:
    connected.run("remote.fn.lab.add(1);")
    (first,) = connected.run("%remote_calls").outputs
    assert "recorded from now on" in first.data["text/plain"]
    assert "fail" in connected.fail("remote.fn.fail()")
    (second,) = connected.run("%remote_calls lab").outputs
    assert "ValueError: no good" in second.data["text/plain"]
    assert "✕ raised" in second.data["text/html"]


def test_the_panel_is_a_static_summary_where_there_is_no_kernel(connected: Shell) -> None:
    (shown,) = connected.run("%remote_panel").outputs
    assert "as it was when this panel was opened" in shown.data["text/html"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("%remote_calls nowhere", "no session 'nowhere'"),
        ("%remote_panel nowhere", "no session 'nowhere'"),
        ("%remote_cells maybe", "invalid choice: 'maybe'"),
    ],
)
def test_what_cannot_be_done_is_said(connected: Shell, line: str, told: str) -> None:
    text = connected.fail(line)
    assert told in text
    assert "rpcnb/notebook" not in text
