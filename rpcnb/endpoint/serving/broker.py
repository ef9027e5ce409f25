"""The broker: accepts, authenticates, hands over.  It holds no arrays and runs no user code.

Until a peer has proved that it knows the secret, the only code its bytes reach is the handshake's
parser. The dispatcher for its requests does not exist before that, and not in this process.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
import time
from collections import OrderedDict
from functools import partial
from os import urandom  # for `secrets`: see `keyring`
from typing import TYPE_CHECKING, Any

from rpcnb.core.deadline import Deadline
from rpcnb.core.errors import (
    AuthenticationError,
    ConnectionClosed,
    ProtocolError,
    SessionError,
    TransportError,
)
from rpcnb.core.limits import DEFAULT_LIMITS, Limits
from rpcnb.core.roles import grant_of
from rpcnb.endpoint.greeting import KILL, RESUME, exchange, send_due
from rpcnb.endpoint.serving.audit import AuditLog
from rpcnb.endpoint.serving.keyring import may_still_connect
from rpcnb.endpoint.serving.records import SessionRecord, obstacle_for
from rpcnb.endpoint.serving.strangers import Strangers
from rpcnb.endpoint.serving.threads import Threads
from rpcnb.endpoint.serving.ticket import Ticket
from rpcnb.transport import pipes
from rpcnb.wire.handshake import Agreement, Intent
from rpcnb.wire.server_handshake import ServerHandshake

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rpcnb.endpoint.serving.audit import Fact
    from rpcnb.endpoint.serving.keyring import Keyring
    from rpcnb.endpoint.serving.staff import ProcessStaff, Staff
    from rpcnb.transport.base import Listener, Transport

LOG = logging.getLogger("rpcnb.broker")
REMEMBERED = 1024
"""Ended sessions whose ending can still be asked about."""
AUTOPSY_PATIENCE = 2.0
"""Seconds to wait for the report of a session that has just ended."""
ACCEPT_PAUSE = 0.05
"""Seconds between attempts when the system has no resources to accept with."""


class Broker:
    """Accepts peers on its listeners until closed.

    Parameters
    ----------
    listeners : sequence of Listener
        Owned from here on.
    keyring : Keyring
        What peers must know.
    name : str
        What this server is called.
    staff : Staff
        Runs the sessions; started already.
    """

    def __init__(
        self,
        listeners: Sequence[Listener],
        keyring: Keyring,
        name: str,
        staff: Staff,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._listeners = listeners
        self._keyring = keyring
        self._name = name
        self._staff = staff
        self._limits = limits
        self._began = time.time()
        self._strangers = Strangers(limits)
        self._records: OrderedDict[str, SessionRecord] = OrderedDict()
        self._live: dict[str, SessionRecord] = {}
        """Those of them that run: few of the records that are kept, and looked through for each."""
        self._news = threading.Condition()
        self._helpers = Threads("rpcnb-greet")
        self._closing = False
        self.on_rotate: Callable[[bytes], None] = lambda _: None
        """Told the new secret: what is written down elsewhere has to follow."""
        self.on_change: Callable[[dict[str, Any]], None] = lambda _: None
        """Told what the next broker would have to know of a session that began or changed."""
        self.passes_on = False
        """Whether its sessions are gateways to another server's."""
        self.audit = AuditLog()
        staff.on_end = self._on_end
        staff.on_away = self._on_away
        self._threads = [
            threading.Thread(target=self._accept, args=(one,), name="rpcnb-accept", daemon=True)
            for one in listeners
        ]

    def inherit(self, sessions: Sequence[dict[str, Any]], staff: ProcessStaff) -> None:
        """Know the sessions of a broker that was killed, before `start`."""
        for session in sessions:
            record = SessionRecord.from_left(session)
            if record.session_id not in staff.working:
                record.code = staff.ended.get(record.session_id, -signal.SIGKILL)
            else:
                self._live[record.session_id] = record
            self._records[record.session_id] = record

    def bequest(self) -> list[dict[str, Any]]:
        """Return what the next broker would have to know of the sessions."""
        return [record.as_left() for record in self.live_sessions() if record.resume_key]

    def start(self) -> None:
        """Begin to accept."""
        for thread in self._threads:
            thread.start()

    # --- accepting --------------------------------------------------------------------------------

    def _accept(self, listener: Listener) -> None:
        while not self._closing:
            try:
                transport = listener.accept()
            except ConnectionClosed:
                return
            except TransportError as error:
                LOG.warning("cannot accept for now: %s", error)
                time.sleep(ACCEPT_PAUSE)  # out of descriptors, say: trying again at once would spin
                continue
            if self._admit(transport):
                try:
                    self._helpers.run(partial(self._greet, transport))
                except RuntimeError as error:  # no thread to be had
                    LOG.warning("cannot listen to %s for now: %s", transport.peer_address, error)
                    self._strangers.leave(transport)
                    transport.abort()
                    time.sleep(ACCEPT_PAUSE)

    def _admit(self, transport: Transport) -> bool:
        """Count a stranger in, and others out for it; False when it is not listened to."""
        gone = self._strangers.admit(transport)
        for one in gone:
            LOG.info("dropped %s: too many strangers, or failures", one.peer_address)
            self.audit.write("dropped", peer=_place(one))
            one.abort()
        return transport not in gone

    def _greet(self, transport: Transport) -> None:
        """Shake hands with one peer and do what it came for."""
        deadline = Deadline.after(self._limits.preauth_seconds)
        stranger, peer, kept = transport, _place(transport), False
        escort: Callable[[], None] | None = None
        try:
            handshake = ServerHandshake(
                self._keyring.find, self._name, limits=self._limits, channel=transport.channel
            )
            exchange(transport, handshake, "proved", deadline)
            self._strangers.leave(transport)
            self._note_arrival(stranger, handshake.request)
            transport, escort = self._staff.portable(transport, self._helpers.run)
            kept = self._receive(transport, handshake)
        except (ProtocolError, TransportError) as error:
            if isinstance(error, AuthenticationError):
                self._strangers.failed(stranger)
            self.audit.write("not authenticated", peer=peer, why=type(error).__name__)
            LOG.info("refused %s: %s", stranger.peer_address, error)
        except Exception:
            LOG.exception("greeting %s failed", stranger.peer_address)
        finally:
            self._strangers.leave(stranger)
            if not kept:
                transport.close()
        if escort is not None:
            escort()

    def _note_arrival(self, transport: Transport, request: Agreement) -> None:
        self.audit.write(
            "connected",
            peer=_place(transport),
            intent=request.intent.name.lower(),
            key=request.keyid.rstrip(b"\0").decode(errors="replace"),
            caveats=request.caveats,
        )

    def take_note(self, session_id: str, event: str, facts: dict[str, Fact]) -> None:
        """Enter what a worker says of its session into the audit log."""
        if session_id in self._records:
            self.audit.write(f"session {event}", session=session_id, **facts)

    def _receive(self, transport: Transport, handshake: ServerHandshake) -> bool:
        """Serve a peer that has proved itself; True when its connection lives on elsewhere."""
        request = handshake.request
        obstacle = self._obstacle(request)
        if obstacle:
            self.audit.write("refused", why=obstacle, intent=request.intent.name.lower())
        if obstacle and request.intent is Intent.ATTACH:  # a refusal would be tried again
            why = json.dumps({"known": False, "obstacle": obstacle})
            handshake.accept(request.session_id, 0, why)
        elif obstacle:
            handshake.refuse(obstacle)
        elif request.intent is Intent.NEW:
            record = self._find_named(request)
            if record is not None:
                return self._hand_in(record, transport, handshake, resumed=False)
            return self._open_session(transport, handshake)
        elif request.intent is Intent.ATTACH:
            return self._attach(transport, handshake)
        elif request.intent is Intent.ASK:
            handshake.accept(request.session_id, 0, self._ending(request.session_id.hex()))
        elif request.intent is Intent.KILL:
            handshake.accept(request.session_id, 0, self._kill(request))
        else:
            handshake.accept(bytes(16), 0, json.dumps(self._obey(request.session_name)))
        send_due(transport, handshake)
        return False

    def _obstacle(self, request: Agreement) -> str:
        """Return why a peer that has proved itself gets nothing; empty when it does."""
        is_admin = self._keyring.is_admin(request.keyid)
        if is_admin and request.intent is not Intent.CONTROL:
            return "this key administers the server; it opens no session"
        if request.intent is Intent.CONTROL and request.session_name and not is_admin:
            return "this takes the key that administers the server; it is in the connection file"
        return may_still_connect(request.caveats, time.time())

    def _obey(self, command: str) -> dict[str, object]:
        """Carry out what an administrator asks for; without a command, tell how things are."""
        if command in {"rotate", "rotate all"}:
            self.on_rotate(self._keyring.rotate())
            self.audit.write(command)
            if command == "rotate all":
                for record in self.live_sessions():
                    self._staff.end(record.session_id, record.pid)
        return self.status()

    # --- sessions ---------------------------------------------------------------------------------

    def _open_session(self, transport: Transport, handshake: ServerHandshake) -> bool:
        request = handshake.request
        ticket = Ticket(
            urandom(16).hex(),
            request.session_name,
            1,
            request.caveats,
            pipes=pipes.are_possible(transport),
        )
        record = SessionRecord(ticket.session_id, ticket.session_name, request.caveats)
        try:
            self._enter(record)
            record.pid = self._staff.hire(ticket, transport)
        except SessionError as error:
            self._on_end(ticket.session_id, 1)
            handshake.refuse(str(error))
            send_due(transport, handshake)
            return False
        offer = pipes.OFFER if ticket.pipes else ""
        handshake.accept(bytes.fromhex(ticket.session_id), ticket.epoch, offer)
        record.resume_key = handshake.result.resume_key
        self.on_change(record.as_left())
        try:
            send_due(transport, handshake)
        finally:
            self._staff.release(transport)
        LOG.info("session %s for %s: %d", ticket.session_id, transport.peer_address, record.pid)
        self.audit.write(
            "session started",
            session=ticket.session_id,
            name=ticket.session_name,
            role=str(grant_of(ticket.caveats).role),
            pid=record.pid,
        )
        return True

    def host(self, transport: Transport, protocol: str, seconds: float | None) -> None:
        """Run a session for a client of another protocol, and wait for its end.

        Parameters
        ----------
        transport : Transport
            Greeted by who calls, who closes it afterwards.
        seconds : float [s], optional
            How long the session may last.

        Raises
        ------
        SessionError
            It could not be opened.
        """
        ticket = Ticket(urandom(16).hex(), protocol, 1, protocol=protocol, seconds=seconds)
        record = SessionRecord(ticket.session_id, protocol)
        try:
            self._enter(record)
            record.pid = self._staff.hire(ticket, transport)
        except SessionError:
            self._on_end(ticket.session_id, 1)
            raise
        patience = None if seconds is None else seconds + AUTOPSY_PATIENCE
        with self._news:
            if not self._news.wait_for(lambda: record.code is not None, patience):
                self._staff.end(ticket.session_id, record.pid)

    def _find_named(self, request: Agreement) -> SessionRecord | None:
        """Return the session of that name, for somebody with the same rights who takes it up."""
        wanted = request.session_name, request.caveats
        ours = (r for r in self.live_sessions() if r.resume_key)  # not of another protocol
        named = (r for r in ours if (r.name, r.caveats) == wanted)
        return next(named, None) if request.session_name else None

    def _attach(self, transport: Transport, handshake: ServerHandshake) -> bool:
        """Bring a client back to the session that it lost the connection to."""
        request = handshake.request
        with self._news:
            record = self._records.get(request.session_id.hex())
            obstacle = obstacle_for(record, request, RESUME)
        if record is None or obstacle is not None:
            handshake.accept(request.session_id, 0, json.dumps(obstacle))
            send_due(transport, handshake)
            return False
        return self._hand_in(record, transport, handshake, resumed=True)

    def _hand_in(
        self,
        record: SessionRecord,
        transport: Transport,
        handshake: ServerHandshake,
        *,
        resumed: bool,
    ) -> bool:
        """Give a session another connection; True when it has it."""
        with self._news:
            record.epoch += 1
            ticket = Ticket(
                record.session_id, record.name, record.epoch, record.caveats, resumed=resumed
            )
        handshake.accept(bytes.fromhex(record.session_id), ticket.epoch)
        if not resumed:
            record.resume_key = handshake.result.resume_key
        self.on_change(record.as_left())
        send_due(transport, handshake)
        try:
            self._staff.hand_in(ticket, transport)
        except SessionError as error:
            LOG.info("session %s takes no connection: %s", record.session_id, error)
            return False
        self._staff.release(transport)
        how = "resumed" if resumed else "taken up"
        LOG.info("session %s %s by %s", record.session_id, how, transport.peer_address)
        return True

    def _kill(self, request: Agreement) -> str:
        """Kill the process of a session, for the client it belongs to; return what came of it."""
        session_id = request.session_id.hex()
        with self._news:
            record = self._records.get(session_id)
            obstacle = obstacle_for(record, request, KILL)
        if record is None or obstacle is not None:
            return json.dumps(obstacle)
        if self.passes_on:  # what is stuck is on the next server, and that process is its client
            return json.dumps({"known": True, "gateway": True})
        self.audit.write("session killed", session=session_id, name=record.name, pid=record.pid)
        record.killed = True
        try:
            self._staff.kill(session_id)
        except SessionError as error:
            record.killed = False
            return json.dumps({"known": True, "obstacle": str(error)})
        return self._ending(session_id)

    def _enter(self, record: SessionRecord) -> None:
        with self._news:
            if self._closing:
                message = "the server is stopping"
                raise SessionError(message)
            staying = sum(not record.leaving for record in self.live_sessions())
            if staying >= self._limits.sessions and not self._make_room():
                message = f"the server has {self._limits.sessions} sessions open, its limit"
                raise SessionError(message)
            self._records[record.session_id] = self._live[record.session_id] = record
            while len(self._records) > REMEMBERED:
                oldest = next((r for r in self._records.values() if r.code is not None), None)
                if oldest is None:
                    break
                del self._records[oldest.session_id]

    def _on_away(self, session_id: str, away: bool) -> None:  # noqa: FBT001 -- as its type says
        with self._news:
            record = self._records.get(session_id)
            if record is None:
                return
            record.away_since = time.monotonic() if away else None
            abandoned = [r for r in self.live_sessions() if r.away_since and not r.leaving]
            if len(abandoned) > self._limits.detached_sessions:
                self._make_room()

    def _make_room(self) -> bool:
        """End the session that nobody has been connected to for longest; False when there is none."""
        waiting = [
            (r.away_since, r) for r in self.live_sessions() if r.away_since and not r.leaving
        ]
        if not waiting:
            return False
        _, oldest = min(waiting, key=lambda pair: pair[0])
        oldest.leaving = True
        LOG.info("session %s ends: others need its place", oldest.session_id)
        threading.Thread(  # it may want what its own connection's thread holds
            target=self._staff.end, args=(oldest.session_id, oldest.pid), name="rpcnb-end"
        ).start()
        return True

    def _on_end(self, session_id: str, code: int) -> None:
        with self._news:
            record = self._records.get(session_id)
            if record is not None:
                record.code = code
                self._live.pop(session_id, None)
            self._news.notify_all()
        if record is not None:
            seconds = round(time.time() - record.began, 3)
            self.audit.write("session ended", session=session_id, code=code, seconds=seconds)
        LOG.info("session %s ended with %d", session_id, code)

    def _ending(self, session_id: str) -> str:
        """Say how a session ended, as JSON."""
        with self._news:
            record = self._records.get(session_id)
            if record is None:
                return json.dumps({"known": False})
            self._news.wait_for(lambda: record.code is not None, AUTOPSY_PATIENCE)
            return json.dumps(record.fate())

    def live_sessions(self) -> list[SessionRecord]:
        """Return the sessions that run now."""
        return list(self._live.values())

    def status(self) -> dict[str, object]:
        """Return what `rpcnb status` shows: plain numbers and names."""
        return {
            "name": self._name,
            "pid": os.getpid(),
            "uptime": round(time.time() - self._began, 1),
            "sessions": len(self.live_sessions()),
            "ended": len(self._records) - len(self._live),
        }

    def close(self) -> None:
        """Accept nobody any more and end all sessions in an orderly way.  Idempotent."""
        with self._news:
            if self._closing:
                return
            self._closing = True
        for listener in self._listeners:
            listener.close()
        for transport in self._strangers.all():
            transport.close()
        self._staff.close()
        self._helpers.close()
        for thread in self._threads:
            thread.join(timeout=5.0)


def _place(transport: Transport) -> str:
    """Return where a peer comes from; on Unix sockets, which process and user."""
    who = transport.peer_credentials()
    return transport.peer_address if who is None else f"process {who.pid} of user {who.uid}"
