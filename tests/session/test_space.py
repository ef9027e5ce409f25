from __future__ import annotations

import gc
import os
import threading
from typing import Any
from weakref import ref as weak

import pytest

from rpcnb.core.device import CPU
from rpcnb.core.errors import InvalidHandle
from rpcnb.core.events import EVENTS, HandleFreed, HandleIssued
from rpcnb.core.values import (
    ArrayRef,
    FunctionInfo,
    FunctionRef,
    Handle,
    IteratorRef,
    ModuleRef,
    ObjectRef,
    TypeCode,
)
from rpcnb.session.base import RPCSession
from rpcnb.session.space import RemoteSpace, RPCObjectRef, array_nbytes, live_refs


class Session(RPCSession):
    """A session that only counts what is freed."""

    def __init__(self) -> None:
        self.freed: list[tuple[int, TypeCode, int]] = []

    def free_handle(self, handle: Handle, type_code: TypeCode, count: int = 1) -> None:
        self.freed.append((handle, type_code, count))

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError

    get_function = call_func = copy_to_remote = copy_from_remote = _refuse
    get_device_api = is_local_session = shutdown = _refuse


@pytest.fixture
def session() -> Session:
    return Session()


def test_a_handle_is_freed_when_its_owner_is_collected(session: Session) -> None:
    owner = RPCObjectRef(session, ArrayRef(Handle(3)))
    assert (owner.handle, owner.freed, owner.session) == (3, False, session)
    assert session.freed == []
    del owner
    assert session.freed == [(3, TypeCode.ARRAY, 1)]


def test_a_handle_is_freed_once_however_often_it_is_asked_for(session: Session) -> None:
    owner = RPCObjectRef(session, ObjectRef(Handle(4)))
    owner.free()
    owner.free()
    assert owner.freed
    assert owner.ref.handle == 4
    with pytest.raises(InvalidHandle, match="4 was freed"):
        owner.handle  # noqa: B018 -- asking is what raises
    del owner
    assert session.freed == [(4, TypeCode.OBJECT, 1)]


def test_threads_that_free_together_free_once(session: Session) -> None:
    for number in range(1, 100):
        owner = RPCObjectRef(session, ObjectRef(Handle(number)))
        barrier = threading.Barrier(3)

        def free(owner: RPCObjectRef = owner, barrier: threading.Barrier = barrier) -> None:
            barrier.wait(5)
            owner.free()

        threads = [threading.Thread(target=free) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(5)
    assert [handle for handle, _, _ in session.freed] == list(range(1, 100))


def test_a_temporary_frees_nothing() -> None:
    owner = RPCObjectRef(None, ObjectRef(Handle(5)))
    owner.free()
    assert (owner.handle, owner.freed, owner.session) == (5, False, None)


def test_a_session_lives_as_long_as_what_it_returned() -> None:
    session = Session()
    owner = RPCObjectRef(session, ObjectRef(Handle(1)))
    watched = weak(session)
    del session
    gc.collect()
    assert watched() is not None
    del owner
    gc.collect()
    assert watched() is None


def test_owners_in_a_cycle_are_freed_too(session: Session) -> None:
    class Knot:
        pass

    knot = Knot()
    knot.owner, knot.itself = RPCObjectRef(session, ObjectRef(Handle(6))), knot  # type: ignore[attr-defined]
    del knot
    gc.collect()
    assert session.freed == [(6, TypeCode.OBJECT, 1)]


def test_a_session_that_fails_is_not_heard_of_when_collecting(
    session: Session, recwarn: pytest.WarningsRecorder
) -> None:
    session.free_handle = session._refuse  # type: ignore[method-assign]
    owner = RPCObjectRef(session, ObjectRef(Handle(7)))
    del owner
    gc.collect()
    assert recwarn.list == []


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # other tests' threads
def test_a_forked_child_frees_nothing_of_its_parent(session: Session) -> None:
    inherited = RPCObjectRef(session, ObjectRef(Handle(8)))
    child = os.fork()
    if child == 0:
        inherited.free()
        inherited_freed = list(session.freed)
        own = RPCObjectRef(session, ObjectRef(Handle(9)))
        own.free()
        freed = [handle for handle, _, _ in session.freed]
        os._exit(0 if (inherited_freed, freed) == ([], [9]) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert not inherited.freed


def test_the_end_of_the_interpreter_is_survived_in_silence(run_python: Any) -> None:
    code = """
import os, sys
from rpcnb.core.values import Handle, ObjectRef
from rpcnb.session.space import RPCObjectRef
class Session:
    def free_handle(self, handle, type_code, write=os.write):
        write(1, b"asked ")
        raise OSError("the peer is gone")
sys.unraisablehook = print
owner = RPCObjectRef(Session(), ObjectRef(Handle(1)))
"""
    assert run_python(code) == "asked "


def test_live_refs_lists_owners_of_one_session_that_are_alive(session: Session) -> None:
    other = Session()
    owners = [RPCObjectRef(session, ObjectRef(Handle(n))) for n in (1, 2, 3)]
    foreign = RPCObjectRef(other, ObjectRef(Handle(1)))
    assert live_refs(session) == owners
    owners.pop(0)
    owners[1].free()
    assert [owner.handle for owner in live_refs(session)] == [2]
    assert live_refs(other) == [foreign]
    assert live_refs(Session()) == []


def test_handles_are_announced_to_whoever_listens(session: Session) -> None:
    refs = [
        ArrayRef(Handle(1), (2, 3), "<f4"),
        ObjectRef(Handle(2), "list", "[1, 2]"),
        ObjectRef(Handle(3), "list"),
        ModuleRef(Handle(4), "math"),
        FunctionRef(Handle(5), FunctionInfo("f")),
        IteratorRef(Handle(6), "g"),
    ]
    with EVENTS.subscribe() as subscription:
        owners = [RPCObjectRef(session, ref) for ref in refs]
        owners[0].free()
        events = [e for e in subscription.drain() if e.session == session.table_index]
    issued = [
        (e.handle, e.kind, e.nbytes, e.summary) for e in events if isinstance(e, HandleIssued)
    ]
    assert issued == [
        (1, "array", 24, "f32[2, 3]"),
        (2, "object", 0, "[1, 2]"),
        (3, "object", 0, "list"),
        (4, "module", 0, "math"),
        (5, "function", 0, "f"),
        (6, "iterator", 0, "g"),
    ]
    assert [e.handle for e in events if isinstance(e, HandleFreed)] == [1]


def test_remote_space_names_memory_and_keeps_its_session(session: Session) -> None:
    ref = ArrayRef(Handle(1), (2, 3), "<f8")
    owner = RPCObjectRef(session, ref)
    space = RemoteSpace(session, ref, owner)
    assert (space.device, space.nbytes) == (CPU, 48)
    assert array_nbytes(ArrayRef(Handle(1), (), "|S7")) == 7
    del owner
    gc.collect()
    assert session.freed == []
    del space
    gc.collect()
    assert [handle for handle, _, _ in session.freed] == [1]


def test_an_owner_says_what_it_owns(session: Session) -> None:
    owner = RPCObjectRef(session, ArrayRef(Handle(3)))
    assert repr(owner) == "<RPCObjectRef ARRAY 3>"
    owner.free()
    assert repr(owner) == "<RPCObjectRef ARRAY 3 freed>"
