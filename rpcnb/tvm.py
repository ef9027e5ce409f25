"""TVM's trackers and its protocol, for people.

Sessions on TVM servers are opened as any other: ``rpcnb.connect("tvm://host:port?key=K")``.

- ``rpcnb.tvm.Tracker("host", 9190).summary()``: which servers are free.
- ``with rpcnb.tvm.trace(remote) as lines: ...``: what goes over the wire, decoded; ``print(lines)``.
- `TVMLens`: the same for bytes of anybody's connection, such as a recording.
"""

from __future__ import annotations

from rpcnb.endpoint.tvm.trace import Trace, trace
from rpcnb.endpoint.tvm.tracker import Tracker
from rpcnb.wire.tvm.lens import TVMLens

__all__ = ["TVMLens", "Trace", "Tracker", "trace"]
