"""Another machine by way of the system's own ssh: Unix socket to Unix socket, no open port.

``ssh`` is a program that people have set up already: keys, agents, jump hosts, known hosts, second
factors. It is started once for each address and process, as the master of a control socket, and
runs ``rpcnb find`` over there, which finds a server of that user, or starts one, and says in one line
where its Unix socket is and what its secret is. That line is the only way the secret takes, inside
ssh. Then the master is told to forward a Unix socket in a folder of mode 0700 here to the one over
there: nobody else on either machine can connect to an end of it.

``RPCNB_SSH`` replaces the program's name and may add options: ``RPCNB_SSH="ssh -F my_config"``.
"""

from __future__ import annotations

import atexit
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from rpcnb.core.deadline import Deadline
from rpcnb.core.errors import AddressError, ConnectError, TransportError, TransportTimeout
from rpcnb.core.frozen import frozen
from rpcnb.core.limits import KIB
from rpcnb.transport.address import EXAMPLES, Address
from rpcnb.transport.base import Backend
from rpcnb.transport.sockets import wait_for_any
from rpcnb.transport.unix import UnixBackend

if TYPE_CHECKING:
    from rpcnb.transport.base import Listener, Transport

OPTIONS = {
    "ExitOnForwardFailure": "yes",
    "StreamLocalBindMask": "0177",
    "ServerAliveInterval": "5",
    "ServerAliveCountMax": "3",
    "ControlPersist": "no",
    "ForwardX11": "no",
    "ForwardAgent": "no",
    "PermitLocalCommand": "no",
}
"""A silent network is noticed after 20 s, as on other connections; nothing else is forwarded."""
LONGEST_ANSWER = 64 * KIB
"""Bytes that the other side may say before it has said where its server is."""
LAST_WORDS = 2.0
"""Seconds for ssh to end."""
NOT_FOUND = 127
"""What a shell reports of a command that it does not know."""


class SshBackend(Backend):
    """``ssh://user@host:port?command=…&serve=…``; all but the host may be left out."""

    def connect(self, address: Address, timeout: float | None) -> Transport:
        return tunnel_to(address, timeout).connect(timeout)

    def listen(self, address: Address) -> Listener:
        message = f"nobody can listen at {address}; start `rpcnb serve` over there"
        raise AddressError(message)


@frozen
class Answer:
    """What the other side says of its server."""

    socket: str
    """Path of its Unix socket, over there."""
    token: str = field(repr=False)


