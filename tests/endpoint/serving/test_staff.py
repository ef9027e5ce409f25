"""Tests of `rpcnb.endpoint.serving.staff`: real zygotes with small workers."""

from __future__ import annotations

import errno
import os
import signal
import socket
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from rpcnb.core.errors import ConnectionClosed, SessionError
from rpcnb.endpoint.serving.estate import Estate
from rpcnb.endpoint.serving.seat import Post
from rpcnb.endpoint.serving.staff import ProcessStaff, ThreadStaff, be_told_folder
from rpcnb.endpoint.serving.ticket import Ticket
from rpcnb.transport.descriptor import adopt
from rpcnb.transport.memory import memory_pair

WAIT = 10.0


class Ends:
    """Collects how sessions ended."""

    def __init__(self) -> None:
        self.codes: dict[str, int] = {}
        self.news = threading.Condition()

    def __call__(self, session_id: str, code: int) -> None:
        with self.news:
            self.codes[session_id] = code
            self.news.notify_all()

    def of(self, ticket: Ticket) -> int:
        with self.news:
            assert self.news.wait_for(lambda: ticket.session_id in self.codes, WAIT)
        return self.codes[ticket.session_id]


def ticket(number: int = 1) -> Ticket:
    return Ticket(f"{number:032x}", "", 1)


def do_as_told(fd: int, ticket: Ticket, folder: str, door: socket.socket) -> None:
    """Be a worker that obeys one byte."""
    Path(folder).mkdir()
    Path(folder, "file").write_text("content")
    sock = socket.socket(fileno=fd)
    sock.sendall(folder.encode() + b"\n")
    order = sock.recv(1)
    if order == b"x":
        os._exit(7)
    if order == b"k":
        os.kill(os.getpid(), signal.SIGKILL)
    if order == b"r":
        raise ZeroDivisionError


@pytest.fixture
def ends() -> Ends:
    return Ends()


@pytest.fixture
def staff(ends):
    staff = ProcessStaff(lambda: 42, do_as_told, ends)
    staff.start()
    yield staff
    staff.close()


def hire(staff, number: int = 1):
    """Start a worker; return this side's end, and the worker's folder."""
    here, there = socket.socketpair()
    transport = adopt(there.detach())
    try:
        staff.hire(ticket(number), transport)
    except BaseException:
        here.close()
        transport.close()
        raise
    staff.release(transport)
    here.settimeout(WAIT)
    return here, Path(here.makefile().readline().strip())


@pytest.mark.parametrize(
    ("order", "code"), [(b"e", 0), (b"x", 7), (b"k", -signal.SIGKILL), (b"r", 1), (b"", 0)]
)
def test_how_a_worker_ends_is_reported_and_its_folder_removed(staff, ends, order, code) -> None:
    here, folder = hire(staff)
    with here:
        here.sendall(order)
        here.shutdown(socket.SHUT_WR)
        assert ends.of(ticket()) == code
    assert not folder.exists()


def test_what_was_prepared_is_counted(staff) -> None:
    assert staff.function_count == 42


def test_closing_ends_the_workers_and_removes_everything(staff, ends) -> None:
    here, folder = hire(staff)
    staff.close()
    staff.close()
    assert ends.of(ticket()) == -signal.SIGTERM
    assert not folder.parent.exists()
    here.close()


def test_one_worker_is_killed_and_no_other(staff, ends) -> None:
    (one, folder), (other, _) = hire(staff, 1), hire(staff, 2)
    with one, other:
        staff.kill(ticket(1).session_id)
        assert ends.of(ticket(1)) == -signal.SIGKILL
        assert not folder.exists()
        staff.kill(ticket(1).session_id)  # it has ended: nothing happens
        staff.kill("of nobody")
        other.sendall(b"e")
        assert ends.of(ticket(2)) == 0


def test_without_its_zygote_a_staff_kills_nobody(staff, ends) -> None:
    here, _ = hire(staff)
    os.kill(staff.pid, signal.SIGKILL)
    with here:
        ends.of(ticket())
        with pytest.raises(SessionError, match="restart the server"):
            staff.kill(ticket().session_id)


def test_a_zygote_that_is_killed_takes_its_workers_along(staff, ends, eventually) -> None:
    here, folder = hire(staff)
    os.kill(staff.pid, signal.SIGKILL)
    with here:
        assert here.recv(1) == b""
    assert ends.of(ticket()) == -signal.SIGTERM
    with pytest.raises(SessionError, match=r"zygote is gone|zygote does not answer"):
        hire(staff, 2)
    staff.close()
    assert not folder.parent.exists()


def test_preparing_that_fails_is_raised_with_its_traceback(ends, no_leaked_fds) -> None:
    def prepare() -> None:
        raise ZeroDivisionError("not today")

    staff = ProcessStaff(prepare, do_as_told, ends)
    with pytest.raises(SessionError, match="not today") as raised:
        staff.start()
    assert "Traceback" in raised.value.__notes__[0]


def test_preparing_that_ends_the_process_is_noticed(ends, no_leaked_fds) -> None:
    staff = ProcessStaff(lambda: os._exit(3), do_as_told, ends)
    with pytest.raises(SessionError, match="the zygote ended"):
        staff.start()


def test_a_zygote_whose_broker_ends_before_it_said_the_whole_folder_ends_too() -> None:
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        be_told_folder(theirs)
        os._exit(0)
    with ours, theirs:
        ours.sendall(b"/home")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1


