from __future__ import annotations

from rpcnb.core.version import is_compiled
from rpcnb.wire import short


def test_it_is_known_whether_modules_are_compiled() -> None:
    assert is_compiled() is not short.__file__.endswith(".py")
