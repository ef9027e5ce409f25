from __future__ import annotations

import queue
from typing import TYPE_CHECKING, Any

import pytest

from rpcnb.core.events import EVENTS
from rpcnb.notebook.live.bridge import Bridge
from rpcnb.notebook.live.hub import Hub

if TYPE_CHECKING:
    import rpcnb

WAIT = 10.0


class Listener:
    """Keeps what a view would be told."""

    def __init__(self) -> None:
        self.messages: queue.Queue[dict[str, Any]] = queue.Queue()
        self.seen = True
        self.asked = False

    def tell(self, message: dict[str, Any]) -> None:
        self.messages.put(message)

    def watching(self) -> bool:
        return self.seen

    def take_request(self) -> bool:
        asked, self.asked = self.asked, False
        return asked

    def until(self, key: str) -> Any:
        """Wait for a message that has something under `key`."""
        while key not in (message := self.messages.get(timeout=WAIT)):
            pass
        return message[key]

    def row_of(self, handle: int) -> dict[str, Any]:
        """Wait for the row of a handle; those of others may be told before it exists."""
        while True:
            for row in self.until("handles"):
                if row["handle"] == handle:
                    return row


@pytest.fixture
def listener() -> Listener:
    return Listener()


def test_what_happens_in_a_session_reaches_who_watches_it(
    remote: rpcnb.Remote, listener: Listener
) -> None:
    Bridge().serve(Hub(remote), listener)
    array = remote.zeros(5)
    assert listener.row_of(array.handle)
    remote.zeros(5)
    assert any("fast" in call for call in listener.until("calls"))
    remote.close()


def test_a_cell_is_named_for_what_it_makes(shell: Any, address: str, listener: Listener) -> None:
    shell.run(f"%connect_remote {address}")
    Bridge().serve(Hub(shell["remote"]), listener)
    shell.run("x = 1\na = remote.get_function('make')(2)")
    number = shell.shell.execution_count - 1
    row = listener.row_of(shell["a"].handle)
    assert (row["cell"], row["line"]) == (number, 2)


def test_everything_is_told_to_who_asks_for_it(remote: rpcnb.Remote, listener: Listener) -> None:
    bridge = Bridge()
    bridge.serve(Hub(remote), listener)
    listener.asked = True
    bridge.poke()
    while listener.messages.get(timeout=WAIT)["type"] != "snapshot":
        pass
    remote.close()


def test_nobody_is_told_who_does_not_look(remote: rpcnb.Remote, listener: Listener) -> None:
    bridge = Bridge()
    listener.seen = False
    bridge.serve(Hub(remote), listener)
    kept = remote.zeros(5)
    bridge.step()
    assert listener.messages.empty()
    listener.seen = True
    bridge.poke()
    assert listener.row_of(kept.handle)
    remote.close()


def test_a_view_that_fails_does_not_stop_the_bridge(
    remote: rpcnb.Remote, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Listener):
        def tell(self, message: dict[str, Any]) -> None:
            super().tell(message)
            raise ValueError("no")

    broken = Broken()
    Bridge().serve(Hub(remote), broken)
    broken.until("session")
    kept = remote.zeros(5)
    assert broken.row_of(kept.handle)
    remote.close()


def test_the_bridge_ends_with_the_last_session(
    remote: rpcnb.Remote, listener: Listener, eventually: Any
) -> None:
    bridge = Bridge()
    bridge.serve(Hub(remote), listener)
    subscription = EVENTS.subscriptions[-1]
    remote.close()
    while listener.until("session")["state"] != "closed":
        pass
    assert eventually(lambda: subscription not in EVENTS.subscriptions)