def test_a_staff_that_is_not_wanted_is_dismissed_at_once(ends, no_leaked_fds) -> None:
    staff = ProcessStaff(lambda: threading.Event().wait(60), do_as_told, ends)
    staff.dismiss()
    with pytest.raises(ChildProcessError):
        os.waitpid(staff.pid, os.WNOHANG)


def test_a_system_without_room_for_processes_refuses_that_session_only(ends) -> None:
    def prepare() -> int:  # runs in the zygote: its own fork is out of order, first for a spare one
        fork, failures = os.fork, iter([1, 2])

        def no_room() -> int:
            if next(failures) == 2:
                os.fork = fork
            raise OSError(errno.EAGAIN, "no more processes")

        os.fork = no_room
        return 1

    staff = ProcessStaff(prepare, do_as_told, ends)
    staff.start()
    with pytest.raises(SessionError, match="could be started: no more processes"):
        hire(staff, 1)
    here, _ = hire(staff, 2)
    here.close()
    assert ends.of(ticket(2)) == 0
    staff.close()


# --- threads --------------------------------------------------------------------------------------


def test_a_session_on_a_thread_is_reported_and_its_connection_closed(ends) -> None:
    near, far = memory_pair()
    staff = ThreadStaff(lambda transport, ticket, opened: None, ends)
    staff.start()
    assert staff.hire(ticket(), far) == os.getpid()
    staff.release(far)
    assert ends.of(ticket()) == 0
    assert near.wait_readable(WAIT)
    assert far.closed
    near.close()
    staff.close()


def test_a_session_on_a_thread_that_fails_is_reported(ends, caplog) -> None:
    def fail(transport, ticket, opened) -> None:
        raise ZeroDivisionError

    near, far = memory_pair()
    staff = ThreadStaff(fail, ends)
    staff.hire(ticket(), far)
    assert ends.of(ticket()) == 1
    assert "ZeroDivisionError" in caplog.text
    near.close()


@pytest.mark.parametrize("opens", [True, False])
def test_closing_ends_the_threads(ends, opens) -> None:
    reasons: list[str] = []
    begun = threading.Event()

    def serve(transport, ticket, opened) -> None:
        if opens:
            opened(Post(lambda reason: (reasons.append(reason), transport.close()), print))
        begun.set()
        with suppress(ConnectionClosed):
            transport.wait_readable(WAIT)

    near, far = memory_pair()
    staff = ThreadStaff(serve, ends)
    staff.hire(ticket(), far)
    assert begun.wait(WAIT)
    staff.dismiss()
    assert ends.of(ticket()) == 0
    assert reasons == (["the server is stopping"] if opens else [])
    near.close()


def test_a_session_that_opens_while_its_staff_closes_is_closed(ends) -> None:
    closing, reasons = threading.Event(), []

    def serve(transport, ticket, opened) -> None:
        assert closing.wait(WAIT)
        opened(Post(reasons.append, print))

    near, far = memory_pair()
    staff = ThreadStaff(serve, ends)
    staff.hire(ticket(), far)
    threading.Timer(0.05, closing.set).start()
    staff.close()
    assert ends.of(ticket()) == 0
    assert reasons == ["the server is stopping"]
    near.close()


def test_a_session_on_a_thread_is_handed_further_connections(ends) -> None:
    begun, taken = threading.Event(), []

    def serve(transport, ticket, opened) -> None:
        opened(Post(print, lambda *what: taken.append(what)))
        begun.set()
        with suppress(ConnectionClosed):
            transport.wait_readable(WAIT)

    near, far = memory_pair()
    staff = ThreadStaff(serve, ends)
    with pytest.raises(SessionError, match="ended"):
        staff.hand_in(ticket(), far)
    staff.hire(ticket(), far)
    assert begun.wait(WAIT)
    staff.hand_in(ticket(), far)
    assert taken == [(far, ticket())]
    near.close()
    staff.close()


def test_the_staff_of_a_broker_that_is_gone_is_inherited(ends) -> None:
    first = ProcessStaff(lambda: 42, do_as_told, ends, orphaned=WAIT)
    first.start()
    estate = Estate("tcp://x:1", os.getpid(), first.pid, str(first.folder), "")
    here, folder = hire(first)
    gone, _ = hire(first, 2)
    first._control.shutdown(socket.SHUT_RDWR)  # as when its process ends
    gone.sendall(b"x")
    assert gone.recv(1) == b""  # it ended while there was no broker
    gone.close()
    later = Ends()
    heir = ProcessStaff.inherit(estate, later)
    assert heir is not None
    heir.start()
    assert heir.function_count == 42
    assert list(heir.working) in (
        [ticket(1).session_id],
        [ticket(1).session_id, ticket(2).session_id],
    )
    third, _ = hire(heir, 3)
    third.sendall(b"e")
    assert later.of(ticket(3)) == 0
    here.sendall(b"e")
    assert later.of(ticket(1)) == 0
    heir.close()
    assert not folder.parent.exists()
    assert ProcessStaff.inherit(estate, ends) is None
    first.close()
    for end in (here, third):
        end.close()


def test_a_staff_that_finds_no_place_for_its_folder_leaves_no_process(run_python) -> None:
    code = """
import os, tempfile
from rpcnb.endpoint.serving.staff import ProcessStaff
tempfile.tempdir = "/nowhere"
try:
    ProcessStaff(print, print, print)
except FileNotFoundError as error:
    print(type(error).__name__)
try:
    os.waitpid(-1, os.WNOHANG)
except ChildProcessError:
    print("no child")
"""
    assert run_python(code) == "FileNotFoundError\nno child\n"
