from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import rpcnb
from rpcnb.array.synchrony import waits_for_each

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Shell


@pytest.fixture
def connected(shell: Shell, cell_server: Path) -> Iterator[Shell]:
    shell.run(f"%connect_remote {cell_server}")
    yield shell
    rpcnb.set_implicit_transfers("forbid")


def test_the_following_cells_run_there_until_it_is_off(connected: Shell) -> None:
    assert "cells run here" in connected.run("%remote_mode").stdout
    assert "cells run on lab" in connected.run("%remote_mode remote").stdout
    connected.run("only_there = 5")
    assert "only_there" not in connected.shell.user_ns
    shown = connected.run("only_there").outputs
    assert [output.data["text/plain"] for output in shown] == ["on lab", "5"]
    connected.run("%remote_mode off")
    assert "NameError" in connected.fail("only_there")
    assert connected.run("%%remote\nonly_there").outputs[0].data["text/plain"] == "5"


def test_magics_about_sessions_and_cell_magics_stay_here(connected: Shell) -> None:
    connected.run("%remote_mode lab")
    assert "live" in connected.run("%remotes").outputs[0].data["text/plain"]
    assert connected.run("%%capture x\nprint('here')").stdout == ""
    assert connected["x"].stdout == "here\n"
    assert connected.run(" \n").stdout == ""


@pytest.mark.parametrize("level", ["allow", "log", "forbid"])
def test_a_level_says_whether_data_may_move_unasked(connected: Shell, level: str) -> None:
    told = connected.run(f"%remote_mode {level}").stdout
    assert told.startswith(f"cells run here; data that would move unasked: {level};")


def test_array_operations_are_waited_for_or_sent_ahead(connected: Shell) -> None:
    assert connected.run("%remote_mode sync").stdout.endswith("waited for one by one\n")
    assert waits_for_each()
    assert connected.run("%remote_mode async").stdout.endswith("sent ahead\n")
    assert not waits_for_each()


def test_a_session_that_is_not_there_changes_nothing(connected: Shell) -> None:
    assert "no session 'nowhere'" in connected.fail("%remote_mode nowhere")
    assert "cells run here" in connected.run("%remote_mode").stdout


def test_unloading_lets_cells_run_here_again(connected: Shell) -> None:
    connected.run("%remote_mode lab")
    connected.run("%unload_ext rpcnb")
    connected.run("here = 1")
    assert connected["here"] == 1
    connected.run("%load_ext rpcnb")
