from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from IPython.core.completer import provisionalcompleter

import rpcnb

if TYPE_CHECKING:
    from conftest import Shell


@pytest.fixture
def connected(shell: Shell, address: str) -> Shell:
    shell.run(f"%connect_remote {address}")
    shell.run("kept = 1")
    return shell


def offered(shell: Shell, line: str) -> list[str]:
    with provisionalcompleter():
        return sorted(c.text for c in shell.shell.Completer.completions(line, len(line)))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("%disconnect_remote ", ["lab", "remote"]),
        ("%remote_handles l", ["lab"]),
        ("%remote_calls ", ["lab", "remote"]),
        ("%remote_panel r", ["remote"]),
        ("%remote_cells ", ["off", "on"]),
        ("%remote_mode ", ["allow", "async", "forbid", "lab", "log", "off", "remote", "sync"]),
        ("%%remote ", ["lab", "remote"]),
        ("%%remote lab --in ke", ["kept"]),
        ("%%remote --", ["--help", "--in", "--out", "--where"]),
        ("%connect_remote h:1 --t", ["--timeout", "--token-file", "--trust"]),
    ],
)
def test_what_may_follow_a_magic_is_offered(
    connected: Shell, line: str, expected: list[str]
) -> None:
    assert offered(connected, line) == expected


def test_addresses_seen_before_are_offered_whole_or_what_is_missing(
    connected: Shell, address: str
) -> None:
    assert offered(connected, "%connect_remote ") == sorted([address, "local:"])
    assert offered(connected, "%connect_remote 127.0.0.1:") == [address]


def test_what_follows_anything_else_is_left_to_others(connected: Shell) -> None:
    for line in ("kept.", "print(", "%remotes", "ke", "kept."):
        assert "lab" not in offered(connected, line)
    assert "kept" in offered(connected, "ke")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("remote.fn.", ["count_up", "evil", "fail", "lab", "make", "spin", "wait"]),
        ("x = [remote.fn.lab.a", ["add"]),
        ("remote.fn.nothing.", []),
        ("remote.xp.linalg.sv", ["svd", "svdvals"]),
        ("remote.random.default", ["default_rng"]),
        ("remote.get_function('lab.a", ["lab.add"]),
        ('remote.functions["mak', ["make"]),
    ],
)
def test_names_over_there_are_offered(connected: Shell, line: str, expected: list[str]) -> None:
    assert offered(connected, line) == expected


def test_a_path_is_completed_as_a_path(connected: Shell) -> None:
    assert "/etc/" in offered(connected, "%connect_remote h:1 --token-file /et")


def test_nothing_is_sent(connected: Shell) -> None:
    def frames() -> list[object]:
        remote = connected["remote"]
        assert isinstance(remote, rpcnb.Remote)
        figures = remote.session.statistics()
        return [figures["frames_sent"], figures["frames_received"]]

    before = frames()
    for line in (
        "%connect_remote ",
        "%%remote ",
        "%remote_mode ",
        "%remote_calls ",
        "remote.fn.lab.",
    ):
        offered(connected, line)
    assert frames() == before
