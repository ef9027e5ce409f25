from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

import rpcnb
from rpcnb.cli import main
from rpcnb.cli.servers import duration, how_to_connect, short_address
from rpcnb.core.errors import AuthenticationError, HandshakeError, RpcnbError
from rpcnb.endpoint.client.connect import ask_status
from rpcnb.endpoint.credentials import (
    ConnectionFile,
    new_token,
    read_connection_file,
    write_connection_file,
)
from rpcnb.session.functions import FunctionRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def server(environment: dict[str, str]) -> Iterator[rpcnb.Server]:
    """Serve nothing, in a thread of this process."""
    with rpcnb.Server(name="mine", registry=FunctionRegistry(), in_process=True) as server:
        yield server


def test_status_without_servers_says_how_to_start_one(
    environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status"]) == 0
    assert "rpcnb serve FILE.py" in capsys.readouterr().out


def test_status_lists_servers_with_their_sessions(
    server: rpcnb.Server, capsys: pytest.CaptureFixture[str]
) -> None:
    with rpcnb.connect(server.url.removeprefix("tcp://")):
        assert main(["status"]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["ADDRESS", "NAME", "PID", "SESSIONS", "UPTIME"]
    assert row.split()[:2] == [short_address(server.url), "mine"]
    assert row.split()[3] == "1"


def test_status_shows_a_server_that_does_not_answer_beside_the_others(
    server: rpcnb.Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert server.connection_file is not None
    alive = read_connection_file(server.connection_file)
    write_connection_file(ConnectionFile("tcp://127.0.0.1:1", new_token(), alive.pid, "gone"))
    assert main(["status"]) == 0
    rows = capsys.readouterr().out.splitlines()[1:]
    assert sorted("no answer" in row for row in rows) == [False, True]


def test_token_shows_line_and_secret(
    server: rpcnb.Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["token"]) == 0
    out = capsys.readouterr().out
    assert f"%connect_remote {short_address(server.url)}" in out
    assert server.token in out


def test_a_server_may_be_named_by_port_or_file(
    server: rpcnb.Server, capsys: pytest.CaptureFixture[str]
) -> None:
    port = server.url.rpartition(":")[2]
    assert main(["token", "--port", port]) == 0
    assert main(["token", str(server.connection_file)]) == 0
    assert capsys.readouterr().out.count(server.token) == 2


def test_several_servers_are_not_guessed_between(
    server: rpcnb.Server, capsys: pytest.CaptureFixture[str]
) -> None:
    with rpcnb.Server(registry=FunctionRegistry(), in_process=True):
        assert main(["stop"]) == 2
    assert "choose one with --port" in capsys.readouterr().err


def test_stop_spares_a_process_that_does_other_things(
    server: rpcnb.Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["stop"]) == 1
    assert "close it there" in capsys.readouterr().err


def test_stop_spares_a_process_that_has_another_s_address(
    server: rpcnb.Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = ConnectionFile(server.url, server.token, pid=1, dedicated=True)
    path = write_connection_file(old, tmp_path / "old.json")
    assert main(["stop", str(path)]) == 1
    assert "no longer serves" in capsys.readouterr().err


def test_a_wrong_token_says_where_the_right_one_is(
    server: rpcnb.Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = ConnectionFile(server.url, new_token(), pid=1, dedicated=True)
    path = write_connection_file(wrong, tmp_path / "wrong.json")
    assert main(["stop", str(path)]) == 1
    error = capsys.readouterr().err
    assert "rpcnb token" in error
    assert wrong.token not in error


def test_a_file_that_is_no_connection_file_ends_with_2(
    environment: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.json"
    path.write_text("[]")
    assert main(["token", str(path)]) == 2
    assert "is no connection file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (42, "42 s"),
        (119, "119 s"),
        (180, "3.0 min"),
        (7200, "2.0 h"),
        (10**6, "11.6 d"),
    ],
)
def test_durations_read_well(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_rotated_token_replaces_the_old_one_everywhere(
    server: rpcnb.Server, capsys: pytest.CaptureFixture[str]
) -> None:
    old, link = server.token, server.share("executor")
    session = rpcnb.connect(server.url, old)
    assert main(["token", "rotate"]) == 0
    assert server.token != old
    assert server.token in capsys.readouterr().out
    with pytest.raises(RpcnbError, match=r"server is stopping|was lost|closed"):
        session.ping()
    for worthless in (old, link.partition("#")[2]):
        with pytest.raises(AuthenticationError):
            rpcnb.connect(server.url, worthless)
    with rpcnb.connect(short_address(server.url)) as found:
        assert found.ping() > 0
    session.close()


def test_sessions_may_outlive_their_token(
    server: rpcnb.Server, capsys: pytest.CaptureFixture[str]
) -> None:
    port = server.url.rpartition(":")[2]
    with rpcnb.connect(server.url, server.token) as session:
        assert main(["token", "rotate", "--keep-sessions", "--port", port]) == 0
        assert session.ping() > 0


def test_the_token_of_sessions_rotates_nothing(server: rpcnb.Server) -> None:
    for token in (server.token, server.share("exec").partition("#")[2]):
        with pytest.raises(HandshakeError, match="takes the key that administers"):
            ask_status(server.url, token, command="rotate")
    assert server.connection_file is not None
    admin = read_connection_file(server.connection_file).admin
    with pytest.raises(HandshakeError, match="opens no session"):
        rpcnb.connect(server.url, admin)


def test_beyond_this_machine_one_line_is_all_there_is_to_paste() -> None:
    url = f"tls://0.0.0.0:9090?fingerprint={'f' * 52}"
    line = how_to_connect(url, f"keyid.secret.{'f' * 52}")
    host = os.uname().nodename
    assert line.endswith(f"%connect_remote rpcnb://{host}:9090/#keyid.secret.{'f' * 52}")
    assert short_address(url) == "0.0.0.0:9090"
