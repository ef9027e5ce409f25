"""Tests of `rpcnb.transport.ssh` without another machine; tests/endpoint/client/test_ssh.py has an sshd."""

from __future__ import annotations

import pytest

from rpcnb.core.errors import AddressError, ConnectError, TransportError, TransportTimeout
from rpcnb.transport import connect, listen
from rpcnb.transport.address import Address, parse_address
from rpcnb.transport.ssh import LONGEST_ANSWER, Answer, _answer_in, _remote_command, _shown


@pytest.fixture
def script(tmp_path, monkeypatch):
    """Give a function that puts a program of our own in the place of ssh."""

    def put(text: str) -> None:
        path = tmp_path / "ssh"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        monkeypatch.setenv("RPCNB_SSH", str(path))

    return put


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("ssh://lab", Address("ssh", "lab")),
        ("ssh://me@lab:22", Address("ssh", "me@lab", 22)),
        ("ssh://me@lab?serve=a.py", Address("ssh", "me@lab", query="serve=a.py")),
    ],
)
def test_an_address_is_read_and_written_back(url, address):
    assert parse_address(url) == address
    assert str(address) == url


@pytest.mark.parametrize(
    "url",
    [
        "ssh://",
        "ssh://-oProxyCommand=evil",
        "ssh://me@-oProxyCommand=evil",
        "ssh://-oProxyCommand=evil@lab",
        "ssh://a b@lab",
        "ssh://me@lab/path",
        "ssh://me@lab;evil",
        "ssh://$(evil)@lab",
    ],
)
def test_what_ssh_or_a_shell_could_take_for_something_else_is_refused(url):
    with pytest.raises(AddressError, match="ssh://user@lab"):
        parse_address(url)


def test_the_command_over_there_is_quoted():
    assert _remote_command(parse_address("ssh://lab")) == "exec rpcnb find --start"
    address = parse_address("ssh://lab?command=/a b/rpcnb&serve=x.py;rm -rf ~")
    assert _remote_command(address) == "exec '/a b/rpcnb' find --start 'x.py;rm -rf ~'"


def test_unknown_options_are_refused():
    with pytest.raises(AddressError, match="unknown option 'proxy'"):
        connect("ssh://lab?proxy=x", 1.0)


def test_nobody_listens_at_an_ssh_address():
    with pytest.raises(AddressError, match="rpcnb serve"):
        listen("ssh://lab")


def test_an_answer_is_one_line_among_others():
    line = b'{"rpcnb": {"socket": "/run/s.sock", "token": "t"}}'
    assert _answer_in(line) == Answer("/run/s.sock", "t")
    assert "'t'" not in repr(_answer_in(line))


@pytest.mark.parametrize(
    "line",
    [
        b"Welcome!",
        b'{"rpcnb":',
        b'{"rpcnb": []}',
        b'{"rpcnb": {"socket": 1, "token": "t"}}',
        b'{"rpcnb": {"socket": "relative", "token": "t"}}',
    ],
)
def test_other_lines_are_none(line):
    assert _answer_in(line) is None


def test_a_path_cannot_add_options_to_ssh():
    with pytest.raises(TransportError, match="cannot be forwarded"):
        _answer_in(b'{"rpcnb": {"socket": "/a:/b", "token": "t"}}')


def test_what_a_program_said_cannot_draw_on_the_terminal():
    assert _shown(b"one\n\x1b[2Jtwo\xff\n") == "one / \\x1b[2Jtwo�"


def test_a_missing_ssh_is_named(monkeypatch):
    monkeypatch.setenv("RPCNB_SSH", "/no/such/ssh")
    with pytest.raises(ConnectError, match="is OpenSSH installed"):
        connect("ssh://lab", 1.0)


def test_an_ssh_that_says_nothing_is_given_up_in_time(script):
    script("exec sleep 30")
    with pytest.raises(TransportTimeout, match="no answer from ssh://lab in time"):
        connect("ssh://lab", 0.2)


def test_a_flood_is_not_read_to_its_end(script):
    script("yes xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")
    with pytest.raises(ConnectError, match="says a lot"):
        connect("ssh://lab", 10.0)
    assert LONGEST_ANSWER < 1 << 20


def test_a_forwarding_that_fails_is_an_error(script):
    script(
        'case "$*" in *forward*) echo "no such socket" >&2; exit 1;; esac\n'
        """echo '{"rpcnb": {"socket": "/x", "token": "t"}}'; exec cat"""
    )
    with pytest.raises(ConnectError, match="forwards nothing: no such socket"):
        connect("ssh://lab", 5.0)
