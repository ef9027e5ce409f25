"""Other libraries on the same work: one file each, used as its own documentation recommends."""

from __future__ import annotations

PEERS = {
    "RPyC": "benchmarks.peers.rpyc_peer",
    "Pyro5": "benchmarks.peers.pyro_peer",
    "dask": "benchmarks.peers.dask_peer",
    "ipyparallel": "benchmarks.peers.ipyparallel_peer",
    "execnet": "benchmarks.peers.execnet_peer",
    "managers": "benchmarks.peers.managers_peer",
    "TVM": "benchmarks.peers.tvm_peer",
}
"""Name in the table -> module, which has ``Client``, a `base.Peer`, and is the server if run."""
PACKAGES = {
    "RPyC": "rpyc",
    "Pyro5": "Pyro5",
    "dask": "distributed",
    "ipyparallel": "ipyparallel",
    "execnet": "execnet",
    "TVM": "apache-tvm",
}
"""What has a version; the others are of the standard library."""
