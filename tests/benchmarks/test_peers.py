from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from benchmarks import peers
from benchmarks.child import ROOT, probe, server
from benchmarks.peers import probes
from benchmarks.peers.base import Peer


def test_every_library_is_a_file_of_its_own() -> None:
    files = {path.stem for path in (ROOT / "benchmarks" / "peers").glob("*_peer.py")}
    assert {module.rpartition(".")[2] for module in peers.PEERS.values()} == files


def test_importing_the_list_of_libraries_imports_none_of_them() -> None:
    code = "import benchmarks.__main__, sys; print([n for n in %r if n in sys.modules])"
    names = ["rpyc", "Pyro5", "distributed", "ipyparallel", "execnet", "tvm", "matplotlib"]
    found = subprocess.run(
        [sys.executable, "-c", code % names], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"


@pytest.mark.slow
def test_a_library_is_measured_and_what_it_moves_is_compared_by_checksum() -> None:
    module = peers.PEERS["managers"]  # of the standard library: always there
    with server(module, cores=[]) as said:
        bulk = probe(
            "benchmarks.peers.probes:bulk",
            (),
            peer=module,
            server=said,
            nbytes=64,
            number=3,
            direction="download",
        )
        call = probe("benchmarks.peers.probes:null_call", (), peer=module, server=said, number=3)
    assert 0 < bulk["median"] < 10
    assert 0 < call["median"] < 10


def test_what_a_library_has_no_way_to_do_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    class Client(Peer):
        def churn(self) -> object:
            return None

    monkeypatch.setitem(sys.modules, "a_peer", SimpleNamespace(Client=Client))
    assert probes.can("a_peer", "churn")
    assert not probes.can("a_peer", "small")
    assert probes.small_call("a_peer", {}, 3) == {}
