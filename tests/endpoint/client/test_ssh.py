"""Tests of `rpcnb.endpoint.client.ssh`: over a real sshd, as the user who runs the tests."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest

import rpcnb
from rpcnb.cli import main
from rpcnb.core.errors import ConnectError, RpcnbError
from rpcnb.endpoint.credentials import running_servers
from rpcnb.testing.sshd import Sshd
from rpcnb.transport import ssh
from rpcnb.transport.address import parse_address

ROOT = Path(rpcnb.__file__).parent.parent


@pytest.fixture(scope="module")
def sshd(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch, Sshd(tmp_path_factory.mktemp("ssh")) as sshd:
        patch.setenv("RPCNB_SSH", sshd.command)
        patch.setenv("RPCNB_RUNTIME_DIR", str(sshd.folder))
        yield sshd
        ssh.close_tunnels()


@pytest.fixture(scope="module")
def program(sshd):
    """Give the command over there: that of this environment, from this checkout."""
    program = sshd.folder / "rpcnb-there"
    program.write_text(
        f'#!/bin/sh\ncd {shlex.quote(str(ROOT))}\nexec {shlex.quote(sys.executable)} -m rpcnb "$@"\n'
    )
    program.chmod(0o755)
    return program


@pytest.fixture(autouse=True)
def no_servers_left(sshd):
    yield
    ssh.close_tunnels()
    for _, info in running_servers():
        os.kill(info.pid, signal.SIGTERM)
        psutil.Process(info.pid).wait(15.0)


def test_a_server_is_started_over_there_and_found_the_next_time(sshd, program, tmp_path) -> None:
    (tmp_path / "lab.py").write_text(
        "import rpcnb\n@rpcnb.register('lab.double')\ndef double(a): return a * 2\n"
    )
    url = f"ssh://lab?command={program}&serve={tmp_path / 'lab.py'}"
    with rpcnb.connect(url, timeout=40.0) as remote:
        assert remote.get_function("lab.double")(21) == 42
        data = np.random.default_rng(1).random(1_000_000)
        np.testing.assert_array_equal(remote.array(data).to_numpy(), data)
        (first,) = [info for _, info in running_servers()]
        assert first.url.startswith("unix://")
        with rpcnb.connect(url) as second:  # by the same ssh
            assert second.get_function("lab.double")(1) == 2
        assert first.token not in repr(remote) + repr(remote.session) + remote.url
    ssh.close_tunnels()
    with rpcnb.connect(url, timeout=40.0) as remote:
        assert [info for _, info in running_servers()] == [first]


def test_a_server_that_runs_is_found_by_its_unix_socket(sshd, program) -> None:
    with rpcnb.Server(name="mine", in_process=True) as server:
        with rpcnb.connect(f"ssh://lab?command={program}", timeout=40.0) as remote:
            assert remote.session.agreement.server_name == "mine"
            assert remote.session._connection.transport.is_private
        assert server.url.startswith("tcp://127.0.0.1")


def test_nothing_of_the_secret_is_in_a_command_line(sshd, program) -> None:
    with (
        rpcnb.Server(in_process=True) as server,
        rpcnb.connect(f"ssh://lab?command={program}", timeout=40.0),
    ):
        lines = [p.info["cmdline"] or [] for p in psutil.process_iter(["cmdline"])]
        assert any("ControlPersist=no" in word for line in lines for word in line)
        assert not any(server.token in word for line in lines for word in line)


def test_an_ssh_that_ended_is_started_anew(sshd, program) -> None:
    address = parse_address(f"ssh://lab?command={program}")
    with rpcnb.Server(in_process=True):
        first = ssh.tunnel_to(address, 40.0)
        first._process.kill()
        first._process.wait(10.0)
        with rpcnb.connect(str(address), timeout=40.0) as remote:
            assert remote.ping() > 0
        assert ssh.tunnel_to(address, 1.0) is not first
        assert not first._folder.exists()


def test_the_tunnel_lies_where_nobody_else_gets(sshd, program) -> None:
    with rpcnb.Server(in_process=True):
        tunnel = ssh.tunnel_to(parse_address(f"ssh://lab?command={program}"), 40.0)
        assert tunnel._folder.stat().st_mode & 0o777 == 0o700
        assert (tunnel._folder / "s").stat().st_mode & 0o777 == 0o600


def test_without_rpcnb_over_there_the_error_says_what_to_do(sshd) -> None:
    with pytest.raises(ConnectError, match=r"no rpcnb at lab \(.*\); install it there"):
        rpcnb.connect("ssh://lab?command=/no/such/rpcnb", timeout=40.0)


def test_who_is_not_let_in_is_told_what_ssh_said(sshd, monkeypatch) -> None:
    monkeypatch.setenv("RPCNB_SSH", f"{sshd.command} -o IdentityFile=/dev/null")
    config = (sshd.folder / "client").read_text()
    other = sshd.folder / "other"
    other.write_text(
        config.replace(f"IdentityFile {sshd.folder}/user_key", "IdentityFile /dev/null")
    )
    monkeypatch.setenv("RPCNB_SSH", f"ssh -F {other}")
    with pytest.raises(ConnectError, match=r"Permission denied.*key or an agent.*ssh lab true"):
        rpcnb.connect("ssh://lab", timeout=40.0)


def test_an_unknown_host_key_is_refused(sshd, monkeypatch) -> None:
    config = (sshd.folder / "client").read_text()
    (sshd.folder / "no_hosts").touch()
    stranger = sshd.folder / "stranger"
    stranger.write_text(config.replace("/known_hosts", "/no_hosts"))
    monkeypatch.setenv("RPCNB_SSH", f"ssh -F {stranger}")
    with pytest.raises(ConnectError, match="Host key verification failed"):
        rpcnb.connect("ssh://lab", timeout=40.0)


def test_find_alone_starts_nothing(sshd, capsys) -> None:
    assert main(["find"]) == 1
    assert "no server of yours runs here" in capsys.readouterr().err


def test_a_server_that_cannot_start_says_why(sshd, program) -> None:
    with pytest.raises(RpcnbError, match=r"ssh did not get through.*no_such_lab\.py"):
        rpcnb.connect(f"ssh://lab?command={program}&serve=/no_such_lab.py", timeout=40.0)
