"""The zygote: a single-threaded process that forks one worker per session.

A fork of a process that has NumPy and the user's functions loaded takes a millisecond and shares
its memory; starting an interpreter takes 90 ms. It must have one thread only, for a forked child
has just the thread that forked; so it is made before the broker starts any.

Requests arrive over a socket pair, each with the connection of a new session (`SCM_RIGHTS`);
reports go back as lines of JSON. When the broker goes, the zygote ends its workers, then itself.

Each worker has a folder below the zygote's, named after its session. A worker removes its own; the
zygote removes what one leaves behind that was killed.

One worker is forked ahead, and waits for its session as `Spare`: a client that comes to an idle server
need not wait for the fork, which takes longer than everything else in connecting. Where clients come
one after the other, a few are forked at once: after a fork each page that the zygote writes to is
copied, which takes a third of what the fork does.
"""

from __future__ import annotations

import json
import logging
import math
import os
import selectors
import signal
import socket
import time
import traceback
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeAlias

from rpcnb.core.errors import ConnectionClosed, TransportError
from rpcnb.core.folders import remove_folder
from rpcnb.endpoint.serving.children import (
    close_all,
    die_with,
    flush_output,
    kill_group,
    send_signal,
)
from rpcnb.endpoint.serving.estate import listen_for_heirs
from rpcnb.endpoint.serving.ticket import AWAY, KILL, STOP, Ticket
from rpcnb.session.processes import end_group, group_of
from rpcnb.transport.descriptor import receive_descriptor, send_descriptor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LOG = logging.getLogger("rpcnb.zygote")

Work: TypeAlias = "Callable[[int, Ticket, str, socket.socket], None]"
"""What a worker runs: given its connection's descriptor, its ticket, the path of its folder, which
it makes when it needs one, and the socket on which further connections come."""

AHEAD = 4
"""Most workers forked at once: twice as many as before, where those were wanted soon."""
SOON = 0.5
"""Seconds in which that is."""
KILL_AFTER = 5.0
"""Seconds a worker gets to end after SIGTERM."""
_set_handler: Callable[[int, int], object] = import_module("_signal").signal
_SIGCHLD, _BY_DEFAULT = int(signal.SIGCHLD), int(signal.SIG_DFL)
"""`signal.signal` turns numbers into enums, for which a worker copies 45 pages (0.15 ms)."""


class Spare(NamedTuple):
    """A worker without a session.  It is in the zygote's process group: a worker leads its own."""

    pid: int
    door: socket.socket


