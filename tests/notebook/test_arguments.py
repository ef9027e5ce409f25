from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rpcnb.core.errors import SessionError
from rpcnb.notebook.arguments import find_remote, parse
from rpcnb.notebook.magics import RemoteMagics

if TYPE_CHECKING:
    from conftest import Shell

    import rpcnb


def test_a_comment_may_follow_the_arguments() -> None:
    assert parse(RemoteMagics.connect_remote, "h:1 --as x  # a comment").variable == "x"
    assert parse(RemoteMagics.connect_remote, "h:1#2").url == "h:1#2"


def test_what_has_spaces_is_quoted() -> None:
    args = parse(RemoteMagics.connect_remote, "h:1 --name \"my lab\" --token-file 'a b'")
    assert (args.name, args.token_file) == ("my lab", "a b")


def test_what_cannot_be_meant_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="unrecognized arguments: two; see  %remotes --help"):
        parse(RemoteMagics.remotes, "two")


def test_a_session_is_found_by_variable_then_by_name(remote: rpcnb.Remote) -> None:
    assert find_remote({"x": remote}, "x") is remote
    assert find_remote({}, remote.name) is remote
    assert find_remote({}, None) is remote
    with pytest.raises(SessionError, match="no session 'x'"):
        find_remote({"x": 1}, "x")


@pytest.mark.parametrize(
    "name",
    [
        "connect_remote",
        "disconnect_remote",
        "remotes",
        "remote_handles",
        "remote_calls",
        "remote_panel",
        "remote_cells",
        "remote_mode",
    ],
)
def test_every_magic_says_how_it_is_used(shell: Shell, name: str) -> None:
    printed = shell.run(f"%{name} --help").stdout
    assert f"%{name}" in printed
    assert shell.run("%%remote --help\n1").stdout.strip().startswith("%remote [--in")
