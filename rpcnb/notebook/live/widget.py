"""`LiveWidget`: the widget that carries messages between a view in the browser and its owner here."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from rpcnb.notebook.live.module import source, style

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rpcnb.notebook.markup import Html


class LiveWidget(anywidget.AnyWidget):
    """One view.  Thread-safe: `send` goes through the kernel's output thread.

    Parameters
    ----------
    view : str
        Which one, of those that static/main.js knows.
    receive : callable
        Given each message of the browser, and whether the kernel could take it while a cell runs.
        Called on the main thread or on a subshell's, so that it must only put it into a queue.
    static : Html
        What is shown where there is no kernel.
    text : str
        The same in plain text.
    handle : int
        Of the array that an inspector shows.
    """

    _esm = source()
    _css = style()
    view = traitlets.Unicode().tag(sync=True)
    handle = traitlets.Int(0).tag(sync=True)

    def __init__(
        self,
        view: str,
        receive: Callable[[dict[str, Any], bool], None],
        static: Html,
        text: str,
        *,
        handle: int = 0,
    ) -> None:
        super().__init__(view=view, handle=handle)
        self._receive = receive
        self._static = static
        self._text = text
        _keep_subshells(self.comm)
        self.on_msg(self._on_message)

    def _on_message(self, _widget: object, content: Any, _buffers: Sequence[object]) -> None:
        if isinstance(content, dict):
            aside = threading.current_thread() is not threading.main_thread()
            self._receive(content, aside)

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        bundle, metadata = super()._repr_mimebundle_(**kwargs) or ({}, {})
        return bundle | {"text/html": self._static, "text/plain": self._text}, metadata


def _keep_subshells(comm: Any) -> None:
    """Let the browser choose the subshell that takes a view's messages.

    ipykernel 7.4 sends them to whichever shell last published on the comm, which is the main one,
    which is busy while a cell runs. The name is private; a browser test watches over it.
    """
    if hasattr(comm, "_reply_subshell_for"):
        comm._reply_subshell_for = None  # noqa: SLF001
