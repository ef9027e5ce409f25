from __future__ import annotations

import pytest

from rpcnb.core.errors import AddressError
from rpcnb.transport import Address, connect, listen, register_transport
from rpcnb.transport.memory import MemoryBackend
from rpcnb.transport.registry import _backends, find_backend


@pytest.fixture
def scheme():
    register_transport("test", "rpcnb.transport.memory:MemoryBackend")
    yield "test"
    del _backends["test"]


def test_registered_transport_is_found_by_its_scheme(scheme):
    with listen(f"{scheme}://name") as listener, connect(Address(scheme, "name")) as near:
        assert near.peer_address == listener.url
    assert isinstance(find_backend(scheme), MemoryBackend)


def test_unknown_scheme_is_answered_with_the_known_ones(scheme):
    for use in connect, listen:
        with pytest.raises(AddressError, match=r"nobody://; .* memory, ssh, tcp, test, tls, unix$"):
            use("nobody://name")


def test_installed_package_can_bring_a_transport(run_python, tmp_path):
    info = tmp_path / "theirs-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[rpcnb.transports]\ntheirs = rpcnb.transport.memory:MemoryBackend\n"
    )
    code = f"""
import sys
sys.path.append({str(tmp_path)!r})
from rpcnb.transport import listen
with listen("theirs://name") as listener:
    print(listener.url)
"""
    assert run_python(code) == "theirs://name\n"


def test_only_the_transport_that_is_used_is_loaded(run_python):
    code = """
import sys
from rpcnb.transport import listen
listen("memory://a").close()
print([name for name in ("socket", "rpcnb.transport.tcp") if name in sys.modules])
"""
    assert run_python(code) == "[]\n"
