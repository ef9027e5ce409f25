"""The garbage collector is off while a client is imported, and as it was behind that."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest

from rpcnb.core.importing import uncollected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(autouse=True)
def collecting() -> Iterator[None]:
    gc.enable()
    yield
    gc.enable()


def test_nothing_is_collected_meanwhile_also_where_that_is_nested() -> None:
    with uncollected():
        assert not gc.isenabled()
        with uncollected():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_who_switched_the_collector_off_finds_it_off() -> None:
    gc.disable()
    with uncollected():
        pass
    assert not gc.isenabled()


def test_an_import_that_fails_leaves_it_on() -> None:
    def fail() -> None:
        with uncollected():
            raise ImportError

    with pytest.raises(ImportError):
        fail()
    assert gc.isenabled()


def test_importing_a_client_collects_nothing(run_python: Callable[[str], str]) -> None:
    """Its thousands of objects would be walked through, with everything that was there before."""
    found = run_python(
        "import gc, sys; early = []\n"
        "def note(phase, info): early.append(not hasattr(sys.modules['rpcnb.manager'], 'connect'))\n"
        "import rpcnb; gc.callbacks.append(note)\n"
        "rpcnb.connect; gc.collect(); print(len(early) > 0, any(early), gc.isenabled())"
    )
    assert found.split() == ["True", "False", "True"]
