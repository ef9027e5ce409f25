"""The secrets of a server and of its clients are nowhere but where they must be."""

from __future__ import annotations

import base64
import json
import logging
import os
import re
import subprocess
import sys
import traceback
from contextlib import suppress
from pathlib import Path

import nbformat
import psutil
import pytest
from nbclient import NotebookClient

import rpcnb
from rpcnb.core.errors import RpcnbError
from rpcnb.endpoint.client.connect import open_session, parse_url
from rpcnb.endpoint.credentials import read_connection_file, secret_of

ROOT = Path(__file__).parent.parent.parent
LAB = """
import rpcnb, os
@rpcnb.register("lab.fail")
def fail(): raise RuntimeError("on purpose")
@rpcnb.register("lab.environment")
def environment(): return dict(os.environ)
"""


def forms(token: str) -> dict[str, bytes]:
    """Return the ways in which a secret could show itself."""
    secret = bytes(secret_of(token))
    text = base64.b32encode(secret).decode().rstrip("=")
    return {
        "token": text.lower().encode(),
        "capitals": text.encode(),
        "bytes": secret,
        "hex": secret.hex().encode(),
        "repr": repr(secret)[2:-1].encode(),
        "base 64": base64.b64encode(secret).rstrip(b"="),
    }


def memory_of(pid: int) -> bytes:
    """Return what a process holds."""
    parts = []
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            start, end, access = re.match(r"(\w+)-(\w+) (\S+)", line).groups()
            if access.startswith("rw") and "[v" not in line:
                memory.seek(int(start, 16))
                with suppress(OSError):
                    parts.append(memory.read(int(end, 16) - int(start, 16)))
    return b"".join(parts)


@pytest.fixture
def family(tmp_path):
    """Give a server as users start it, its log at DEBUG, its connection file and its processes."""
    (tmp_path / "lab.py").write_text(LAB)
    file, log = tmp_path / "server.json", tmp_path / "log"
    command = [sys.executable, "-m", "rpcnb", "serve", "lab.py", "--host", "0.0.0.0", "--port", "0"]
    command += ["--log-level", "debug", "--connection-file", str(file)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "RPCNB_RUNTIME_DIR": str(tmp_path)}
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=stderr
        )
    try:
        said = process.stdout.readline() + process.stdout.readline()
        yield process, file, log, said
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_the_secret_is_in_no_command_environment_log_repr_traceback_or_worker(
    family, caplog, monkeypatch, tmp_path
):
    monkeypatch.setenv("RPCNB_RUNTIME_DIR", str(tmp_path))
    process, file, log, said = family
    info = read_connection_file(file)
    needles = {
        f"{whose} as {form}": needle
        for whose, token in (("secret", info.token), ("administration", info.admin))
        for form, needle in forms(token).items()
    }
    hay = {"what the server printed": said, "repr": repr(info).encode()}
    with caplog.at_level(logging.DEBUG):
        port = info.url.partition("?")[0].rpartition(":")[2]
        link = f"rpcnb://127.0.0.1:{port}/#{info.token}"
        hay["target"] = repr(parse_url(link)).encode()
        with rpcnb.connect(link) as remote:
            hay["remote"] = f"{remote!r} {remote.url} {rpcnb.manager.table()}".encode()
            hay["session"] = f"{remote.session!r} {remote.session.agreement!r}".encode()
            hay["environment over there"] = json.dumps(remote.fn.lab.environment()).encode()
            for use in (remote.fn.lab.fail, lambda: open_session(link.replace(port, "1"))):
                try:
                    use()
                except RpcnbError as error:
                    hay[f"traceback of {type(error).__name__}"] = "".join(
                        traceback.TracebackException.from_exception(
                            error, capture_locals=False
                        ).format()
                    ).encode()
            for one in [psutil.Process(process.pid), *psutil.Process(process.pid).children(True)]:
                for name in ("cmdline", "environ"):
                    path = Path(f"/proc/{one.pid}/{name}")
                    hay[f"{name} of {one.pid}"] = path.read_bytes()
            for worker in psutil.Process(process.pid).children(True)[1:]:  # one is spare
                hay[f"memory of {worker.pid}"] = memory_of(worker.pid)
            assert needles["secret as bytes"] in memory_of(process.pid)  # so it would be seen
    hay["log of the client"] = caplog.text.encode()
    hay["log of the server"] = log.read_bytes()
    assert b"session" in hay["log of the server"]
    found = [
        (w, what) for w, text in hay.items() for what, needle in needles.items() if needle in text
    ]
    assert found == []
    assert needles["secret as token"] in file.read_bytes()  # the one place that has it
    assert file.stat().st_mode & 0o077 == 0


CELLS = (
    "%load_ext rpcnb",
    "%connect_remote {link}",
    "remote",
    "print(remote, remote.url, repr(remote.session), remote.session.agreement)",
    "%remotes",
    "%remote_handles",
    "remote.stats()",
    "remote.fn.lab.fail()",
    "%connect_remote {elsewhere} --as other",
    "%connect_remote {broken} --as broken",
    "import rpcnb\nrpcnb.connect('{elsewhere}')",
    "rpcnb.connect('{broken}')",
    "with rpcnb.connect('{link}') as own:\n    own.fn.lab.fail()",
    "print(remote.remember())",
    "%disconnect_remote",
    "remote.fn.lab.fail()",
)
"""Cells of somebody who types the whole address, and makes all mistakes there are."""


@pytest.mark.slow
def test_a_saved_notebook_has_the_secret_only_where_it_was_typed(family, tmp_path, monkeypatch):
    monkeypatch.setenv("RPCNB_RUNTIME_DIR", str(tmp_path))
    info = read_connection_file(family[1])
    port = info.url.partition("?")[0].rpartition(":")[2]
    link = f"rpcnb://127.0.0.1:{port}/#{info.token}"
    values = {
        "link": link,
        "elsewhere": link.replace(f":{port}", ":1"),
        "broken": link[:-20],
    }
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source.format(**values)) for source in CELLS]
    )
    NotebookClient(notebook, timeout=50, kernel_name="python3", allow_errors=True).execute()
    failed = [
        number
        for number, cell in enumerate(notebook.cells)
        if any(output.output_type == "error" for output in cell.outputs)
    ]
    assert failed == [7, 8, 9, 10, 11, 12, 15], [notebook.cells[n].outputs for n in failed]
    nbformat.write(notebook, tmp_path / "saved.ipynb")
    saved = json.loads((tmp_path / "saved.ipynb").read_text(encoding="utf-8"))
    secret = info.token.split(".")[1]
    assert sum(secret in "".join(cell["source"]) for cell in saved["cells"]) >= 3
    for cell in saved["cells"]:
        cell["source"] = ""
    rest = json.dumps(saved).encode()
    shown = [what for what, needle in forms(info.token).items() if needle in rest]
    assert shown == [], [c["outputs"] for c in saved["cells"] if secret in json.dumps(c)]
