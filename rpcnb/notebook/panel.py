"""`%remote_panel`: the live view of a session, beside a display that lasts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from IPython.core.getipython import get_ipython
from IPython.display import display

from rpcnb.notebook.displays import quiet, remote_html
from rpcnb.notebook.live import holders
from rpcnb.notebook.live.actions import act
from rpcnb.notebook.live.bridge import BRIDGE
from rpcnb.notebook.live.hub import Hub, survey
from rpcnb.notebook.live.looking import answer
from rpcnb.notebook.live.widget import LiveWidget
from rpcnb.notebook.live.worker import Worker
from rpcnb.notebook.markup import details
from rpcnb.remote.pins import pins

if TYPE_CHECKING:
    from rpcnb.remote.client import Remote

_PANELS: WeakKeyDictionary[Remote, Panel] = WeakKeyDictionary()


def open_panel(remote: Remote) -> None:
    """Show the live view of a session in the output of this cell.

    Before it comes a static summary, which is what a saved notebook shows without a kernel. In a
    terminal there is the summary alone.
    """
    summary = details(f"{remote.name} as it was when this panel was opened", remote_html(remote))
    text = repr(remote)
    display({"text/html": summary, "text/plain": text}, raw=True)
    if not hasattr(get_ipython(), "kernel"):
        return
    panel = _PANELS.get(remote)
    if panel is None or panel.hub.ended:
        panel = _PANELS[remote] = Panel(remote)
    display(panel.widget)


class Panel:
    """The live view of one session; every place that shows it shows the same.

    Messages of the browser come on the kernel's threads and are done by a worker, in order.
    """

    def __init__(self, remote: Remote) -> None:
        self.hub = Hub(remote)
        self._views: set[str] = set()
        self._asked = False
        self._aside = False
        self._worker = Worker("rpcnb-panel")
        self._looker = Worker("rpcnb-inspector")  # a look may take seconds: Cancel must not wait
        self._surveyor = Worker("rpcnb-chains")  # it waits for other sessions than this one
        text = f"live view of {remote.name}: open this notebook with its kernel to see it"
        self.widget = LiveWidget("panel", self.receive, quiet(text), text)
        BRIDGE.serve(self.hub, self)

    # --- to the browser: called by the bridge ---------------------------------------------------

    def tell(self, message: dict[str, Any]) -> None:
        """Send a message to every place that shows this."""
        if "handles" in message or "session" in message:
            message |= {"held": self._held()}
        self.widget.send(message | {"buttons": self._aside})

    def watching(self) -> bool:
        """Tell whether anybody sees it."""
        return bool(self._views)

    def take_request(self) -> bool:
        """Tell whether somebody asked for everything."""
        asked, self._asked = self._asked, False
        return asked

    def _held(self) -> dict[str, list[str]]:
        """Return handle -> the names that lead to it."""
        session = self.hub.remote.session
        found = {
            str(owner.ref.handle): names
            for owner, names in holders.names().values()
            if owner.session is session and not owner.freed
        }
        for owner, pin in pins(self.hub.remote).items():
            found.setdefault(str(owner.ref.handle), []).append(holders.pin_words(pin))
        return found

    # --- from the browser -----------------------------------------------------------------------

    def receive(self, message: dict[str, Any], aside: bool) -> None:  # noqa: FBT001 -- a callback
        """Take a message; `aside`: on a thread that is not kept busy by the cell that runs."""
        kind = message.get("type")
        if aside is not self._aside:
            self._aside, self._asked = aside, True
        if kind in {"show", "hide"}:
            (self._views.add if kind == "show" else self._views.discard)(str(message.get("view")))
            self._asked |= kind == "show"
            if self.hub.ended and kind == "show":  # the bridge has left it
                self._worker.put(lambda: self.tell(self.hub.snapshot()))
        elif kind == "ping":
            self._looker.put(self._measure)
            self._surveyor.put(self._survey)
        elif kind == "inspector":
            self._looker.put(lambda: self.widget.send(*answer(self.hub.remote, message)))
        else:
            self._worker.put(lambda: self._do(message))
        BRIDGE.poke()

    def _measure(self) -> None:
        self.hub.measure()
        self.hub.touch()
        BRIDGE.poke()

    def _survey(self) -> None:
        survey()
        self.hub.touch()
        BRIDGE.poke()

    def _do(self, message: dict[str, Any]) -> None:
        if message.get("type") == "why":
            number = int(message["handle"])
            found = holders.all_holders(self.hub.remote.handle(number).owner)
            self.widget.send({"type": "why", "handle": number, "held": found})
        else:
            answer = act(self.hub, message)
            if answer is not None:
                self.widget.send(answer | {"held": self._held()})
        BRIDGE.poke()
