"""`rpcnb serve`: offers what Python files register, until it is told to stop."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import traceback
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rpcnb.cli.failure import CommandFailed, of_the_user
from rpcnb.cli.options import host_and_port, port_number, seconds, size
from rpcnb.cli.servers import how_to_connect, short_address, token_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from rpcnb.core.errors import SessionError
    from rpcnb.endpoint.serving.server import Server
    from rpcnb.transport.base import Transport

EPILOG = """\
examples:
  rpcnb serve lab_functions.py                        on 127.0.0.1:9090
  rpcnb serve lab_functions.py --port 0               on a free port
  rpcnb serve lab_functions.py --allow-module 'numpy.*'
  rpcnb serve --allow-exec                            run whole cells: %%remote in a notebook
  rpcnb serve --forward 127.0.0.1:9090 --port 9091    a gateway to another server
  rpcnb serve lab_functions.py --tvm-port 9190 --key lab     for TVM clients, too
  rpcnb serve lab_functions.py --tvm-port 9190 --key lab --tracker 127.0.0.1:9191

SIGTERM and Ctrl-C end it in an orderly way, a second Ctrl-C at once. SIGQUIT to the process of a
session ("pid" in remote.stats()) writes what its threads do to standard error; it goes on.
"""
TVM_WORKER = "rpcnb.endpoint.tvm.worker"
"""What serves TVM clients: loaded with the functions, it does not cost each worker 20 ms."""
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """A signal said that it is time to stop."""


def add_parsers(commands: Any, common: argparse.ArgumentParser) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "serve",
        parents=[common],
        help="serve the functions that Python files register",
        description="Serve the functions that Python files or modules register.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    add = parser.add_argument
    add("load", nargs="*", metavar="FILE.py|MODULE", help="registers functions when it is imported")
    _add_place(parser)
    add("--name", default="", help="what clients see (the host's name)")
    add(
        "--allow-module",
        action="append",
        default=[],
        metavar="NAME",
        help="let clients load this module; 'numpy.*' allows all below; may be repeated",
    )
    add(
        "--allow-exec",
        action="store_true",
        help="let clients run any code as cells (%%%%remote), with your rights on this machine",
    )
    _add_quotas(parser)
    add(
        "--audit-log",
        metavar="PATH",
        help="write who came and what was refused there, as lines of JSON without values or secrets",
    )
    add(
        "--connection-file",
        metavar="PATH",
        help="where to write address and secret (a file in your runtime folder)",
    )
    add(
        "--device-backend",
        action="append",
        default=[],
        metavar="NAME",
        help="hold arrays in this library instead of NumPy: torch, or module:Class",
    )
    add("--forward", metavar="HOST:PORT", help="serve another server's session: a gateway")
    _add_times(parser)
    add(
        "--in-process",
        action="store_true",
        help="run sessions in threads of this process instead of worker processes",
    )
    _add_tvm(parser)
    levels = ["debug", "info", "warning", "error"]
    add("--log-level", choices=levels, default="warning", help="of the log on stderr (warning)")


def _add_times(parser: argparse.ArgumentParser) -> None:
    """Declare how long what is kept."""
    add = parser.add_argument
    add(
        "--grace",
        type=seconds,
        default=3600,
        metavar="SECONDS",
        help="how long a session waits for a lost client (3600)",
    )
    add(
        "--lease",
        type=seconds,
        default=86400,
        metavar="SECONDS",
        help="how long a session that was left waits (86400)",
    )
    add(
        "--drain",
        type=seconds,
        default=30,
        metavar="SECONDS",
        help="how long running calls may go on at the end (30)",
    )


def _add_tvm(parser: argparse.ArgumentParser) -> None:
    """Declare what is about TVM's own clients."""
    add = parser.add_argument
    add(
        "--tvm-port",
        type=port_number,
        metavar="PORT",
        help="serve TVM clients there, too; TVM has no secret: every user of this machine may call",
    )
    add("--key", default="rpcnb", help="what TVM clients ask for (rpcnb)")
    add(
        "--tracker",
        type=host_and_port,
        metavar="HOST:PORT",
        help="tell a TVM tracker when the TVM port is free; only clients that it sends are let in",
    )


def _add_quotas(parser: argparse.ArgumentParser) -> None:
    """Declare what one session may take."""
    add = parser.add_argument
    add(
        "--session-memory",
        type=size,
        default=0,
        metavar="SIZE",
        help="memory one session may take, such as 16G (half of the machine's; Linux)",
    )
    add(
        "--session-processes",
        type=int,
        default=0,
        metavar="N",
        help="processes and threads one session may have (no bound; Linux)",
    )


def _add_place(parser: argparse.ArgumentParser) -> None:
    """Declare where to listen."""
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--port", type=port_number, default=9090, help="TCP port; 0 takes a free one (9090)"
    )
    where.add_argument("--unix", metavar="PATH", help="listen on a Unix socket instead")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on (127.0.0.1); beyond this machine everything is encrypted",
    )


def run(args: argparse.Namespace) -> int:
    """Serve until a signal says stop."""
    logging.basicConfig(level=args.log_level.upper(), format="%(asctime)s %(name)s: %(message)s")
    server = make_server(args)
    handlers = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    try:
        _listen_for_signals(server)
        start(server, args)
        announce(server)
        with serving_tvm(server, args):
            server.wait()
    except Stopped:
        if sys.stdout.isatty():
            print("\nstopping; Ctrl-C again ends it at once")
    finally:
        server.close()
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return 0


