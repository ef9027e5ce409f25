"""Tests of `rpcnb.endpoint.serving.audit`: what is written, what never is, and what it survives."""

from __future__ import annotations

import json
import os
import stat
import threading

import pytest

from rpcnb.core.errors import AuthenticationError, PermissionDenied
from rpcnb.endpoint.client.connect import open_session
from rpcnb.endpoint.credentials import new_token, secret_of
from rpcnb.endpoint.serving.audit import KEPT, LONGEST_TEXT, MOST_REFUSALS, AuditLog, Notes
from rpcnb.endpoint.serving.server import Server
from rpcnb.endpoint.share_links import narrowed
from rpcnb.session.functions import FunctionRegistry


@pytest.fixture(autouse=True)
def runtime_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("RPCNB_RUNTIME_DIR", str(tmp_path / "run"))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "audit.log"


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def events(path, *names):
    return [line for line in lines(path) if line["event"] in names]


def served(path, *, in_process):
    registry = FunctionRegistry()
    registry.add("t.echo", lambda value: value)
    return Server(registry=registry, in_process=in_process, audit_log=path)


@pytest.mark.parametrize("in_process", [True, False])
def test_a_session_leaves_its_story_and_no_value(path, in_process) -> None:
    with served(path, in_process=in_process) as server:
        with open_session(server.url, token=server.token, name="mine") as session:
            echo = session.get_function("t.echo")
            for number in range(3):
                session.call_func(echo, (f"precious {number}",))
        with pytest.raises(AuthenticationError):
            open_session(server.url, token=new_token())
        link = narrowed(server.token, "role=inspector")
        with open_session(server.url, token=link) as session, pytest.raises(PermissionDenied):
            session.get_function("t.echo")
        secret = server.token
    told = [line["event"] for line in lines(path)]
    assert told[0] == "started"
    assert told[-1] == "stopped"
    started = events(path, "session started")
    assert [line["role"] for line in started] == ["exec", "inspector"]
    assert started[0]["name"] == "mine"
    assert [line["calls"] for line in events(path, "session counts")] == [3, 0]
    assert [line["refusals"] for line in events(path, "session counts")] == [0, 1]
    (refused,) = events(path, "session refused")
    assert refused["session"] == started[1]["session"]
    assert (refused["what"], refused["needed"]) == ("the function 't.echo'", "executor")
    assert len(events(path, "session ended")) == 2
    assert len(events(path, "not authenticated")) == 1
    connected = events(path, "connected")
    assert connected[-1]["caveats"] == "role=inspector"
    assert connected[0]["peer"].startswith("tcp://127.0.0.1:")
    text = path.read_text()
    assert "precious" not in text
    assert secret not in text
    assert secret_of(link).hex() not in text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_without_a_path_nothing_is_written(tmp_path) -> None:
    with served(None, in_process=True):
        assert not (tmp_path / "audit.log").exists()


def test_nobody_can_write_a_line_of_his_own(path) -> None:
    log = AuditLog(path)
    log.write("connected", peer='x"}\n{"event": "started"}', name="\x1b[2J\u202e" + "x" * 1000)
    (line,) = lines(path)
    assert line["event"] == "connected"
    assert len(line["name"]) == LONGEST_TEXT
    raw = path.read_bytes()
    assert raw.count(b"\n") == 1
    assert raw.isascii()
    assert b"\x1b" not in raw


def test_a_large_file_is_set_aside_and_only_so_many_are_kept(path) -> None:
    log = AuditLog(path, largest=1000)
    for number in range(200):
        log.write("connected", number=number)
    kept = sorted(p.name for p in path.parent.glob("audit.log*"))
    assert kept == ["audit.log", *(f"audit.log.{n}" for n in range(1, KEPT + 1))]
    assert all(p.stat().st_size <= 1000 for p in path.parent.glob("audit.log*"))
    assert lines(path)[-1]["number"] == 199
    assert lines(path.with_name("audit.log.1"))[-1]["number"] == lines(path)[0]["number"] - 1


def test_a_log_that_cannot_be_written_stops_nobody(tmp_path, caplog) -> None:
    folder = tmp_path / "gone"
    log = AuditLog(folder / "audit.log")
    for _ in range(3):
        log.write("connected")
    assert caplog.text.count("cannot be written") == 1
    folder.mkdir()
    log.write("connected")
    assert len(lines(folder / "audit.log")) == 1


def test_notes_arrive_and_what_is_none_does_not() -> None:
    notes, taken = Notes(), []
    notes.write("s1", "refused", what="x", needed="reader")
    for junk in (b"junk\n", b"[1, 2]\n", b'["s1", "started", {}]\n', b'[1, "counts", {}]\n'):
        os.write(notes._write_end, junk)
    os.write(notes._write_end, b'["s1", "counts", {"calls": "many", "evil": 1, "refusals": 2}]\n')
    notes.read_into(lambda *note: taken.append(note))
    notes.close()
    assert taken == [
        ("s1", "refused", {"what": "x", "needed": "reader"}),
        ("s1", "counts", {"refusals": 2}),
    ]


def test_a_worker_that_says_too_much_waits_for_nobody() -> None:
    notes = Notes()
    for _ in range(10_000):  # more than a pipe holds
        notes.write("s1", "counts", calls=1, refusals=1)
    notes.write("s1", "refused", what="x" * 10_000, needed="x" * 10_000)
    taken = threading.Event()
    notes.read_into(lambda *note: taken.set())
    assert taken.wait(5.0)
    notes.close()


def test_of_many_refusals_the_number_is_written(path) -> None:
    with served(path, in_process=True) as server:
        link = narrowed(server.token, "role=inspector")
        with open_session(server.url, token=link) as session:
            for _ in range(MOST_REFUSALS + 50):
                with pytest.raises(PermissionDenied):
                    session.get_function("t.echo")
    assert len(events(path, "session refused")) == MOST_REFUSALS
    assert events(path, "session counts")[0]["refusals"] == MOST_REFUSALS + 50
