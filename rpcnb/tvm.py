"""TVM's trackers, for people: ``rpcnb.tvm.Tracker("host", 9190).summary()``.

Sessions on TVM servers are opened as any other: ``rpcnb.connect("tvm://host:port?key=K")``.
"""

from __future__ import annotations

from rpcnb.endpoint.tvm.tracker import Tracker

__all__ = ["Tracker"]
