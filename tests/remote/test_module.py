from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import numpy as np
import pytest

from rpcnb.core.errors import PermissionDenied
from rpcnb.remote.function import RemoteFunction

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.remote.client import Remote


def test_functions_of_a_module_are_attributes(remote: Remote) -> None:
    linalg = remote.load_module("numpy.linalg")
    assert linalg.norm(remote.array([3.0, 4.0])) == 5


def test_looking_into_a_module_sends_nothing(remote: Remote, crossings: Callable[[], int]) -> None:
    linalg = remote.load_module("numpy.linalg")
    before = crossings()
    assert "norm" in dir(linalg)
    assert isinstance(linalg.norm, RemoteFunction)
    assert linalg.norm is linalg.norm
    assert linalg.norm.__name__ == "numpy.linalg.norm"
    assert not hasattr(linalg, "no_such_function")
    assert repr(linalg).startswith("<RemoteModule numpy.linalg (")
    assert crossings() == before


def test_a_function_shows_its_signature_once_it_was_called(remote: Remote) -> None:
    norm = remote.load_module("numpy.linalg").norm
    with pytest.raises(AttributeError, match="not known"):
        _ = norm.__signature__
    norm(np.ones(4))
    assert "axis" in inspect.signature(norm).parameters
    assert norm.__name__ == "numpy.linalg.norm"
    assert "norm" in (norm.__doc__ or "")


def test_a_module_that_is_not_allowed_is_refused(remote: Remote) -> None:
    with pytest.raises(PermissionDenied, match=r"numpy\.linalg"):
        remote.load_module("subprocess")
