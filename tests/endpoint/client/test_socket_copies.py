from __future__ import annotations

import numpy as np
import pytest

from rpcnb.core.errors import ArrayMismatch
from rpcnb.endpoint import memory
from rpcnb.endpoint.client.connect import open_session
from rpcnb.endpoint.serving.server import Server
from rpcnb.session.functions import FunctionRegistry


@pytest.fixture(params=["on", "off"])
def session(request, tmp_path, monkeypatch):
    monkeypatch.setenv("RPCNB_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv(memory.SWITCH, request.param)
    with (
        Server(registry=FunctionRegistry(), in_process=True) as server,
        open_session(server.url, token=server.token) as session,
    ):
        yield session


@pytest.mark.parametrize("count", [10, 1000, 1 << 16])
def test_bytes_behind_the_end_of_an_array_are_refused_whichever_way_they_would_go(
    session, count
) -> None:
    from rpcnb.core.device import CPU

    array = session.get_device_api(CPU).alloc_data(CPU, (count,), "<f8")
    mine = np.zeros(count + 1)
    with pytest.raises(ArrayMismatch):
        session.copy_to_remote(mine.data, array, mine.nbytes)
    with pytest.raises(ArrayMismatch):
        session.copy_from_remote(array, mine.data, mine.nbytes)
    session.copy_to_remote((mine + 1).data, array, 8 * count)
    session.copy_from_remote(array, mine.data, 8 * count)
    assert mine.sum() == count
