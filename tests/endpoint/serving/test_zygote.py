"""Tests of `rpcnb.endpoint.serving.zygote`: what happens inside it, seen through its socket.

How it looks to a server stands in test_staff.py.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from contextlib import contextmanager, suppress
from time import monotonic
from typing import TYPE_CHECKING

import psutil
import pytest

from rpcnb.endpoint.serving import zygote
from rpcnb.endpoint.serving.ticket import AWAY, BACK, Ticket
from rpcnb.endpoint.serving.zygote import Zygote
from rpcnb.transport.descriptor import receive_descriptor, send_descriptor

if TYPE_CHECKING:
    from pathlib import Path

WAIT = 10.0
TICKET = Ticket("a" * 32, "", 1)


@contextmanager
def running(tmp_path: Path, work, prepare=lambda: 5):
    """Fork a zygote; give the control socket, its reports as a file, and its pid."""
    ours, theirs = socket.socketpair()
    ours.settimeout(WAIT)
    folder = tmp_path / "workers"
    folder.mkdir()
    pid = os.fork()
    if pid == 0:
        ours.close()
        Zygote(theirs, prepare, work, folder).run()
    theirs.close()
    with ours, ours.makefile("rb") as reports:
        yield ours, reports, pid
        ours.shutdown(socket.SHUT_RDWR)
    os.waitpid(pid, 0)
    assert not folder.exists()


def gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def hear(reports):
    return json.loads(reports.readline())


def hire(control, epoch: int = 1) -> socket.socket:
    here, there = socket.socketpair()
    here.settimeout(WAIT)
    with there:
        send_descriptor(control, there.fileno(), TICKET._replace(epoch=epoch).to_note())
    return here


def test_it_says_when_it_is_ready(tmp_path) -> None:
    with running(tmp_path, print) as (_, reports, _):
        assert hear(reports) == {"ready": 5}


def test_a_terminals_interrupt_is_not_its_business(tmp_path) -> None:
    with running(tmp_path, print) as (_, reports, pid):
        hear(reports)
        os.kill(pid, signal.SIGINT)
        assert psutil.Process(pid).is_running()
        assert os.getsid(pid) == pid


def test_a_worker_inherits_its_connection_and_nothing_of_the_zygotes(tmp_path) -> None:
    def kinds(*without: int) -> list[str]:
        """Return what this process has open: sockets with their numbers in the kernel."""
        found = []
        for name in set(os.listdir("/proc/self/fd")) - set(map(str, without)):
            with suppress(FileNotFoundError):  # the listing's own, closed by now
                found.append(os.readlink(f"/proc/self/fd/{name}"))
        return sorted(kind for kind in found if "socket:" in kind or "eventpoll" in kind)

    before = kinds()

    def list_descriptors(fd: int, ticket: Ticket, folder: str, door: socket.socket) -> None:
        socket.socket(fileno=fd).sendall(json.dumps(kinds(fd, door.fileno())).encode())

    with running(tmp_path, list_descriptors) as (control, reports, _):
        hear(reports)
        with hire(control) as here:
            assert hear(reports)["started"] == TICKET.session_id
            assert json.loads(here.recv(4096)) == before
            assert hear(reports) == {"ended": TICKET.session_id, "code": 0}


def test_a_worker_that_ignores_the_end_is_killed_with_what_it_started(
    tmp_path, monkeypatch, eventually
) -> None:
    monkeypatch.setattr(zygote, "KILL_AFTER", 0.2)

    def ignore(fd: int, ticket: Ticket, folder: str, door: socket.socket) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = os.fork()
        socket.socket(fileno=os.dup(fd)).sendall(f"{child}\n".encode() if child else b"")
        signal.pause()

    with running(tmp_path, ignore) as (control, reports, _):
        hear(reports)
        here = hire(control)
        worker = psutil.Process(hear(reports)["pid"])
        child = psutil.Process(int(here.makefile().readline()))
        began = monotonic()
    assert monotonic() - began < 5.0
    here.close()
    for process in (worker, child):
        assert eventually(lambda p=process: gone(p))


def test_what_a_worker_started_ends_with_it(tmp_path, eventually) -> None:
    def leave_a_child(fd: int, ticket: Ticket, folder: str, door: socket.socket) -> None:
        child = os.fork()
        if child == 0:
            signal.pause()
        socket.socket(fileno=fd).sendall(f"{child}\n".encode())

    with running(tmp_path, leave_a_child) as (control, reports, _):
        hear(reports)
        with hire(control) as here:
            child = psutil.Process(int(here.makefile().readline()))
            assert "started" in hear(reports)
            assert "ended" in hear(reports)
        assert eventually(lambda: gone(child))


def test_a_broker_that_does_not_listen_any_more_does_not_disturb(tmp_path) -> None:
    def prepare() -> int:
        return 1

    ours, theirs = socket.socketpair()
    folder = tmp_path / "workers"
    folder.mkdir()
    pid = os.fork()
    if pid == 0:
        ours.close()
        Zygote(theirs, prepare, print, folder).run()
    theirs.close()
    ours.close()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert not folder.exists()


def test_a_living_worker_is_handed_further_connections_and_a_dead_one_none(tmp_path) -> None:
    def greet_everybody(fd: int, ticket: Ticket, folder: str, door: socket.socket) -> None:
        while True:
            note, fd = receive_descriptor(door)
            with socket.socket(fileno=fd) as sock:
                sock.sendall(note)

    with running(tmp_path, greet_everybody) as (control, reports, _):
        hear(reports)
        with hire(control):
            pid = hear(reports)["pid"]
            for epoch in (2, 3):
                with hire(control, epoch) as here:
                    assert Ticket.from_note(here.recv(4096)).epoch == epoch
            os.kill(pid, signal.SIGKILL)
            assert hear(reports)["code"] == -signal.SIGKILL
            with hire(control, 4) as here:
                assert here.recv(4096) == b""


def test_a_worker_can_say_that_its_client_is_away(tmp_path) -> None:
    def come_and_go(fd: int, ticket: Ticket, folder: str, door: socket.socket) -> None:
        for words in (AWAY, BACK):
            door.send(words)
            socket.socket(fileno=os.dup(fd)).recv(1)

    with running(tmp_path, come_and_go) as (control, reports, _):
        hear(reports)
        with hire(control) as here:
            hear(reports)
            for gone in (True, False):
                assert hear(reports) == {"away": TICKET.session_id, "gone": gone}
                here.sendall(b"x")
            assert "ended" in hear(reports)


def test_a_worker_whose_output_leads_nowhere_ends_all_the_same(tmp_path) -> None:
    def print_into_the_void(fd: int, ticket: Ticket, folder: str, door: socket.socket) -> None:
        reading, writing = os.pipe()
        os.close(reading)
        os.dup2(writing, 1)
        sys.stdout = open(1, "w", buffering=1000, closefd=False)  # noqa: SIM115
        sys.stdout.write("lost")

    with running(tmp_path, print_into_the_void) as (control, reports, _):
        hear(reports)
        with hire(control):
            assert "started" in hear(reports)
            assert hear(reports) == {"ended": TICKET.session_id, "code": 0}
        assert (tmp_path / "workers").exists()  # the worker did not take the zygote's part


def spares_of(pid: int) -> list[psutil.Process]:
    """Return the workers that wait for a session: they lead no process group."""
    children = [one for one in psutil.Process(pid).children() if not gone(one)]
    return [one for one in children if os.getpgid(one.pid) == os.getpgid(pid)]


def spare_of(pid: int, but: int = 0) -> psutil.Process | None:
    return next((one for one in spares_of(pid) if one.pid != but), None)


def say_who(fd: int, ticket: Ticket, folder: str, door: socket.socket) -> None:
    with socket.socket(fileno=fd) as sock:
        sock.sendall(f"{os.getpid()} {os.getpgid(0)} ".encode())
        sock.recv(1)


def test_a_worker_waits_for_the_next_session_and_ends_with_the_zygote(tmp_path, eventually) -> None:
    with running(tmp_path, say_who) as (control, reports, zygote_pid):
        hear(reports)
        assert eventually(lambda: spare_of(zygote_pid) is not None)
        spare = spare_of(zygote_pid)
        with hire(control) as here:
            assert hear(reports)["pid"] == spare.pid
            assert here.recv(100).decode().split() == [str(spare.pid)] * 2
            assert eventually(lambda: spare_of(zygote_pid, spare.pid) is not None)
            following = spare_of(zygote_pid, spare.pid)
        assert "ended" in hear(reports)
        assert not gone(following)
    assert eventually(lambda: gone(following))


@pytest.mark.parametrize(("soon", "following"), [(WAIT, [1, 2, 1, 4, 3]), (0.0, [1, 1, 1, 1, 1])])
def test_more_workers_wait_where_sessions_begin_soon_after_each_other(
    tmp_path, monkeypatch, eventually, soon, following
) -> None:
    monkeypatch.setattr(zygote, "SOON", soon)
    with running(tmp_path, say_who) as (control, reports, zygote_pid):
        hear(reports)
        for count in following:
            assert eventually(lambda count=count: len(spares_of(zygote_pid)) == count)
            with hire(control) as here:
                assert "started" in hear(reports)
                assert here.recv(100)
            assert "ended" in hear(reports)


def test_a_spare_worker_that_was_killed_is_missed_by_nobody(tmp_path, eventually) -> None:
    with running(tmp_path, say_who) as (control, reports, zygote_pid):
        hear(reports)
        assert eventually(lambda: spare_of(zygote_pid) is not None)
        spare = spare_of(zygote_pid)
        spare.kill()
        assert eventually(lambda: not spare.is_running())
        with hire(control) as here:
            assert hear(reports)["pid"] != spare.pid
            assert here.recv(100)
            assert eventually(lambda: spare_of(zygote_pid) is not None)
        assert "ended" in hear(reports)


def test_a_spare_worker_does_not_outlive_a_zygote_that_was_killed(tmp_path, eventually) -> None:
    ours, theirs = socket.socketpair()
    folder = tmp_path / "workers"
    folder.mkdir()
    pid = os.fork()
    if pid == 0:
        ours.close()
        Zygote(theirs, lambda: 1, say_who, folder).run()
    theirs.close()
    with ours:
        assert eventually(lambda: spare_of(pid) is not None)
        spare = spare_of(pid)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        assert eventually(lambda: gone(spare))
