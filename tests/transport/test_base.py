from __future__ import annotations

import pytest

from rpcnb.transport import listen
from rpcnb.transport.base import Backend, Listener, Transport
from rpcnb.transport.memory import memory_pair


@pytest.mark.parametrize("interface", [Transport, Listener, Backend])
def test_interfaces_cannot_be_made(interface):
    with pytest.raises(TypeError, match="abstract"):
        interface()


def test_leaving_the_block_closes_a_transport():
    near, far = memory_pair()
    with near as entered:
        assert entered is near
        assert not near.closed
    assert near.closed
    assert far.receive_into(memoryview(bytearray(1))) == 0


def test_leaving_the_block_closes_a_listener():
    with listen("memory://base") as listener:
        assert repr(listener) == "<MemoryListener memory://base>"
    listen("memory://base").close()


def test_description_names_both_ends_and_the_state():
    near, _ = memory_pair("memory://there")
    assert near.describe().endswith(" ↔ memory://there")
    near.close()
    assert repr(near).endswith(" ↔ memory://there (closed)>")
