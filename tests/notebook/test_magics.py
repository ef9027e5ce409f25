from __future__ import annotations

import getpass
import stat
from typing import TYPE_CHECKING

import pytest
from IPython.core.error import StdinNotImplementedError

import rpcnb
from rpcnb.endpoint.credentials import new_token, remembered_tokens, runtime_folder

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Shell


def html_of(captured: object) -> str:
    return "".join(str(output.data.get("text/html", "")) for output in captured.outputs)


def test_connecting_binds_remote_and_shows_it(shell: Shell, address: str) -> None:
    shown = shell.run(f"%connect_remote {address}")
    assert isinstance(shell["remote"], rpcnb.Remote)
    assert f"{address}" in html_of(shown)
    assert "● live" in html_of(shown)


def test_another_name_is_bound_and_names_the_session(shell: Shell, address: str) -> None:
    shell.run(f"%connect_remote {address} --as bench")
    assert "bench" in rpcnb.manager.sessions
    assert rpcnb.manager.sessions["bench"] is shell["bench"]
    assert "remote" not in shell.shell.user_ns


def test_running_the_cell_again_keeps_the_connection(shell: Shell, address: str) -> None:
    shell.run(f"%connect_remote {address}")
    first = shell["remote"]
    shell.run("a = remote.zeros(3)")
    shell.run(f"%connect_remote {address}")
    assert shell["remote"] is first
    assert len(rpcnb.manager.sessions) == 1


def test_running_the_cell_again_replaces_what_was_closed(shell: Shell, address: str) -> None:
    shell.run(f"%connect_remote {address}")
    first = shell["remote"]
    first.close()
    shell.run(f"%connect_remote {address}")
    assert shell["remote"] is not first
    assert not shell["remote"].closed


def test_a_comment_may_follow(shell: Shell, address: str) -> None:
    shell.run(f"%connect_remote {address}   # binds `remote`")
    assert len(shell.run("%remotes # the session table").outputs) == 1


def test_a_connection_file_is_an_address(shell: Shell, server: rpcnb.Server) -> None:
    shell.run(f"%connect_remote {server.connection_file}")
    assert shell["remote"].get_function("lab.add")(1) == 2


def test_nobody_there_is_one_message(shell: Shell, folders: None) -> None:
    text = shell.fail("%connect_remote 127.0.0.1:1")
    assert text.startswith("ConnectError: ")
    assert "Traceback" not in text
    assert "rpcnb serve" in text


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("%connect_remote nonsense", "AddressError: 'nonsense' is no address"),
        ("%connect_remote 127.0.0.1:1 --as 3x", "'3x' cannot be the name of a variable"),
        ("%connect_remote", "the following arguments are required: url"),
        ("%connect_remote h:1 --token-file nowhere", "FileNotFoundError"),
        ("%disconnect_remote", "no session is open"),
        ("%disconnect_remote lab", "no session 'lab'"),
        ("%remotes lab", "unrecognized arguments: lab"),
    ],
)
def test_what_cannot_be_done_is_said_without_our_traceback(
    shell: Shell, line: str, told: str
) -> None:
    text = shell.fail(line)
    assert told in text
    assert "rpcnb/notebook" not in text


class Stranger:
    """A server whose secret this user does not have."""

    def __init__(self, server: rpcnb.Server) -> None:
        assert server.connection_file is not None
        server.connection_file.unlink()
        self.server = server
        self.address = server.url.removeprefix("tcp://")


@pytest.fixture
def stranger(server: rpcnb.Server) -> Stranger:
    return Stranger(server)


def test_an_unknown_secret_is_asked_for_once_and_kept_private(
    shell: Shell, stranger: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def answer(prompt: str) -> str:  # what a front end does with the hidden prompt
        asked.append(prompt)
        return stranger.server.token

    monkeypatch.setattr(getpass, "getpass", answer)
    shell.run(f"%connect_remote {stranger.address}")
    shell.run("remote.close()")
    shown = shell.run(f"%connect_remote {stranger.address}")
    assert len(asked) == 1
    assert remembered_tokens() == {stranger.server.url: stranger.server.token}
    assert stat.S_IMODE((runtime_folder() / "tokens.json").stat().st_mode) == 0o600
    assert stranger.server.token not in html_of(shown) + shown.stdout


def test_a_secret_in_a_cell_is_pointed_out_and_can_be_remembered(
    shell: Shell, stranger: Stranger
) -> None:
    link = stranger.server.share("executor").partition("#")[2]
    shown = shell.run(f"%connect_remote {stranger.address}#{link}")
    assert f"remote.remember() once, and write  %connect_remote {stranger.address}" in shown.stdout
    assert link.split(".")[1] not in html_of(shown) + shown.stdout
    shell.run("address = remote.remember(); remote.close()")
    assert shell["address"] == stranger.address
    again = shell.run(f"%connect_remote {stranger.address}")
    assert "secret" not in again.stdout
    assert shell["remote"].get_function("lab.add")(1) == 2


def test_the_whole_line_may_be_pasted_where_the_token_is_asked_for(
    shell: Shell, stranger: Stranger, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = f"%connect_remote {stranger.address}/#{stranger.server.token}"
    monkeypatch.setattr(getpass, "getpass", lambda prompt: line)
    shell.run(f"%connect_remote {stranger.address}")
    assert shell["remote"].get_function("lab.add")(1) == 2


@pytest.mark.parametrize(
    "answer", ["", "wrong", new_token(), EOFError(), StdinNotImplementedError()]
)
def test_a_secret_nobody_knows_is_an_error_and_not_kept(
    shell: Shell, stranger: Stranger, monkeypatch: pytest.MonkeyPatch, answer: object
) -> None:
    def reply(prompt: str) -> object:
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(getpass, "getpass", reply)
    text = shell.fail(f"%connect_remote {stranger.address}")
    assert "AuthenticationError: " in text
    assert remembered_tokens() == {}


def test_a_secret_is_read_from_a_file(shell: Shell, stranger: Stranger, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(f"{stranger.server.token}\n")
    shell.run(f"%connect_remote {stranger.address} --token-file {path}")
    assert shell["remote"].get_function("lab.add")(1) == 2
    path.write_text(new_token())
    text = shell.fail(f"%connect_remote {stranger.address} --as other --token-file {path}")
    assert "AuthenticationError" in text


def test_sessions_are_listed_and_closed(shell: Shell, address: str) -> None:
    shell.run(f"%connect_remote {address}")
    shell.run(f"%connect_remote {address} --as second")
    page = html_of(shell.run("%remotes"))
    assert page.count("● live") + page.count(">live<") == 2
    assert "second" in page
    assert "disconnected from lab" in shell.run("%disconnect_remote").stdout
    assert list(rpcnb.manager.sessions) == ["second"]
    shell.run("%disconnect_remote --all")
    assert rpcnb.manager.sessions == {}


def test_a_session_is_found_by_name_or_variable(shell: Shell, address: str) -> None:
    shell.run(f"%connect_remote {address} --as one --name first")
    shell.run(f"%connect_remote {address} --as two --name second")
    assert "disconnected from first" in shell.run("%disconnect_remote first").stdout
    assert "disconnected from second" in shell.run("%disconnect_remote two").stdout


def test_handles_are_listed(shell: Shell, address: str) -> None:
    shell.run(f"%connect_remote {address}\na = remote.fn.make(4)")
    page = html_of(shell.run("%remote_handles"))
    assert "[4, 3] on cpu:0" in page
    assert page == html_of(shell.run("%remote_handles lab"))
