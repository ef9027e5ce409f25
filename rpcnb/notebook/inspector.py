"""`a.inspect()`: a look into an array of any size, beside a picture that lasts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from IPython.core.getipython import get_ipython
from IPython.display import display

from rpcnb.core.errors import ArrayMismatch
from rpcnb.notebook.displays import quiet
from rpcnb.notebook.live.looking import Answer, answer, array_of
from rpcnb.notebook.live.picture import data_url
from rpcnb.notebook.live.widget import LiveWidget
from rpcnb.notebook.live.worker import Worker
from rpcnb.notebook.markup import Html, details, table, tag

if TYPE_CHECKING:
    from rpcnb.remote.array import RemoteArray
    from rpcnb.remote.client import Remote

FIGURES = ("min", "max", "mean", "std", "size", "nan", "inf", "zero")


def open_inspector(array: RemoteArray) -> None:
    """Show what is in an array: a picture of it and its figures, and a live view of both.

    Two round trips, of less than 200 KiB together, however large the array is.

    Raises
    ------
    ArrayMismatch
        It has no elements, or they are no numbers.
    """
    first = {ask: answer(array.remote, {"handle": array.handle, "ask": ask}) for ask in ASKED}
    for told, _ in first.values():
        if "error" in told:
            raise ArrayMismatch(told["error"].partition(": ")[2])
    sentence = first["figures"][0]["sentence"]
    display({"text/html": static_html(first, sentence), "text/plain": sentence}, raw=True)
    if hasattr(get_ipython(), "kernel"):
        display(Inspector(array.remote, array.handle, first, sentence).widget)


ASKED = ("overview", "figures")


def static_html(first: dict[str, Answer], sentence: str) -> Html:
    """Return what reads without a kernel: sentence, picture, figures."""
    told, buffers = first["overview"]
    figures = first["figures"][0]["figures"]
    codes = np.frombuffer(buffers[1], np.uint8).reshape(told["size"])
    style = "image-rendering: pixelated; width: 256px; max-height: 256px; min-height: 8px"
    picture = tag(
        "div", tag("img", src=data_url(codes), alt=f"{sentence}, mean of blocks", style=style)
    )
    rows = [(name, figures[name]) for name in FIGURES]
    return tag(
        "div",
        tag("div", tag("code", sentence)),
        details("picture and figures", picture, table(None, rows)),
    )


class Inspector:
    """The live view of one array, which it does not keep alive.

    Parameters
    ----------
    remote : Remote
        Where the array is.
    handle : int
        Its handle.
    first : dict
        What was asked for already: ``overview`` and ``figures``.
    sentence : str
        What is shown without a kernel.
    """

    def __init__(
        self, remote: Remote, handle: int, first: dict[str, Answer], sentence: str
    ) -> None:
        self._remote = remote
        self._handle = handle
        self._first = first
        self._worker = Worker("rpcnb-inspector")
        text = f"live view of {sentence}: open this notebook with its kernel to see it"
        self.widget = LiveWidget("inspector", self.receive, quiet(text), text, handle=handle)

    def receive(self, message: dict[str, Any], _aside: bool) -> None:  # noqa: FBT001 -- a callback
        """Take a message; a look may take seconds, and has a thread of its own."""
        self._worker.put(lambda: self._answer(message))

    def _answer(self, message: dict[str, Any]) -> None:
        told, buffers = self._known(message) or answer(
            self._remote, message | {"handle": self._handle}
        )
        self.widget.send(told, buffers)

    def _known(self, message: dict[str, Any]) -> Answer | None:
        """Return an answer that is there already, as long as the array is."""
        found = self._first.get(str(message.get("ask")))
        if found is not None:
            array_of(self._remote, self._handle)
        return found