class Zygote:
    """The process itself; lives in the forked child only.

    Parameters
    ----------
    control : socket.socket
        To the broker.
    prepare : callable
        Run once, before the first worker: loads the user's functions.
    work : callable
        Run in each worker, which ends when it returns.
    folder : path
        Exists; the workers' folders lie in it. Removed at the end.
    drain : float [s]
        How long a worker may go on when it is told to end.
    orphaned : float [s]
        How long workers are kept for the next broker, when this one is killed.
    groups : path, optional
        Below it are the sessions' control groups; see `rpcnb.session.processes`.
    """

    def __init__(
        self,
        control: socket.socket,
        prepare: Callable[[], object],
        work: Work,
        folder: Path,
        *,
        drain: float = 0.0,
        orphaned: float = 0.0,
        groups: Path | None = None,
    ) -> None:
        self._control = control
        self._groups = groups
        self._prepare = prepare
        self._work = work
        self._folder = folder
        self._drain = drain
        self._orphaned = orphaned
        self._heirs = listen_for_heirs(folder) if orphaned > 0 else None
        self._told_to_stop = False
        self._count: object = 0
        self._ended: dict[str, int] = {}
        """How sessions ended while there was no broker."""
        self._pid = os.getpid()
        self._workers: dict[int, str] = {}
        self._spares: dict[int, Spare] = {}
        self._wants_spare = True
        self._ahead, self._forked_at = 0, -math.inf
        self._doors: dict[str, socket.socket] = {}
        """Session -> where its further connections are handed in."""
        self._numbers: set[int] = set()
        """Descriptors that workers inherit and must not keep."""
        self._selector = selectors.DefaultSelector()
        self._wakeup: socket.socket
        """Readable when a worker has ended."""

    def run(self) -> NoReturn:
        """Serve until the broker goes; never returns."""
        status = 0
        try:
            os.setsid()  # a terminal's Ctrl-C is the broker's business
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            self._count = self._prepare()
            self._report(ready=self._count)
            self._serve()
        except ConnectionClosed:
            self._end_workers()
        except BaseException as error:  # noqa: BLE001 -- last words: the broker raises them again
            status = 1
            lines = traceback.format_exception(error)
            self._report(failed=f"{type(error).__name__}: {error}", traceback="".join(lines))
        finally:
            remove_folder(self._folder)
            flush_output()
            os._exit(status)

    def _serve(self) -> None:
        wakeup, alarm = socket.socketpair()
        self._wakeup = wakeup
        for end in (wakeup, alarm):
            end.setblocking(False)
        signal.set_wakeup_fd(alarm.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # only to be woken
        with wakeup, alarm, self._selector as selector:
            selector.register(self._control, selectors.EVENT_READ)
            selector.register(wakeup, selectors.EVENT_READ)
            self._numbers |= {wakeup.fileno(), alarm.fileno(), self._control.fileno()}
            if isinstance(selector, getattr(selectors, "EpollSelector", ())):
                self._numbers.add(selector.fileno())  # others are not inherited
            if self._heirs is not None:
                self._numbers.add(self._heirs.fileno())
            try:
                while True:
                    self._keep_spares()
                    found = [key for key, _ in selector.select()]
                    ready = {key.fileobj for key in found}
                    if wakeup in ready:
                        wakeup.recv(4096)
                    for key in found:
                        if key.data is not None:
                            self._hear_from(key.data)
                    self._reap(os.WNOHANG)
                    if self._control in ready:
                        self._attend()
            finally:
                signal.set_wakeup_fd(-1)

    def _attend(self) -> None:
        try:
            note, fd = receive_descriptor(self._control)
        except ConnectionClosed:
            if not self._find_heir():
                raise
        else:
            self._obey(note, fd)

    def _find_heir(self) -> bool:
        """Wait for the next broker, and serve it; False when none comes, or it is not worth it."""
        self._selector.unregister(self._control)
        self._numbers.discard(self._control.fileno())
        self._control.close()
        if self._heirs is None or self._told_to_stop:
            return False
        deadline, wakeup = time.monotonic() + self._orphaned, self._wakeup
        with selectors.DefaultSelector() as selector:
            for source in (self._heirs, wakeup):
                selector.register(source, selectors.EVENT_READ)
            while self._workers and (left := deadline - time.monotonic()) > 0:
                ready = {key.fileobj for key, _ in selector.select(left)}
                if wakeup in ready:
                    wakeup.recv(4096)
                    self._reap(os.WNOHANG)
                if self._heirs in ready:
                    self._serve_heir(self._heirs.accept()[0])
                    return True
        return False

    def _serve_heir(self, control: socket.socket) -> None:
        self._control = control
        self._numbers.add(control.fileno())
        self._selector.register(control, selectors.EVENT_READ)
        working = {session_id: pid for pid, session_id in self._workers.items()}
        self._report(ready=self._count, working=working, ended=self._ended)
        self._ended = {}

    def _obey(self, note: bytes, fd: int) -> None:
        if note == STOP:
            self._told_to_stop = True
            os.close(fd)
            return
        if note.startswith(KILL):
            os.close(fd)
            self._kill(note.removeprefix(KILL).decode())
            return
        ticket = Ticket.from_note(note)
        if ticket.epoch > 1:
            self._hand_in(fd, ticket, note)
            return
        try:
            pid, door = self._hire(fd, note)
        except OSError as error:  # too many processes, too little memory: others may go on
            self._report(refused=ticket.session_id, reason=error.strerror)
            return
        finally:
            os.close(fd)
        self._workers[pid] = ticket.session_id
        self._doors[ticket.session_id] = door
        self._selector.register(door, selectors.EVENT_READ, ticket.session_id)
        self._report(started=ticket.session_id, pid=pid)

    def _kill(self, session_id: str) -> None:
        """Kill a worker, which has not been reaped: its number is no other process's."""
        for pid, session in self._workers.items():
            if session == session_id:
                send_signal(pid, signal.SIGKILL)

    def _hire(self, fd: int, note: bytes) -> Spare:
        """Give a session to the spare worker, or to a fresh one."""
        self._wants_spare = True
        while self._spares:
            _, spare = self._spares.popitem()
            try:
                send_descriptor(spare.door, fd, note)
            except TransportError:  # it was killed
                self._forget(spare)
            else:
                return spare
        spare = self._fork()
        send_descriptor(spare.door, fd, note)
        return spare

    def _keep_spares(self) -> None:
        """Have a worker ready for the next session, or a few."""
        if self._spares or not self._wants_spare:
            return
        self._wants_spare = False  # not again before a session began: it may never live long
        now = time.monotonic()
        self._ahead = min(2 * self._ahead, AHEAD) if now - self._forked_at < SOON else 1
        self._forked_at = now
        with suppress(OSError):  # the next session says what is missing
            for _ in range(self._ahead):
                spare = self._fork()
                self._spares[spare.pid] = spare

    def _fork(self) -> Spare:
        door, inside = socket.socketpair()
        try:
            pid = os.fork()
        except OSError:
            door.close()
            inside.close()
            raise
        if pid == 0:
            self._become_worker(inside, door.fileno())
        inside.close()
        self._numbers.add(door.fileno())
        return Spare(pid, door)

    def _forget(self, spare: Spare) -> None:
        self._numbers.discard(spare.door.fileno())
        spare.door.close()

    def _hear_from(self, session_id: str) -> None:
        """Pass on whether a worker's client is away."""
        door = self._doors[session_id]
        try:
            words = door.recv(4096)
        except OSError:  # it left without having taken what was handed in
            words = b""
        if words:
            self._report(away=session_id, gone=words[-1:] == AWAY)
        else:  # it has ended, or is about to
            self._selector.unregister(door)

    def _hand_in(self, fd: int, ticket: Ticket, note: bytes) -> None:
        """Give a living worker another connection; one that is dead loses it."""
        door = self._doors.get(ticket.session_id)
        try:
            if door is not None:
                send_descriptor(door, fd, note)
        except TransportError:
            LOG.debug("the worker of %s is gone", ticket.session_id)
        finally:
            os.close(fd)

    def _become_worker(self, inside: socket.socket, door: int) -> NoReturn:
        status = 1
        try:
            die_with(self._pid)
            signal.set_wakeup_fd(-1)
            _set_handler(_SIGCHLD, _BY_DEFAULT)
            # By their numbers, as a thousand sockets are not looked at in no time; they stay
            # referred to from here, and so are never closed a second time.
            close_all([door, *self._numbers])
            with suppress(ConnectionClosed):  # the zygote ends, and nobody came
                note, fd = receive_descriptor(inside)
                os.setpgid(0, 0)  # so that what the user's functions start ends with the worker
                ticket = Ticket.from_note(note)
                self._work(fd, ticket, f"{self._folder}/{ticket.session_id}", inside)
            status = 0
        except BaseException:  # noqa: BLE001 -- a worker's last words go to the server's log
            traceback.print_exc()
        finally:
            flush_output()
            os._exit(status)

    def _reap(self, options: int) -> None:
        while self._workers or self._spares:
            try:
                pid, status = os.waitpid(-1, options)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self._spares:
                self._forget(self._spares.pop(pid))
            session_id = self._workers.pop(pid, None)
            if session_id is not None:
                kill_group(pid)
                if self._groups is not None:
                    end_group(group_of(self._groups, session_id))
                self._close_door(session_id)
                folder = f"{self._folder}/{session_id}"
                if os.path.lexists(folder):  # it was killed
                    remove_folder(folder)
                code = os.waitstatus_to_exitcode(status)
                if not self._report(ended=session_id, code=code):
                    self._ended[session_id] = code

    def _close_door(self, session_id: str) -> None:
        door = self._doors.pop(session_id)
        self._numbers.discard(door.fileno())
        if door in self._selector.get_map():
            self._selector.unregister(door)
        door.close()

    def _end_workers(self) -> None:
        for spare in self._spares.values():  # they have nothing to lose
            send_signal(spare.pid, signal.SIGKILL)
            self._forget(spare)
            os.waitpid(spare.pid, 0)
        self._spares = {}
        for pid in self._workers:
            send_signal(pid, signal.SIGTERM)
        patience = time.monotonic() + KILL_AFTER + self._drain
        while self._workers and time.monotonic() < patience:
            self._reap(os.WNOHANG)
            if self._workers:
                time.sleep(0.02)  # macOS has no sigtimedwait
        for pid, session_id in self._workers.items():
            kill_group(pid)
            send_signal(pid, signal.SIGKILL)
            if self._groups is not None:
                end_group(group_of(self._groups, session_id))

    def _report(self, **fields: Any) -> bool:
        """Tell the broker; False when it is gone, as the next receive says."""
        try:
            self._control.sendall(json.dumps(fields).encode() + b"\n")
        except OSError:
            return False
        return True
