from __future__ import annotations

import threading
from typing import Any

from rpcnb.notebook.live.module import source
from rpcnb.notebook.live.widget import LiveWidget
from rpcnb.notebook.markup import tag


def make(received: list[Any]) -> LiveWidget:
    return LiveWidget("panel", lambda *message: received.append(message), tag("b", "<x>"), "text")


def test_messages_come_with_whether_a_busy_cell_delays_them() -> None:
    received: list[Any] = []
    widget = make(received)
    widget._handle_custom_msg({"type": "show"}, [])
    thread = threading.Thread(target=widget._handle_custom_msg, args=({"type": "hide"}, []))
    thread.start()
    thread.join(5)
    widget._handle_custom_msg("nonsense", [])
    assert received == [({"type": "show"}, False), ({"type": "hide"}, True)]
    widget.close()


def test_the_bundle_has_what_reads_without_a_kernel() -> None:
    widget = make([])
    bundle, _ = widget._repr_mimebundle_()
    assert bundle["text/html"] == "<b>&lt;x&gt;</b>"
    assert bundle["text/plain"] == "text"
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == widget.model_id
    assert widget._esm == source()
    widget.close()


def test_the_front_ends_choice_of_a_subshell_is_kept() -> None:
    class Comm:
        def _reply_subshell_for(self) -> None: ...

    from rpcnb.notebook.live.widget import _keep_subshells

    comm = Comm()
    _keep_subshells(comm)
    assert comm._reply_subshell_for is None
    _keep_subshells(object())
