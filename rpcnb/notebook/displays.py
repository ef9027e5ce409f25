"""How remote things look in a notebook: static HTML and plain text, from what is known here.

The proxies know nothing of this: `rpcnb.notebook.formatters` tells IPython, by class. Nothing here
sends a frame, and nothing is live, so a display reads the same after the kernel has gone.
"""

from __future__ import annotations

import reprlib
from itertools import islice
from typing import TYPE_CHECKING, Any

from rpcnb.notebook.markup import Html, details, join, table, tag
from rpcnb.remote.array import RemoteArray, short_dtype, short_size
from rpcnb.remote.module import RemoteModule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rpcnb.manager import SessionRow
    from rpcnb.remote.catalogue import FunctionCatalogue
    from rpcnb.remote.client import Remote
    from rpcnb.remote.device import RemoteDevice
    from rpcnb.remote.function import RemoteFunction
    from rpcnb.remote.future import RemoteFuture
    from rpcnb.remote.handles import HandleTable
    from rpcnb.remote.iterator import RemoteGenerator
    from rpcnb.remote.object import RemoteObject

SHOWN = 200
"""Rows of a table, and names of a list."""
KEPT_TEXT = 2000
"""Characters of printed text in the display of a call."""


BRIEF = 80
"""Characters of a cell of a table that may be one long word."""


class SessionTable:
    """What `%remotes` shows: the sessions that were open at that moment."""

    def __init__(self, rows: Sequence[SessionRow]) -> None:
        self.rows = tuple(rows)

    def __repr__(self) -> str:
        if not self.rows:
            return "no session is open; %connect_remote HOST:PORT opens one"
        lines = [f"{len(self.rows)} sessions" if len(self.rows) > 1 else "1 session"]
        lines += [
            f"{row.index:>4}  {row.name:<16} {row.state:<6} {row.url:<24} "
            f"{counted(row.handles, 'handle')}, {short_size(row.nbytes)}, "
            f"{counted(row.calls, 'call')} running"
            for row in self.rows
        ]
        return "\n".join(lines)


