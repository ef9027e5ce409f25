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


def test_what_was_imported_is_old_at_once() -> None:
    with uncollected():
        made = [{} for _ in range(5000)]
    assert gc.get_count()[0] < 500
    young = {id(each) for generation in (0, 1) for each in gc.get_objects(generation)}
    assert young.isdisjoint(map(id, made))


def test_what_somebody_froze_stays_frozen(run_python: Callable[[str], str]) -> None:
    found = run_python(
        "import gc; from rpcnb.core.importing import uncollected\n"
        "gc.freeze(); before = gc.get_freeze_count()\n"
        "with uncollected(): pass\n"
        "print(before > 0, gc.get_freeze_count() >= before - 99)"
    )
    assert found.split() == ["True", "True"]


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
