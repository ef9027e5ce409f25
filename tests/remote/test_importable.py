from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np
import pytest

from rpcnb.core.errors import PermissionDenied
from rpcnb.remote.importable import public_place

if TYPE_CHECKING:
    from rpcnb.remote.client import Remote


def test_functions_are_found_where_people_import_them() -> None:
    signal = import_module("scipy.signal")
    assert public_place(signal.welch) == ("scipy.signal", "welch")
    assert public_place(np.linalg.norm) == ("numpy.linalg", "norm")


@pytest.mark.parametrize("function", [lambda: 1, np.ones(1).sum, object()], ids=repr)
def test_what_has_no_public_name_is_refused(function) -> None:
    with pytest.raises(TypeError, match="register it on the server"):
        public_place(function)


def test_the_twin_over_there_is_called_with_handles(remote: Remote) -> None:
    array = remote.array([3.0, 4.0])
    assert float(remote.call(np.linalg.norm, array)) == 5
    assert float(remote.call(np.linalg.norm, array, ord=1)) == 7
    assert len(remote.handles) == 1


def test_the_server_says_what_it_allows(remote: Remote) -> None:
    with pytest.raises(PermissionDenied, match=r"numpy\.linalg"):
        remote.call(np.fft.fft, remote.ones(3))
