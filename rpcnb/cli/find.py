"""`rpcnb find`: says where a server of this user is; what ``ssh://`` runs on the other machine."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rpcnb.cli.failure import CommandFailed

if TYPE_CHECKING:
    import argparse

    from rpcnb.endpoint.credentials import ConnectionFile

PATIENCE = 30.0
"""Seconds that a server gets to start: it may have to load what it serves."""


def add_parsers(commands: Any, common: argparse.ArgumentParser) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "find",
        parents=[common],
        help="say where a server is, for ssh:// addresses",
        description="Say, as one line of JSON with its secret, where a server of this user is, and "
        "wait until the input ends. This is what `ssh://` addresses run on the other machine.",
    )
    parser.set_defaults(run=run)
    parser.add_argument("serve", nargs="?", metavar="FILE.py", help="what a new server is to serve")
    parser.add_argument("--start", action="store_true", help="start a server if none runs")


def run(args: argparse.Namespace) -> int:
    """Print the line, and stay: the tunnel ends with this process."""
    info = _the_server(args.serve) or (_start(args.serve) if args.start else None)
    if info is None:
        raise CommandFailed("no server of yours runs here; start one with: rpcnb serve FILE.py")
    socket = _socket_of(info).removeprefix("unix://")
    print(json.dumps({"rpcnb": {"socket": socket, "token": info.token}}), flush=True)
    sys.stdin.read()
    return 0


def _the_server(serve: str | None) -> ConnectionFile | None:
    """Return a server that can be reached by a Unix socket: the one for that file, or the youngest."""
    from rpcnb.endpoint.credentials import running_servers

    infos = [info for _, info in running_servers() if _socket_of(info)]
    if serve is not None:
        infos = [info for info in infos if info.url == f"unix://{_socket_for(serve)}"]
    return max(infos, key=lambda info: info.started, default=None)


def _socket_of(info: ConnectionFile) -> str:
    return info.url if info.url.startswith("unix://") else info.shortcut


def _socket_for(serve: str | None) -> Path:
    """Return where a server that is started here listens: one place for each file."""
    from hashlib import sha256

    from rpcnb.endpoint.credentials import runtime_folder

    name = sha256(str(Path(serve).expanduser().resolve()).encode()).hexdigest()[:8] if serve else ""
    return runtime_folder() / f"ssh-{name or 'any'}.sock"


def _start(serve: str | None) -> ConnectionFile:
    """Start a server that outlives this process.

    Without a file it runs cells: who came by ssh could run a Python just as well.
    """
    from rpcnb.endpoint.credentials import runtime_folder

    what = [str(Path(serve).expanduser())] if serve else ["--allow-exec"]
    command = [sys.executable, "-m", "rpcnb", "serve", *what, "--unix", str(_socket_for(serve))]
    log = runtime_folder() / "ssh-server.log"
    log.touch(mode=0o600)
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 -- a list, no shell
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    ends = time.monotonic() + PATIENCE
    while time.monotonic() < ends:
        info = _the_server(serve)
        if info is not None:
            return info
        if process.poll() is not None:
            last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
            raise CommandFailed(f"no server could be started: {''.join(last)}")
        time.sleep(0.05)  # a file appears; nobody tells
    process.terminate()
    raise CommandFailed(f"the server did not start within {PATIENCE:.0f} s; see {log}")
