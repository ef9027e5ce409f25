"""The benchmarked server, as its own process: ``python -m benchmarks.serve``, told by `child`."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import rpcnb
from benchmarks.child import pin
from rpcnb.core.limits import Limits

if TYPE_CHECKING:
    from rpcnb.session.base import RPCSession


def main() -> None:
    task = json.loads(sys.stdin.readline())
    pin(task["cores"])
    behind = task.get("behind")

    def open_next() -> RPCSession:
        from rpcnb.endpoint.client.connect import open_session

        return open_session(behind["file"])  # as the probes do

    with tempfile.TemporaryDirectory() as folder:
        server = rpcnb.Server(
            port=0,
            name="bench",
            load=() if behind else ("benchmarks.functions",),
            open_next=open_next if behind else None,
            in_process=False,
            limits=Limits(**task.get("limits", {})),
            connection_file=Path(folder, "bench.json"),
        )
        with server:
            said = {
                "url": server.url,
                "token": server.token,
                "file": str(server.connection_file),
                "pid": os.getpid(),
            }
            print(json.dumps(said), flush=True)
            sys.stdin.readline()


if __name__ == "__main__":
    main()
