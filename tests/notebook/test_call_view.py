from __future__ import annotations

import queue
from typing import TYPE_CHECKING, Any

import pytest
from IPython.display import DisplayHandle

from rpcnb.notebook.call_view import LiveCall

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import rpcnb

WAIT = 10.0


class Watched:
    """A live call, and what its view was told."""

    def __init__(self, future: rpcnb.RemoteFuture) -> None:
        self.messages: queue.Queue[dict[str, Any]] = queue.Queue()
        self.view = LiveCall(future, DisplayHandle())
        self.view.widget.send = self.messages.put
        self.view.receive({"type": "show", "view": "v"}, False)

    def until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the first message that is wanted."""
        while True:
            message = self.messages.get(timeout=WAIT)
            if wanted(message):
                return message

    def until_phase(self, phase: str) -> dict[str, Any]:
        """Return the row that says so."""
        found = self.until(lambda m: "calls" in m and m["calls"][0]["phase"] == phase)
        return found["calls"][0]


@pytest.fixture
def watch(shell: Any, remote: rpcnb.Remote) -> Iterator[Callable[..., Watched]]:
    """Give a function that starts a call and watches it."""
    watched: list[Watched] = []

    def start(name: str, *args: object) -> Watched:
        watched.append(Watched(remote.get_function(name).submit(*args)))
        return watched[-1]

    yield start
    remote.close()
    for each in watched:
        each.view.widget.close()


def test_a_call_is_watched_and_cancelled(watch: Callable[..., Watched], gate: Any) -> None:
    watched = watch("spin")
    row = watched.until_phase("started")
    assert (row["name"], row["ended"]) == ("spin", None)
    watched.view.receive({"type": "cancel", "call": 1}, False)
    assert watched.until(lambda m: m["type"] == "code")["code"] == "call.cancel()"
    row = watched.until_phase("cancelled")
    assert row["asked"]
    assert row["ended"] > row["sent"]


def test_what_a_call_printed_is_shown_to_who_looks_later(
    watch: Callable[..., Watched], gate: Any
) -> None:
    gate.open.set()
    watched = watch("wait")
    told = watched.until(lambda m: "calls" in m and m["calls"][0]["phase"] == "finished")
    watched.view.receive({"type": "hide", "view": "v"}, False)
    watched.view.receive({"type": "show", "view": "w"}, False)
    again = watched.until(lambda m: "calls" in m)
    assert again["output"] == told["output"] == "waited\n"
    assert told["calls"][0]["description"] == "waiting"


def test_a_call_that_raises_says_what(watch: Callable[..., Watched]) -> None:
    row = watch("make", "no number").until_phase("failed")
    assert "raised Remote" in row["detail"]


def test_outside_of_a_kernel_the_static_display_alone_is_shown(shell: Any, address: str) -> None:
    shell.run(f"%connect_remote {address}\ncall = remote.get_function('make').submit(3)")
    shell.run("call.result()")
    (bundle,) = [output.data for output in shell.run("call.live()").outputs]
    assert "✓ returned" in bundle["text/html"]
    assert bundle["text/plain"].startswith("<RemoteFuture make done")
