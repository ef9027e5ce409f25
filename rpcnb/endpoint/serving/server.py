"""`Server`: serves what this process has registered, to any number of clients at once."""

from __future__ import annotations

import ctypes
import gc
import importlib
import importlib.util
import logging
import os
import socket
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from rpcnb.core.errors import AddressError, RpcnbError, SessionError
from rpcnb.core.limits import DEFAULT_LIMITS, Limits
from rpcnb.core.version import VERSION
from rpcnb.endpoint.credentials import (
    ConnectionFile,
    Key,
    fingerprint_of,
    new_token,
    read_connection_file,
    secret_of,
    shortcut_url,
    token_of,
    write_connection_file,
)
from rpcnb.endpoint.serving.audit import AuditLog, Notes
from rpcnb.endpoint.serving.broker import Broker
from rpcnb.endpoint.serving.descriptors import ensure_descriptors
from rpcnb.endpoint.serving.estate import Estate, EstateFile, clear_away, find_estate
from rpcnb.endpoint.serving.keyring import Keyring
from rpcnb.endpoint.serving.staff import ProcessStaff, Staff, ThreadStaff
from rpcnb.endpoint.serving.worker import GRACE, LEASE, Crew, Service, serve_on_thread
from rpcnb.endpoint.share_links import narrowed, share_caveats
from rpcnb.session.backend import backend_module
from rpcnb.session.functions import REGISTRY, FunctionRegistry
from rpcnb.session.processes import parent_group
from rpcnb.transport import registry as transports
from rpcnb.transport.address import Address, bracketed, parse_address

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rpcnb.session.base import RPCSession
    from rpcnb.transport.base import Listener, Transport

LOG = logging.getLogger("rpcnb.server")


