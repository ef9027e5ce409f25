"""TVM's own tracker in a process of its own; prints its port, which may be given."""

from __future__ import annotations

import signal
import socket
import sys

from tvm.rpc.tracker import PopenTrackerServerState

with socket.create_server(("127.0.0.1", 0)) as server:
    port = int(sys.argv[1]) if sys.argv[1:] else server.getsockname()[1]
print(PopenTrackerServerState("127.0.0.1", port, port + 1, silent=True).port, flush=True)
signal.pause()
