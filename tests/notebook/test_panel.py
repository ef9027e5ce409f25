from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from rpcnb.notebook.panel import Panel

if TYPE_CHECKING:
    from collections.abc import Iterator

    import rpcnb


@pytest.fixture
def panel(remote: rpcnb.Remote) -> Iterator[Panel]:
    panel = Panel(remote)
    yield panel
    remote.close()
    panel.widget.close()


def test_outside_of_a_kernel_the_summary_alone_is_shown(shell: Any, address: str) -> None:
    shell.run(f"%connect_remote {address}")
    shown = shell.run("from rpcnb.notebook.panel import open_panel; open_panel(remote)")
    (bundle,) = [output.data for output in shown.outputs]
    assert "lab as it was when this panel was opened" in bundle["text/html"]
    assert bundle["text/plain"].startswith("<Remote lab at")


def test_a_panel_that_somebody_sees_is_asked_for_everything(panel: Panel) -> None:
    assert not panel.watching()
    panel.receive({"type": "show", "view": "v"}, True)
    assert panel.watching()
    assert panel.take_request()
    assert not panel.take_request()
    panel.receive({"type": "hide", "view": "v"}, True)
    assert not panel.watching()


def test_a_change_of_thread_is_told_again(panel: Panel) -> None:
    panel.receive({"type": "ping"}, True)
    assert panel.take_request()
    panel.receive({"type": "ping"}, True)
    assert not panel.take_request()


def test_a_click_is_done_by_the_worker(panel: Panel, eventually: Any) -> None:
    array = panel.hub.remote.zeros(3)
    panel.receive({"type": "ping"}, True)
    panel.receive({"type": "why", "handle": array.handle}, True)
    panel.receive({"type": "free", "handle": array.handle}, True)
    assert eventually(lambda: array.freed)
    assert panel.hub.rtt is not None


def test_a_panel_that_is_seen_again_after_its_session_shows_its_end(
    panel: Panel, eventually: Any
) -> None:
    told: list[Any] = []
    panel.widget.send = told.append
    panel.hub.remote.close()
    assert eventually(lambda: panel.hub.ended)
    panel.receive({"type": "show", "view": "v"}, True)
    assert eventually(lambda: told)
    assert told[-1]["session"]["state"] == "closed"
