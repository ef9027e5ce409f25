"""TVM's own Python client served by us."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from rpcnb.endpoint.tvm.server import TVMServer
from rpcnb.session.files import WorkFolder
from rpcnb.session.functions import FunctionRegistry
from rpcnb.session.local import LocalSession
from rpcnb.testing.session_functions import register_all


def test_tvms_own_client_passes_tvms_own_cases(tmp_path) -> None:
    registry = FunctionRegistry()
    register_all(registry)
    with TVMServer(lambda: LocalSession(registry, work_folder=WorkFolder(tmp_path)), "k") as server:
        command = [sys.executable, Path(__file__).with_name("client.py"), str(server.port)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert done.stdout == "passed\n", done.stderr
