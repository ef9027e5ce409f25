"""Who runs sessions: worker processes from a zygote, or threads of this process."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import threading
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TypeAlias

from rpcnb.core.errors import SessionError, TransportError
from rpcnb.core.folders import fresh_folder, remove_folder
from rpcnb.endpoint.serving.estate import knock
from rpcnb.endpoint.serving.relay import Relay, Run
from rpcnb.endpoint.serving.seat import Opened, Post
from rpcnb.endpoint.serving.ticket import KILL, STOP, Ticket
from rpcnb.endpoint.serving.worker import STOPPING
from rpcnb.endpoint.serving.zygote import Work, Zygote
from rpcnb.transport.descriptor import send_descriptor

if TYPE_CHECKING:
    from io import BufferedReader

    from rpcnb.endpoint.serving.estate import Estate
    from rpcnb.endpoint.serving.seat import Away
    from rpcnb.transport.base import Transport

LOG = logging.getLogger("rpcnb.staff")
HIRE_TIMEOUT = 10.0
"""Seconds a worker may take to exist."""

ZYGOTE_GONE = "the server's zygote is gone; restart the server"
RELAY_TIMEOUT = 2.0
"""Seconds in which a peer gets the last words of a session that was closed."""

ThreadWork: TypeAlias = "Callable[[Transport, Ticket, Opened], None]"
"""What a session's thread runs; it hands back what others may do with the session."""

OnAway: TypeAlias = Callable[[str, bool], None]
"""Told the session id, and whether nobody is connected to it."""
OnEnd: TypeAlias = Callable[[str, int], None]
"""Told the session id and how its worker ended: exit status, or the negative of a signal."""


class Staff(ABC):
    """Runs sessions on connections that have been greeted."""

    on_end: OnEnd
    on_away: OnAway
    function_count: int = 0
    """How many functions its sessions offer; known once started, where that is not this process."""

    @abstractmethod
    def start(self) -> None:
        """Get ready.

        Raises
        ------
        SessionError
            The functions to be served could not be loaded.
        """

    def portable(self, transport: Transport, run: Run) -> tuple[Transport, Callable[[], None]]:
        """Return a connection that `hire` can take, for one that has been greeted, and its escort.

        `run` runs something on another thread, where the connection needs one.
        What is said on it may not reach the peer before the caller's thread calls the escort, which
        returns when the connection has ended that it goes along with.
        """
        del run
        return transport, _go_nowhere

    @abstractmethod
    def hire(self, ticket: Ticket, transport: Transport) -> int:
        """Start a session on a connection; return the process that runs it.

        Raises
        ------
        SessionError
            No worker could be had.
        """

    @abstractmethod
    def hand_in(self, ticket: Ticket, transport: Transport) -> None:
        """Give a session that runs another connection; followed by `release`.

        Raises
        ------
        SessionError
            It does not run, or not yet.
        """

    @abstractmethod
    def release(self, transport: Transport) -> None:
        """Give up this process's part in a connection that was handed to `hire`."""

    @abstractmethod
    def end(self, session_id: str, pid: int) -> None:
        """End one session in an orderly way; nothing happens when it has ended."""

    @abstractmethod
    def kill(self, session_id: str) -> None:
        """Kill the process of a session, whatever it does; its end is told as any other's.

        Raises
        ------
        SessionError
            It has no process of its own, or nobody who could.
        """

    @abstractmethod
    def close(self) -> None:
        """End all sessions in an orderly way, and the staff.  Idempotent."""

    def dismiss(self) -> None:
        """End a staff that was never started."""
        self.close()


