from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

import rpcnb
from rpcnb.core.errors import AddressError, SessionError
from rpcnb.core.events import SessionChanged, SessionState
from rpcnb.manager import SessionManager, SessionRow
from rpcnb.remote.client import Remote
from rpcnb.session.functions import FunctionRegistry
from rpcnb.session.local import LocalSession

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def manager() -> Iterator[SessionManager]:
    manager = SessionManager()
    yield manager
    manager.close_all()


@pytest.fixture
def make() -> Callable[..., Remote]:
    return lambda name="lab": Remote(LocalSession(FunctionRegistry(), name=name))


def test_sessions_are_found_by_name_and_index(
    manager: SessionManager, make: Callable[..., Remote]
) -> None:
    remote = manager.add(make())
    assert manager.get("lab") is remote
    assert manager.get(remote.session.table_index) is remote
    assert list(manager.sessions) == ["lab"]
    assert repr(manager) == "<SessionManager: lab>"


def test_a_missing_session_names_those_that_are_open(
    manager: SessionManager, make: Callable[..., Remote]
) -> None:
    with pytest.raises(SessionError, match="none is open"):
        manager.get("lab")
    manager.add(make())
    with pytest.raises(SessionError, match="open sessions: 'lab'"):
        manager.get("nothing")


def test_names_that_nobody_chose_are_numbered(
    manager: SessionManager, make: Callable[..., Remote]
) -> None:
    names = [manager.add(make()).name for _ in range(3)]
    assert names == ["lab", "lab-2", "lab-3"]
    manager.close("lab-2")
    assert manager.add(make()).name == "lab-2"


def test_a_chosen_name_that_is_taken_is_an_error(
    manager: SessionManager, make: Callable[..., Remote]
) -> None:
    first, second = manager.add(make(), name="a"), make()
    with pytest.raises(SessionError, match="replace=True"):
        manager.add(second, name="a")
    assert second.closed
    assert not first.closed
    with pytest.raises(SessionError, match="replace=True"):
        manager.connect("nowhere.invalid:1", name="a")


def test_a_session_is_replaced_when_told_to(
    manager: SessionManager, make: Callable[..., Remote]
) -> None:
    first = manager.add(make(), name="a")
    second = manager.add(make(), name="a", replace=True)
    assert first.closed
    assert manager.sessions == {"a": second}


def test_closing_a_remote_itself_takes_it_out(
    manager: SessionManager, make: Callable[..., Remote]
) -> None:
    remote = manager.add(make())
    remote.close()
    assert manager.sessions == {}


def test_coming_and_going_are_told(manager: SessionManager, make: Callable[..., Remote]) -> None:
    with manager.subscribe() as events:
        remote = manager.add(make())
        manager.close("lab")
        found = [event for event in events.drain() if isinstance(event, SessionChanged)]
    assert [(event.name, event.state) for event in found] == [
        ("lab", SessionState.LIVE),
        ("lab", SessionState.CLOSED),
    ]
    assert {event.session for event in found} == {remote.session.table_index}


def test_the_table_has_one_row_per_session(
    manager: SessionManager, make: Callable[..., Remote]
) -> None:
    remote = manager.add(make())
    array = remote.zeros(4)
    (row,) = manager.table()
    assert row == SessionRow(
        remote.session.table_index, "lab", "", SessionState.LIVE, 1, array.nbytes, 0
    )


def test_closing_all_goes_on_after_an_error(
    manager: SessionManager, make: Callable[..., Remote]
) -> None:
    first, second = manager.add(make("a")), manager.add(make("b"))
    shut_down = second.session.shutdown

    def fail() -> None:
        shut_down()
        raise OSError("cannot")

    second.session.shutdown = fail
    with pytest.raises(ExceptionGroup) as caught:
        manager.close_all()
    assert caught.group_contains(OSError, match="cannot")
    assert first.closed
    assert manager.sessions == {}


def test_many_threads_get_many_names(manager: SessionManager, make: Callable[..., Remote]) -> None:
    remotes = [make() for _ in range(8)]
    threads = [threading.Thread(target=manager.add, args=(remote,)) for remote in remotes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert len(manager.sessions) == 8


def test_a_local_session_needs_no_server(manager: SessionManager) -> None:
    remote = manager.local(name="here")
    assert manager.get("here") is remote
    assert remote.session.is_local_session()


def test_an_address_nobody_can_read_enters_nothing(manager: SessionManager) -> None:
    with pytest.raises(AddressError):
        manager.connect("no-such-scheme://x")
    assert manager.sessions == {}


def test_the_package_connects_through_the_manager() -> None:
    with rpcnb.local(name="through the package") as remote:
        assert rpcnb.manager.get("through the package") is remote
    with rpcnb.connect("local:", name="again") as remote:
        assert rpcnb.manager.get("again") is remote
    assert "again" not in rpcnb.manager.sessions


def test_open_sessions_are_closed_when_the_process_ends(run_python: Callable[[str], str]) -> None:
    code = """
import rpcnb
rpcnb.local(name="left open").add_close_callback(lambda remote: print("closed", remote.name))
"""
    assert run_python(code) == "closed left open\n"