class Server:
    """A server; listening from `start` (or the ``with`` block's begin) to `close`.

    Parameters
    ----------
    port : int
        TCP port; 0 takes a free one.
    host : str
        Address to listen on. Beyond loopback all is encrypted: TLS 1.3, with a certificate that is
        made at the start and whose fingerprint is part of the token.
    url : str, optional
        Where to listen instead of a TCP port: ``unix:///path.sock``, ``memory://name``.
    name : str
        What clients see; by default the host's name.
    token : str, optional
        The secret; by default a fresh one, made after the process that forks workers: these cannot
        know it.
    load : sequence of str
        Files or modules that register functions; loaded once, in the process that forks workers.
    registry : FunctionRegistry
        Where the functions are; by default this process's.
    allowed_modules : sequence of str
        What `Remote.load_module` may load; ``numpy.*`` allows all below.
    device_backends : sequence of str
        Array libraries besides NumPy, such as ``torch``; the first that has a device holds new
        arrays there.
    allow_exec : bool
        Let clients run any code as cells, with the rights of this user. Needs worker processes.
    open_next : callable, optional
        Makes the session to serve instead of this process: a gateway.
    in_process : bool, optional
        Run sessions in threads of this process. By default each session gets a worker process
        where that is safe: in a process with one thread that can fork.
    audit_log : path, optional
        Where to write who came and what was refused; see `rpcnb.endpoint.serving.audit`.
    connection_file : path, optional
        Where to write address and secret; by default into the user's runtime folder.
    grace, lease : float [s]
        How long a session waits for a client that is gone without a word, and for anybody when its
        client detached. With 0 it ends at once.
    drain : float [s]
        How long calls that run may go on when the server is closed.

    Notes
    -----
    Thread-safe. Start it from the main thread: a process that forks must have one thread only.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        host: str = "127.0.0.1",
        url: str | None = None,
        name: str = "",
        token: str | None = None,
        load: Sequence[str] = (),
        registry: FunctionRegistry = REGISTRY,
        allowed_modules: Sequence[str] = (),
        device_backends: Sequence[str] = (),
        allow_exec: bool = False,
        open_next: Callable[[], RPCSession] | None = None,
        in_process: bool | None = None,
        connection_file: Path | str | None = None,
        grace: float = GRACE,
        lease: float = LEASE,
        audit_log: Path | str | None = None,
        drain: float = 0.0,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._listen_url = url or listening_url(host, port)
        self.name = name or os.uname().nodename
        self.token = token or ""
        """What a client needs besides the address; complete once started."""
        self._given = secret_of(token) if token else None
        self._load = (*load, *map(backend_module, device_backends))  # before workers are forked
        self._service = Service(
            name=self.name,
            registry=registry,
            allowed_modules=tuple(allowed_modules),
            device_backends=tuple(device_backends),
            allow_exec=allow_exec,
            open_next=open_next,
            grace=grace,
            lease=lease,
            drain=drain,
            limits=limits,
            process_group=parent_group() if limits.session_processes else None,
        )
        self.in_process = not forking_is_safe() if in_process is None else in_process
        if allow_exec and self.in_process:
            raise SessionError(NO_WORKERS)
        self._audit = AuditLog(Path(audit_log).absolute() if audit_log else None)
        self._file = Path(connection_file) if connection_file else None
        self.connection_file: Path | None = None
        """The file that was written; None while not listening."""
        self.url = self._listen_url
        self._shortcut = ""
        self.function_count = 0
        """How many functions it offers; known once started."""
        self._broker: Broker | None = None
        self._estate: EstateFile | None = None
        self._closed = threading.Event()

    def start(self) -> Self:
        """Load the functions and listen.

        Raises
        ------
        ConnectError
            The port is taken, or what encryption needs is not installed.
        SessionError
            A file or module in `load` raised; its traceback is in the notes.
        """
        if self._broker is not None:
            message = "this server was started already"
            raise SessionError(message)
        if self._audit.wanted:  # before workers are forked, which inherit it
            self._service = replace(self._service, notes=Notes())
        ensure_descriptors(self._service.limits.sessions)  # before workers are forked, likewise
        estate = None if self.in_process else find_estate(self._listen_url)
        heir = estate and ProcessStaff.inherit(estate, ignore_end)
        # before listening: a fork would keep the port open
        staff = heir or self._make_staff()
        try:
            listeners = self._listen()
        except BaseException:
            staff.dismiss()
            raise
        try:
            staff.start()
            if estate is not None and heir:
                self._given = Key(bytes.fromhex(estate.secret))
            keyring = self._make_keys()
            self.function_count = staff.function_count or len(self._service.registry.names())
            self.connection_file = write_connection_file(self._describe(keyring), self._file)
        except BaseException:
            for listener in listeners:
                listener.close()
            staff.close()
            raise
        self._broker = Broker(listeners, keyring, self.name, staff, self._service.limits)
        self._broker.passes_on = self._service.open_next is not None
        self._broker.on_rotate = self._rotated
        self._broker.audit = self._audit
        if estate is not None and heir:
            self._broker.inherit(estate.sessions, heir)
            clear_away(estate)
        if isinstance(staff, ProcessStaff):
            self._estate = EstateFile(partial(self._survey, keyring, staff, self._broker))
            self._estate.write()
            self._broker.on_change = self._estate.add
        if self._service.notes is not None:
            self._service.notes.read_into(self._broker.take_note)
        self._audit.write(
            "started", url=self.url.partition("?")[0], pid=os.getpid(), name=self.name
        )
        self._broker.start()
        return self

    def _listen(self) -> list[Listener]:
        """Listen where we were told to, and for clients of this user at a Unix socket as well."""
        listener = transports.listen(self._listen_url)
        self.url = listener.url
        address = parse_address(listener.url)
        if address.port is None or not hasattr(socket, "AF_UNIX"):
            return [listener]
        shortcut = shortcut_url(address.port)
        try:
            listeners = [listener, transports.listen(shortcut)]
        except (OSError, RpcnbError) as error:  # a folder with too long a path, say
            LOG.info("only at %s: %s", self.url, error)
            return [listener]
        self._shortcut = shortcut
        return listeners

    def _survey(self, keyring: Keyring, staff: ProcessStaff, broker: Broker) -> Estate:
        """Return what the next broker at this address needs, should this one be killed."""
        return Estate(
            self.url,
            os.getpid(),
            staff.pid,
            str(staff.folder),
            keyring.secret.hex(),
            broker.bequest(),
        )

    def _make_keys(self) -> Keyring:
        keyring = Keyring(self._given or secret_of(new_token()))
        self.token = token_of(keyring.secret, fingerprint_of(self.url))
        return keyring

    def _rotated(self, secret: bytes) -> None:
        """Write the new secret down where clients of this user find it, and the next broker."""
        if self._estate is not None:
            self._estate.write()
        self.token = token_of(secret, fingerprint_of(self.url))
        if self.connection_file is not None:
            known = read_connection_file(self.connection_file)
            write_connection_file(replace(known, token=self.token), self.connection_file)

    def share(self, role: str = "inspector", functions: str = "", expires: float = 3600.0) -> str:
        """Return a link to give away: an address whose token may do less than this server's own.

        Parameters
        ----------
        role : str
            ``inspector``, ``reader``, ``executor`` or ``exec``.
        functions : str
            Patterns of the registered functions that may be called, with commas between them; by
            default all.
        expires : float [s]
            From now on; sessions that are open then are closed.
        """
        caveats = share_caveats(role, functions, expires)
        return f"{self.url.partition('?')[0]}#{narrowed(self.token, caveats)}"

    def _make_staff(self) -> Staff:
        if self.in_process:
            load_functions(self._load)
            return ThreadStaff(partial(serve_on_thread, self._service), ignore_end)
        service, load = self._service, self._load
        crew = Crew(service)
        return ProcessStaff(
            lambda: prepare(service, load, crew),
            crew.work,
            ignore_end,
            drain=service.drain,
            orphaned=min(service.grace, ORPHANED),
            groups=service.process_group,
        )

    def _describe(self, keyring: Keyring) -> ConnectionFile:
        return ConnectionFile(
            self.url,
            self.token,
            os.getpid(),
            self.name,
            VERSION,
            time.time(),
            admin=token_of(keyring.admin),
            shortcut=self._shortcut,
        )

    def wait(self) -> None:
        """Block until `close` is called, by another thread or a signal handler."""
        while not self._closed.wait(0.5):  # a plain wait would hold signals back on some systems
            pass

    def host(self, transport: Transport, protocol: str, seconds: float | None = None) -> None:
        """Run a session for a greeted client of another protocol; see `Broker.host`."""
        if self._broker is None:
            message = "this server was not started"
            raise SessionError(message)
        self._broker.host(transport, protocol, seconds)

    @property
    def sessions(self) -> int:
        """How many sessions run now."""
        return 0 if self._broker is None else len(self._broker.live_sessions())

    def close(self) -> None:
        """Stop listening and end all sessions; clients are told.  Idempotent."""
        if self._broker is not None and not self._closed.is_set():
            if self.connection_file is not None:
                self.connection_file.unlink(missing_ok=True)
            self._closed.set()
            self._broker.close()
            if self._estate is not None:
                self._estate.remove()
            if self._service.notes is not None:
                self._service.notes.close()
            self._audit.write("stopped", pid=os.getpid())
        self._closed.set()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = (
            "closed" if self._closed.is_set() else "listening" if self._broker else "not started"
        )
        return f"<rpcnb.Server {self.name} {self.url} {state}, {self.sessions} sessions>"


ORPHANED = 60.0
"""Seconds for which workers are kept when the broker is killed."""
NO_WORKERS = (
    "cells need a worker process for each session, which this process cannot have; "
    "start the server in a process of its own: rpcnb serve --allow-exec"
)
WARM = (
    "rpcnb.session.local",
    "rpcnb.session.files",
    "rpcnb.session.tqdm_hook",
    "rpcnb.array.host",  # by name: nothing here knows what it is
    "resource",
)
"""What workers need and the broker does not: loaded before they are forked, it costs each of them
1.5 MB less."""


def listening_url(host: str, port: int) -> str:
    """Return where to listen: without encryption on this machine only."""
    from rpcnb.transport.sockets import is_loopback
    from rpcnb.transport.tcp import resolve

    address = Address("tcp", host, port)
    here = all(is_loopback(family, where[0]) for family, where in resolve(address))
    return f"{'tcp' if here else 'tls'}://{bracketed(host)}:{port}"


def ignore_end(session_id: str, code: int) -> None:
    """Stand in until the broker takes the staff over."""


def forking_is_safe() -> bool:
    """Tell whether worker processes can be forked from this process as it is."""
    return hasattr(os, "fork") and threading.active_count() == 1 and "ipykernel" not in sys.modules


def prepare(service: Service, load: Sequence[str], crew: Crew) -> int:
    """Load everything a worker needs, so that a fork has it; return the number of functions."""
    for module in WARM:
        importlib.import_module(module)
    if service.allow_exec:
        with suppress(ImportError):  # the first cell says what is missing
            importlib.import_module("rpcnb.session.ipython")
    load_functions(load)
    for name in service.registry.names():
        function = service.registry.get(name)
        if function is not None and service.registry.describe(name, function).is_async:
            importlib.import_module("asyncio")
    crew.get_ready()
    # What is here stays shared: a collection in a worker would write to every page of it.
    gc.collect()
    gc.freeze()
    give_back_memory()
    return len(service.registry.names())


def give_back_memory() -> None:
    """Give free memory back to the system, where its C library can.

    A fork has to look at each page of it: loading leaves 5 of 39 MB free, 0.7 ms for each worker.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:  # glibc's own
        trim(0)


def load_functions(load: Sequence[str]) -> None:
    """Import the files and modules that register functions.

    Raises
    ------
    AddressError
        No such file or module.
    """
    for entry in load:
        path = Path(entry)
        if path.suffix == ".py":
            if not path.exists():
                message = f"{entry} does not exist"
                raise AddressError(message)
            sys.path.insert(0, str(path.parent.resolve()))
            spec = importlib.util.spec_from_file_location(path.stem, path)
            assert spec is not None  # a .py file has a spec
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            sys.modules[path.stem] = module
            spec.loader.exec_module(module)
        else:
            importlib.import_module(entry)