class Tunnel:
    """One ssh process and what it forwards.

    Parameters
    ----------
    address : Address
        Of the scheme ``ssh``.
    deadline : Deadline
        For everything up to a forwarded socket.

    Raises
    ------
    ConnectError, TransportTimeout
        There is no way, with what ssh said about it.
    AddressError
        The query has something that nobody knows.
    """

    def __init__(self, address: Address, deadline: Deadline) -> None:
        self._address = address
        self._remote_command = _remote_command(address)
        self._folder = Path(tempfile.mkdtemp(prefix="rpcnb-ssh-"))  # made with mode 0700
        self._errors = self._folder / "errors"
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._process = self._start()
            self.answer = self._read_answer(self._process, deadline)
            self._forward(deadline)
        except BaseException:
            self.close()
            raise

    @property
    def alive(self) -> bool:
        """Whether ssh still runs."""
        return self._process is not None and self._process.poll() is None

    def connect(self, timeout: float | None) -> Transport:
        """Connect to the server over there."""
        local = Address("unix", path=str(self._folder / "s"))
        return UnixBackend().connect(local, timeout)

    def _command(self, *options: str) -> list[str]:
        """Return a command line of ssh for our control socket."""
        program = shlex.split(os.environ.get("RPCNB_SSH", "ssh"))
        port = [] if self._address.port is None else ["-p", str(self._address.port)]
        # No "--" is needed: an address does not begin with a dash.
        return [*program, "-S", str(self._folder / "c"), *port, *options, self._address.host]

    def _start(self) -> subprocess.Popen[bytes]:
        options = [f"-o{name}={value}" for name, value in OPTIONS.items()]
        if not (sys.stdin and sys.stdin.isatty()):  # nobody could answer what it might ask
            options.append("-oBatchMode=yes")
        command = [*self._command("-M", "-T", *options), self._remote_command]
        with self._errors.open("wb") as errors:
            try:
                return subprocess.Popen(  # noqa: S603 -- a list, no shell here
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
                )
            except OSError as error:
                message = f"ssh cannot be started ({error.strerror}); is OpenSSH installed?"
                raise ConnectError(message) from error

    def _read_answer(self, process: subprocess.Popen[bytes], deadline: Deadline) -> Answer:
        """Read lines until one is an answer: a login shell may greet people first."""
        assert process.stdout is not None  # it was asked for
        said = bytearray()
        while len(said) < LONGEST_ANSWER:
            if not wait_for_any([process.stdout.fileno()], deadline.remaining()):
                message = f"no answer from {self._address} in time{self._complaint()}"
                raise TransportTimeout(message)
            part = os.read(process.stdout.fileno(), 4096)
            if not part:
                raise self._failure(process)
            said += part
            for line in bytes(said).split(b"\n")[:-1]:
                answer = _answer_in(line)
                if answer is not None:
                    return answer
        message = f"{self._address} says a lot, and not where its server is"
        raise ConnectError(message)

    def _forward(self, deadline: Deadline) -> None:
        """Tell the master to forward a socket of ours to the server's."""
        where = f"{self._folder / 's'}:{self.answer.socket}"
        self._control("forward", "-L", where, timeout=deadline.remaining())

    def _control(self, order: str, *options: str, timeout: float | None) -> None:
        command = self._command("-O", order, *options)
        try:
            done = subprocess.run(  # noqa: S603 -- as above
                command, capture_output=True, timeout=timeout, check=False, stdin=subprocess.DEVNULL
            )
        except subprocess.TimeoutExpired as error:
            message = f"no answer from ssh for {self._address} in time"
            raise TransportTimeout(message) from error
        if done.returncode:
            message = f"ssh to {self._address} forwards nothing: {_shown(done.stderr)}"
            raise ConnectError(message)

    def _failure(self, process: subprocess.Popen[bytes]) -> ConnectError:
        with suppress(subprocess.TimeoutExpired):
            process.wait(LAST_WORDS)
        host = self._address.host
        if process.returncode == NOT_FOUND:
            return ConnectError(
                f"there is no rpcnb at {host}{self._complaint()}; install it there, or say where it "
                f"is: ssh://{host}?command=/path/to/rpcnb"
            )
        return ConnectError(
            f"ssh did not get through to {host}{self._complaint()}; if it has to ask something, set "
            f"up a key or an agent, and try in a terminal:  ssh {host} true"
        )

    def _complaint(self) -> str:
        """Return what ssh said, as part of a sentence."""
        try:
            said = _shown(self._errors.read_bytes()[-2000:])
        except OSError:
            return ""
        return f" ({said})" if said else ""

    def close(self) -> None:
        """End ssh, and remove what is left of it.  Idempotent."""
        process = self._process
        if process is not None:
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(LAST_WORDS)
            if process.poll() is None:
                process.kill()
                process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


_tunnels: dict[Address, Tunnel] = {}
_lock = threading.Lock()


def tunnel_to(address: Address, timeout: float | None) -> Tunnel:
    """Return the way to a machine: the one there is, or a new one.

    Raises
    ------
    ConnectError, TransportTimeout, AddressError
        See `Tunnel`.
    """
    with _lock:
        tunnel = _tunnels.get(address)
        if tunnel is not None and not tunnel.alive:
            del _tunnels[address]
            tunnel.close()
            tunnel = None
        if tunnel is None:
            tunnel = _tunnels[address] = Tunnel(address, Deadline.after(timeout))
        return tunnel


@atexit.register
def close_tunnels() -> None:
    """End every ssh that was started here."""
    with _lock:
        while _tunnels:
            _tunnels.popitem()[1].close()


def _remote_command(address: Address) -> str:
    """Return what the shell over there is to run."""
    known = {"command": "rpcnb", "serve": ""}
    for name, value in parse_qsl(address.query, keep_blank_values=True):
        if name not in known:
            message = f"{address} has an unknown option {name!r}; for example {EXAMPLES['ssh']}"
            raise AddressError(message)
        known[name] = value
    # `exec`, so that no shell stands between ssh's end and the end of what it runs.
    words = ["exec", shlex.quote(known["command"]), "find", "--start"]
    return " ".join(words + ([shlex.quote(known["serve"])] if known["serve"] else []))


def _answer_in(line: bytes) -> Answer | None:
    """Return the answer that a line is; None when it is none."""
    if not line.startswith(b'{"rpcnb":'):
        return None
    try:
        said = json.loads(line)["rpcnb"]
        path, token = said["socket"], said["token"]
    except (ValueError, KeyError, TypeError):
        return None
    if not (isinstance(path, str) and isinstance(token, str) and path.startswith("/")):
        return None
    if ":" in path or not path.isprintable():  # it becomes part of an option of ssh
        message = "the server's socket has a path that cannot be forwarded"
        raise TransportError(message)
    return Answer(path, token)


def _shown(said: bytes) -> str:
    """Return the last lines that a program wrote, fit for a message."""
    lines = [line.strip() for line in said.decode(errors="replace").splitlines() if line.strip()]
    text = " / ".join(lines[-3:])[:400]
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