def counted(number: int, noun: str) -> str:
    """Write ``1 handle``, ``2 handles``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def code(text: object) -> Html:
    """Return text in the font of code."""
    return tag("code", text, style="background: none; padding: 0")


def quiet(text: object) -> Html:
    """Return text of second rank."""
    return tag("span", text, style="opacity: 0.8")


def headline(title: object, *facts: object) -> Html:
    """Return the line that says it all: what it is, then facts about it."""
    parts: list[object] = [tag("strong", title)]
    for fact in facts:
        parts += [" · ", fact]
    return tag("div", *parts)


# --- one function for each class ----------------------------------------------------------------


def remote_html(remote: Remote) -> Html:
    """Show a connection: where to, and what is there."""
    functions = remote.functions
    state: list[object] = ["○ closed"]
    if not remote.closed:
        handles = remote.handles
        state = ["● live", counted(len(handles), "handle"), short_size(handles.nbytes)]
        functions.fetch()
    shown = [headline(remote.name, code(remote.url), *state)]
    if functions.known:
        shown.append(details(counted(len(functions), "function"), function_table(functions)))
    return tag("div", *shown)


def catalogue_html(functions: FunctionCatalogue) -> Html:
    """Show what can be called."""
    return join([quiet(counted(len(functions), "function")), function_table(functions)])


def function_table(functions: Mapping[str, RemoteFunction]) -> Html:
    """Return a row for each function: how it is called, and the first line of its documentation."""
    rows = (
        (code(cut(f.describe())), " ".join(kinds(f)), cut(f.info.doc.partition("\n")[0]))
        for f in islice(functions.values(), SHOWN)
    )
    head = ("function", "kind", "what it does")
    return join([table(head, rows), left_out(len(functions))])


def cut(text: str, most: int = KEPT_TEXT) -> str:
    """Return the begin of a text that the other side chose."""
    return text if len(text) <= most else f"{text[:most]}…"


def left_out(number: int) -> Html:
    """Say how many of `number` rows a table leaves out, if any."""
    return quiet(f"and {number - SHOWN:,} more") if number > SHOWN else Html("")


def kinds(function: RemoteFunction) -> list[str]:
    """Return what is special about a function."""
    info = function.info
    return ["generator"] * info.is_generator + ["async"] * info.is_async


def function_html(function: RemoteFunction) -> Html:
    """Show how a function is called."""
    doc = function.info.doc
    more = details("documentation", tag("pre", cut(doc), style="margin: 4px 0")) if doc else ""
    facts = [f"on {function.remote.name}", *kinds(function), *freed(function)]
    return tag("div", headline(code(function.describe()), *facts), more)


def array_html(array: RemoteArray) -> Html:
    """Show what is known about an array; no element is fetched."""
    facts = (
        ("shape", array.shape),
        ("dtype", array.dtype),
        ("size", f"{array.size:,} elements, {array.nbytes:,} bytes"),
        ("device", array.device),
        ("strides", array.strides),
        ("handle", array.handle),
        ("writeable", "yes" if array.writeable else "no"),
    )
    what = f"{short_dtype(array.dtype)}{list(array.shape)}"
    where = f"on {array.remote.name} {array.device}"
    return tag(
        "div",
        headline(code(what), short_size(array.nbytes), where, *freed(array)),
        details("details", table(None, facts)),
    )


def object_html(thing: RemoteObject) -> Html:
    """Show an object by what its ``repr`` was over there."""
    line = headline(code(thing.type_name), f"on {thing.remote.name}", *freed(thing))
    return tag("div", line, tag("div", code(cut(thing.summary))))


def module_html(module: RemoteModule) -> Html:
    """Show a module and the names of its functions."""
    names = sorted(name for name in dir(module) if not hasattr(RemoteModule, name))
    names = [name for name in names if not name.startswith("_")]
    line = headline(code(module.__name__), f"on {module.remote.name}", *freed(module))
    listed = code(", ".join(names[:SHOWN]))
    return tag("div", line, details(counted(len(names), "function"), listed, left_out(len(names))))


def generator_html(items: RemoteGenerator) -> Html:
    """Show a generator; taking an item from it would change it."""
    return headline(code(repr(items).strip("<>")), "iterate it to get its items")


def device_html(device: RemoteDevice) -> Html:
    """Show a device."""
    if not device.exists:
        return headline(str(device), f"on {device.remote.name}", "does not exist")
    facts = [device.name] if device.name else []
    if device.total_memory is not None:
        facts.append(short_size(device.total_memory))
    return headline(str(device), f"on {device.remote.name}", *facts)


def future_html(future: RemoteFuture) -> Html:
    """Show a call as it was at this moment."""
    parts: list[object] = [headline(code(future.name), future_state(future), future.remote.name)]
    progress = future.progress
    if progress is not None and not future.done():
        parts.append(tag("div", bar(progress.fraction), f" {progress}"))
    for name in ("stdout", "stderr"):
        text = getattr(future, name)[-KEPT_TEXT:]
        if text:
            parts.append(details(name, tag("pre", text, style="margin: 4px 0")))
    return tag("div", *parts)


def future_state(future: RemoteFuture) -> str:
    """Say in words how a call is, or how it ended."""
    if not future.done():
        return "◌ running" if future.running() else "◌ waiting"
    if future.cancelled():
        return "⊘ cancelled"
    error = future.exception()
    if error is not None:
        first_line = str(error).partition("\n")[0]
        return f"✕ raised {type(error).__name__}: {first_line}"
    return f"✓ returned {reprlib.repr(future.result())}"


def bar(fraction: float | None) -> Html:
    """Return a progress bar, which moves by itself where nobody knows how far it is."""
    value = None if fraction is None else f"{fraction:.3f}"
    return tag("progress", value=value, max=1, style="width: 240px")


def handles_html(handles: HandleTable) -> Html:
    """Show what is held over there."""
    head = ("handle", "kind", "what", "size")
    rows = (
        (h.handle, h.kind, cut(h.summary, BRIEF), short_size(h.nbytes) if h.nbytes else "")
        for h in handles[-SHOWN:]  # the youngest
    )
    total = f"{counted(len(handles), 'handle')}, {short_size(handles.nbytes)} in arrays"
    shown = table(head, rows, numbers=frozenset({0, 3}))
    return join([quiet(total), shown, left_out(len(handles))])


def sessions_html(sessions: SessionTable) -> Html:
    """Show the session table."""
    if not sessions.rows:
        return quiet(repr(sessions))
    head = ("index", "name", "state", "address", "handles", "bytes", "calls")
    rows = (
        (r.index, r.name, r.state, code(r.url), r.handles, short_size(r.nbytes), r.calls)
        for r in sessions.rows
    )
    return table(head, rows, numbers=frozenset({0, 4, 5, 6}))


def freed(proxy: Any) -> list[str]:
    """Return the word for a handle that was given up."""
    return ["freed"] if proxy.freed else []