class ProcessStaff(Staff):
    """One worker process per session.

    Make it before any thread is started: it forks the zygote at once.

    Parameters
    ----------
    prepare, work
        See `Zygote`.
    on_end : callable
        Called on a thread of this object.
    """

    def __init__(
        self,
        prepare: Callable[[], object],
        work: Work,
        on_end: OnEnd,
        *,
        drain: float = 0.0,
        orphaned: float = 0.0,
        groups: Path | None = None,
    ) -> None:
        control, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            control.close()
            folder = be_told_folder(theirs)
            Zygote(
                theirs, prepare, work, folder, drain=drain, orphaned=orphaned, groups=groups
            ).run()
        theirs.close()
        self.pid = pid
        try:
            made = fresh_folder()  # not before the fork, for what it loads
        except OSError:
            control.close()  # the zygote, which was told nothing, ends
            os.waitpid(pid, 0)
            raise
        self._begin(control, Path(made), on_end)
        control.sendall(os.fsencode(made) + b"\n")

    @classmethod
    def inherit(cls, estate: Estate, on_end: OnEnd) -> ProcessStaff | None:
        """Take over the staff of a broker that was killed; None when it does not answer."""
        folder = Path(estate.folder)
        control = knock(folder)
        if control is None:
            return None
        staff = cls.__new__(cls)
        staff._begin(control, folder, on_end)  # noqa: SLF001 -- its own
        staff.pid = estate.zygote
        return staff

    def _begin(self, control: socket.socket, folder: Path, on_end: OnEnd) -> None:
        self.on_end = on_end
        self.on_away = ignore_absence
        self._control, self.folder = control, folder
        self.working: dict[str, int] = {}
        """Session -> worker, of those that were inherited."""
        self._reports: BufferedReader | None = None
        self.ended: dict[str, int] = {}
        """Session -> how it ended, likewise."""
        self._lock = threading.Lock()
        self._answers: dict[str, SimpleQueue[int | str]] = {}
        """Session -> where who waits for its worker learns its number, or why there is none."""
        self._working: set[str] = set()
        self._relays: weakref.WeakSet[Relay] = weakref.WeakSet()
        self._gone = False
        self._closed = False
        self._listener = threading.Thread(target=self._listen, name="rpcnb-staff", daemon=True)

    def start(self) -> None:
        """Wait until the zygote has loaded what it serves."""
        self._reports = self._control.makefile(
            "rb"
        )  # not before the fork: it would stay open there
        line = self._reports.readline()
        report: dict[str, Any] = (
            json.loads(line) if line else {"failed": "the zygote ended", "traceback": ""}
        )
        if "failed" in report:
            self.close()
            error = SessionError(report["failed"])
            error.add_note(report["traceback"])
            raise error
        self.function_count = report["ready"]
        self.working, self.ended = report.get("working", {}), report.get("ended", {})
        self._working.update(self.working)
        self._listener.start()

    def _listen(self) -> None:
        for line in self._reports or ():
            report = json.loads(line)
            if "started" in report:
                self._working.add(report["started"])
                self._answer(report["started"], report["pid"])
            if "refused" in report:
                self._answer(report["refused"], report["reason"])
            if "away" in report:
                self.on_away(report["away"], report["gone"])
            if "ended" in report:
                self._working.discard(report["ended"])
                self.on_end(report["ended"], report["code"])
        self._gone = True
        for session_id in list(self._answers):
            self._answer(session_id, ZYGOTE_GONE)
        for session_id in self._working:  # the zygote was killed, and they with it
            self.on_end(session_id, -signal.SIGTERM)

    def portable(self, transport: Transport, run: Run) -> tuple[Transport, Callable[[], None]]:
        """Put a relay before what has more to it than a descriptor."""
        if not transport.channel:
            return super().portable(transport, run)
        relay = Relay(transport, run)
        self._relays.add(relay)
        return relay.portable, relay.carry_out

    def hire(self, ticket: Ticket, transport: Transport) -> int:
        """Hand the connection to a fresh worker."""
        answer = self._answers[ticket.session_id] = SimpleQueue()
        try:
            if self._gone:
                raise SessionError(ZYGOTE_GONE)
            self.hand_in(ticket, transport)
            pid = answer.get(timeout=HIRE_TIMEOUT)
        except Empty:
            pid = "the zygote does not answer"
        finally:
            del self._answers[ticket.session_id]
        if isinstance(pid, str):
            message = f"no worker process could be started: {pid}"
            raise SessionError(message)
        return pid

    def _answer(self, session_id: str, answer: int | str) -> None:
        """Tell who waits for a worker; each by itself, as being woken in vain costs 10 µs."""
        waiting = self._answers.get(session_id)
        if waiting is not None:
            waiting.put(answer)

    def hand_in(self, ticket: Ticket, transport: Transport) -> None:
        """Let the zygote pass the connection on."""
        note = ticket.to_note()
        try:
            with self._lock:
                send_descriptor(self._control, transport.fileno(), note)
        except TransportError as error:
            raise SessionError(ZYGOTE_GONE) from error

    def release(self, transport: Transport) -> None:
        """Close this process's copy only: closing the connection would end it for the worker."""
        os.close(transport.detach())

    def end(self, session_id: str, pid: int) -> None:
        """Let the worker say goodbye; it is not ours to reap, so its number may be another's."""
        if session_id in self._working:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    def kill(self, session_id: str) -> None:
        """Let the zygote do it, which reaps the process: its number is no other's until then."""
        try:
            with self._lock:
                send_descriptor(self._control, self._control.fileno(), KILL + session_id.encode())
        except TransportError as error:
            raise SessionError(ZYGOTE_GONE) from error

    def close(self) -> None:
        """Let the zygote end its workers, and wait for it."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            with suppress(TransportError):  # it was killed
                send_descriptor(self._control, self._control.fileno(), STOP)
            with suppress(OSError):
                self._control.shutdown(socket.SHUT_WR)
        with suppress(ChildProcessError):  # inherited: the end of its reports is its end
            os.waitpid(self.pid, 0)
        if self._listener.ident is not None:
            self._listener.join(HIRE_TIMEOUT)  # it has read all reports then
        for relay in list(self._relays):
            relay.join(RELAY_TIMEOUT)
        if self._reports is not None:
            self._reports.close()
        self._control.close()
        remove_folder(self.folder)  # the zygote does, unless it was killed

    def dismiss(self) -> None:
        """Do not wait until the zygote has loaded what nobody will ask for."""
        if self.working:  # others may have more luck with it
            self._control.close()
            return
        os.kill(self.pid, signal.SIGKILL)
        self.close()


class ThreadStaff(Staff):
    """One thread of this process per session: for teaching, tests, and where forking is unsafe.

    No isolation: a crash takes all sessions along, and code that holds the interpreter cannot be
    interrupted.
    """

    def __init__(self, work: ThreadWork, on_end: OnEnd) -> None:
        self.on_end = on_end
        self.on_away = ignore_absence
        self._work = work
        self._lock = threading.Lock()
        self._threads: dict[str, threading.Thread] = {}
        self._posts: dict[str, Post] = {}
        self._closing = False

    def start(self) -> None:
        """Nothing to prepare."""

    def hire(self, ticket: Ticket, transport: Transport) -> int:
        """Run the session on a new thread."""
        thread = threading.Thread(
            target=self._run, args=(ticket, transport), name="rpcnb-session", daemon=True
        )
        with self._lock:
            self._threads[ticket.session_id] = thread
            self._posts[ticket.session_id] = Post(lambda _: transport.close(), _not_yet)
        thread.start()
        return os.getpid()

    def _run(self, ticket: Ticket, transport: Transport) -> None:
        code = 1
        try:
            self._work(transport, ticket, partial(self._enter, ticket.session_id))
            code = 0
        except Exception:
            LOG.exception("session %s failed", ticket.session_id)
        finally:
            transport.close()
            with self._lock:
                del self._threads[ticket.session_id], self._posts[ticket.session_id]
            self.on_end(ticket.session_id, code)

    def _enter(self, session_id: str, post: Post) -> Away:
        with self._lock:
            self._posts[session_id] = post
        if self._closing:  # while it was being opened
            post.close(STOPPING)
        return lambda away: self.on_away(session_id, away)

    def hand_in(self, ticket: Ticket, transport: Transport) -> None:
        """Let the session have the connection."""
        with self._lock:
            post = self._posts.get(ticket.session_id)
        if post is None:
            message = "the session has ended"
            raise SessionError(message)
        post.take(transport, ticket)

    def release(self, transport: Transport) -> None:
        """Keep it: the thread uses this very object."""

    def end(self, session_id: str, pid: int) -> None:  # noqa: ARG002 -- all run in this process
        """Close its connection."""
        post = self._posts.get(session_id)
        if post is not None:
            post.close(STOPPING)

    def kill(self, session_id: str) -> None:
        """Refuse: a thread cannot be killed."""
        message = (
            f"the session {session_id} is a thread of its server's process, and a thread cannot be "
            "killed; only ending that server stops a call that does not return"
        )
        raise SessionError(message)

    def close(self) -> None:
        """Close the connections and wait for the threads."""
        with self._lock:
            self._closing = True
            posts, threads = list(self._posts.values()), list(self._threads.values())
        closing = [threading.Thread(target=post.close, args=(STOPPING,)) for post in posts]
        for thread in closing:
            thread.start()
        for thread in closing:
            thread.join()  # all drain at the same time
        for thread in threads:
            thread.join(timeout=HIRE_TIMEOUT)


def be_told_folder(control: socket.socket) -> Path:
    """Return what the broker says first to the zygote; ends this process when it says nothing."""
    with control.makefile("rb", 0) as words:  # byte by byte: what follows has descriptors
        line = words.readline()
    if not line.endswith(b"\n"):
        os._exit(1)
    return Path(os.fsdecode(line[:-1]))


def ignore_absence(session_id: str, gone: bool) -> None:  # noqa: FBT001 -- as its type says
    """Stand in until the broker takes the staff over."""


def _go_nowhere() -> None:
    """Stand in where a connection needs no escort."""


def _not_yet(transport: Transport, ticket: Ticket) -> None:
    """Stand in for a session that is being opened."""
    del transport
    message = f"the session {ticket.session_id} is not open yet"
    raise SessionError(message)