def make_server(args: argparse.Namespace) -> Server:
    """Return the server that was described, not started."""
    from rpcnb.core.limits import DEFAULT_LIMITS
    from rpcnb.endpoint.serving.server import Server

    given = (args.load, args.forward, args.allow_module, args.device_backend, args.allow_exec)
    if not any(given):
        message = (
            "nothing to serve: name a FILE.py or module, or give --allow-module, --allow-exec "
            "or --forward"
        )
        raise CommandFailed(message, status=2)
    if args.allow_exec and args.forward:
        message = "whether cells may run is said where they run: give --allow-exec to that server"
        raise CommandFailed(message, status=2)
    if args.tracker is not None and args.tvm_port is None:
        raise CommandFailed("--tracker sends TVM clients: give --tvm-port, too", status=2)
    for entry in args.load:
        if entry.endswith(".py") and not Path(entry).is_file():
            raise CommandFailed(f"there is no file {entry}", status=2)
    sys.path.insert(0, str(Path.cwd()))  # where a user expects a module to be found
    return Server(
        args.port,
        host=args.host,
        url=f"unix://{Path(args.unix).absolute()}" if args.unix else None,
        name=args.name,
        load=[*args.load, *([] if args.tvm_port is None else [TVM_WORKER])],
        allowed_modules=args.allow_module,
        device_backends=args.device_backend,
        allow_exec=args.allow_exec,
        open_next=_next_hop(args.forward) if args.forward else None,
        in_process=args.in_process,
        grace=args.grace,
        lease=args.lease,
        drain=args.drain,
        connection_file=args.connection_file,
        audit_log=args.audit_log,
        limits=replace(
            DEFAULT_LIMITS,
            session_memory=args.session_memory,
            session_processes=max(0, args.session_processes),
        ),
    )


def _next_hop(url: str) -> Any:
    """Return what opens a session on the server to forward to, having tried once."""
    from rpcnb.endpoint.client.connect import ask_status, open_session, parse_url

    target = parse_url(url)
    if target.scheme.startswith("tvm"):  # no secret, and nothing to ask but for a session
        open_session(url).shutdown()
        return lambda: open_session(url)
    token = target.token or token_for(target.transport_url)
    ask_status(target.transport_url, token)
    return lambda: open_session(target.transport_url, token=token)


def start(server: Server, args: argparse.Namespace) -> None:
    """Start a server; what a user can do something about becomes `CommandFailed`."""
    from rpcnb.core.errors import PermissionDenied, RpcnbError, SessionError

    try:
        server.start()
    except SessionError as error:  # the process that loads failed, unless
        if isinstance(error, PermissionDenied):
            raise
        raise _load_failure(error) from error
    except RpcnbError:
        raise
    except Exception as error:
        if not args.in_process:
            raise
        raise _failure(f"{type(error).__name__}: {error}", traceback.format_exc()) from error
    _mark_as_dedicated(server)


def _load_failure(error: SessionError) -> CommandFailed:
    return _failure(str(error), "".join(getattr(error, "__notes__", ())))


def _failure(what: str, trace: str) -> CommandFailed:
    shown = of_the_user(trace)
    return CommandFailed(f"cannot load what is to be served: {what}\n\n{shown}".rstrip())


def _mark_as_dedicated(server: Server) -> None:
    """Note in the connection file that this process may be ended to stop the server."""
    from dataclasses import replace

    from rpcnb.endpoint.credentials import read_connection_file, write_connection_file

    path = server.connection_file
    assert path is not None  # it was started
    write_connection_file(replace(read_connection_file(path), dedicated=True), path)


def announce(server: Server) -> None:
    """Say where it listens; how to connect, with the secret, on a terminal only."""
    count = server.function_count
    functions = "1 function" if count == 1 else f"{count} functions"
    print(f"serving {functions} on {short_address(server.url)}")
    print(f"connection file: {server.connection_file}", flush=True)
    if sys.stdout.isatty():
        print(f"\n{how_to_connect(server.url, server.token)}\n\nCtrl-C stops it.", flush=True)


@contextmanager
def serving_tvm(server: Server, args: argparse.Namespace) -> Iterator[None]:
    """Serve TVM clients, if that was asked for: each by a worker, as all others."""
    if args.tvm_port is None:
        yield
        return
    from rpcnb.endpoint.tvm.server import TVMServer
    from rpcnb.endpoint.tvm.worker import PROTOCOL

    def serve(transport: Transport, seconds: float | None) -> None:
        server.host(transport, PROTOCOL, seconds)

    with TVMServer(serve, args.key, args.tvm_port, tracker=args.tracker) as tvm:
        print(f"serving TVM clients with the key {args.key} on 127.0.0.1:{tvm.port}", flush=True)
        yield


def _listen_for_signals(server: Server) -> None:
    """Let the first signal raise `Stopped`, and a second Ctrl-C end the process at once."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGINT, end_at_once)
        raise Stopped

    def end_at_once(_number: int, _frame: FrameType | None) -> None:
        if server.connection_file is not None:
            server.connection_file.unlink(missing_ok=True)
        os._exit(130)  # workers follow: they lose the process that forks them

    for number in STOP_SIGNALS:
        signal.signal(number, stop)
