from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Any

import pytest

import rpcnb
from rpcnb.notebook.live.actions import act
from rpcnb.notebook.live.hub import Hub

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def hub(shell: Any, address: str) -> Iterator[Hub]:
    shell.run(f"%connect_remote {address}")
    hub = Hub(shell["remote"])
    hub.begin()
    return hub


def test_freeing_is_a_line_of_code(shell: Any, hub: Hub) -> None:
    shell.run("a = remote.get_function('make')(4)")
    handle = shell["a"].handle
    assert act(hub, {"type": "free", "handle": handle}) == {"type": "code", "code": "a.free()"}
    assert shell["a"].freed
    answer = act(hub, {"type": "free", "handle": handle})
    assert answer is not None
    assert "not held here" in answer["error"]


def test_forgetting_outputs_names_them(shell: Any, hub: Hub) -> None:
    shell.run("a = remote.get_function('make')(4)")
    shell.shell.user_ns["Out"][8] = shell["a"]
    answer = act(hub, {"type": "forget", "handle": shell["a"].handle})
    assert answer == {"type": "code", "code": "del Out[8]"}


def test_pinning_keeps_what_no_name_leads_to(shell: Any, hub: Hub) -> None:
    shell.run("a = remote.get_function('make')(4)")
    about = {"handle": shell["a"].handle}
    assert act(hub, about | {"type": "pin"}) == {"type": "code", "code": "a.pin()"}
    shell.run("del a")
    code = f"remote.handle({about['handle']})"
    answer = act(hub, about | {"type": "pin", "minutes": 10})
    assert answer == {"type": "code", "code": f"{code}.pin(minutes=10)"}
    assert act(hub, about | {"type": "unpin"}) == {"type": "code", "code": f"{code}.unpin()"}
    answer = act(hub, about | {"type": "unpin"})
    assert answer is not None
    assert "not held here" in answer["error"]


def test_cancelling_stops_a_call_that_somebody_waits_for(shell: Any, hub: Hub, gate: Any) -> None:
    errors: list[BaseException] = []

    def call() -> None:
        try:
            shell["remote"].get_function("spin")()
        except rpcnb.RemoteCancelled as error:
            errors.append(error)

    with rpcnb.manager.subscribe() as events:
        thread = threading.Thread(target=call)
        thread.start()
        assert gate.entered.wait(10)
        number = next(e.call for e in events.drain() if getattr(e, "name", "") == "spin")
        answer = act(hub, {"type": "cancel", "call": number})
        thread.join(10)
    assert answer == {"type": "code", "code": f"remote.cancel({number})"}
    assert re.fullmatch(r"spin stopped after \d\.\d s \(confirmed by lab\)", str(errors[0]))


def test_disconnecting_closes_the_session(shell: Any, hub: Hub) -> None:
    answer = act(hub, {"type": "disconnect"})
    assert answer == {"type": "code", "code": "remote.close()"}
    assert shell["remote"].closed


def test_detaching_leaves_a_named_session_as_it_is(shell: Any, address: str) -> None:
    shell.run(f"%connect_remote rpcnb://{address}/mine\na = remote.zeros(3)")
    hub = Hub(shell["remote"])
    assert act(hub, {"type": "detach"}) == {"type": "code", "code": "remote.detach()"}
    assert shell["remote"].closed
    shell.run(f"%connect_remote rpcnb://{address}/mine --as again")
    assert shell["again"].builtin("rpcnb.statistics")()["nbytes"] == 24


@pytest.mark.parametrize(
    "message",
    [
        {"type": "free"},
        {"type": "free", "handle": "x"},
        {"type": "cancel", "call": None},
        {"type": "pin", "handle": 1, "minutes": []},
    ],
)
def test_nonsense_from_the_browser_is_an_error_told_to_it(hub: Hub, message: Any) -> None:
    answer = act(hub, message)
    assert answer is not None
    assert answer["error"]


def test_other_messages_are_no_actions(hub: Hub) -> None:
    assert act(hub, {"type": "show"}) is None
