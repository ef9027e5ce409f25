"""Starts what the demo needs, side by side, and ends all of it however the demo ends."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import rpcnb

if TYPE_CHECKING:
    from collections.abc import Iterator

USUAL_PORT = 9090
"""What the notebooks say."""
QUICKSTART = "01_quickstart.ipynb"
PATIENCE = 10.0
"""Seconds a process gets to end after SIGTERM."""
_LAB_ADDRESS = re.compile(r"http://(localhost|127\.0\.0\.1):\d+/\S*token=\S+")
_SERVING = re.compile(r"serving \d+ functions? on 127\.0\.0\.1:(\d+)")


class DemoFailed(Exception):
    """Something the demo needs is missing or did not start; says what to do."""


class _Stopped(BaseException):
    """A signal said that it is time to stop."""


def run_demo(*, port: int | None = None, browser: bool = True, execute: bool = False) -> int:
    """Run the demo until it is stopped, or until its notebook has run.

    Parameters
    ----------
    port : int, optional
        Of the server; by default 9090, or a free one if that is taken.
    browser : bool
        Open one.
    execute : bool
        Run the quickstart notebook here and print its outputs, instead of starting JupyterLab.

    Returns
    -------
    int
        Exit status.

    Raises
    ------
    DemoFailed
    """
    _require("nbclient" if execute else "jupyterlab")
    try:
        with _signals_stop(), contextlib.ExitStack() as stack:
            notebooks = stack.enter_context(_notebooks())
            used = stack.enter_context(_server(_choose_port(port)))
            if used != USUAL_PORT:
                notebooks = stack.enter_context(_changed_copy(notebooks, used))
            print(f"demo functions on 127.0.0.1:{used}", flush=True)
            if execute:
                from rpcnb.demo.execute import execute_notebook

                return 0 if execute_notebook(notebooks / QUICKSTART) else 1
            return _run_lab(notebooks, browser=browser)
    except _Stopped:
        print("stopped", file=sys.stderr)
        return 0


def _require(module: str) -> None:
    from importlib.util import find_spec

    if find_spec(module) is None:
        raise DemoFailed(f"{module} is not installed here; pip install 'rpcnb[demo]' brings it")


@contextlib.contextmanager
def _signals_stop() -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and a closed terminal raise `_Stopped`, once."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def stop(*_: object) -> NoReturn:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)  # the processes are being ended
        raise _Stopped

    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# --- notebooks --------------------------------------------------------------------------------


@contextlib.contextmanager
def _notebooks() -> Iterator[Path]:
    """Give the folder of notebooks: the checkout's own, or a copy of those in the package."""
    package = Path(rpcnb.__file__).parent
    checkout = package.parent
    if (checkout / "pyproject.toml").is_file() and (checkout / "notebooks").is_dir():
        yield checkout / "notebooks"
        return
    shipped = package / "demo" / "notebooks"
    if not shipped.is_dir():
        raise DemoFailed("the notebooks are missing from this installation; install rpcnb again")
    folder = Path.cwd() / "rpcnb-notebooks"  # kept: whoever changes a notebook wants it back
    if not folder.exists():
        shutil.copytree(shipped, folder)
    print(f"notebooks in {folder}")
    yield folder


@contextlib.contextmanager
def _changed_copy(notebooks: Path, port: int) -> Iterator[Path]:
    """Give a copy of the notebooks which names another port."""
    print(f"port {USUAL_PORT}, which the notebooks name, is not used: they are copied and changed,")
    print("and the copy is removed at the end; save elsewhere what you want to keep")
    with tempfile.TemporaryDirectory(prefix="rpcnb-demo-") as folder:
        copy = Path(folder) / "notebooks"
        shutil.copytree(notebooks, copy, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
        for path in copy.glob("*.ipynb"):
            text = path.read_text(encoding="utf-8")
            path.write_text(text.replace(f"127.0.0.1:{USUAL_PORT}", f"127.0.0.1:{port}"), "utf-8")
        yield copy


# --- processes --------------------------------------------------------------------------------


def _choose_port(wanted: int | None) -> int:
    """Return the port to ask for: the usual one unless somebody has it."""
    if wanted is not None:
        return wanted
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", USUAL_PORT))
        except OSError:
            return 0
    return USUAL_PORT


@contextlib.contextmanager
def _server(port: int) -> Iterator[int]:
    """Run a server with the demo functions; give the port it has."""
    command = ["-m", "rpcnb", "serve", "rpcnb.demo.functions", "--name", "demo", f"--port={port}"]
    with _process(*command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None  # a pipe was asked for
        match = _SERVING.match(process.stdout.readline())
        if match is None:
            raise DemoFailed("the server did not start; its message is above")
        yield int(match[1])


def _run_lab(notebooks: Path, *, browser: bool) -> int:
    """Run JupyterLab until it ends, showing its address and its warnings."""
    command = [
        "-m",
        "jupyterlab",
        f"--ServerApp.root_dir={notebooks}",
        f"--LabApp.default_url=/lab/tree/{QUICKSTART}",
        "--LabApp.news_url=",
        *([] if browser else ["--no-browser"]),
        *(["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),
    ]
    told = False
    with _process(*command, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None  # a pipe was asked for
        for line in process.stderr:
            address = None if told else _LAB_ADDRESS.search(line)
            if address is not None:
                told = True
                print(f"JupyterLab on {address[0]}\nCtrl-C stops everything", flush=True)
            elif line.startswith(("[W", "[E")):
                print(line, end="", file=sys.stderr)
        status = process.wait()
    if not told:
        raise DemoFailed(f"JupyterLab did not start (exit status {status}); try: jupyter lab")
    return status


@contextlib.contextmanager
def _process(
    *arguments: str, stdout: int | None = None, stderr: int | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Run a Python process and end it at the end of the block.

    It has a session of its own: Ctrl-C reaches this process alone, which ends the others in order.
    """
    process = subprocess.Popen(  # noqa: S603 -- our own arguments
        [sys.executable, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
