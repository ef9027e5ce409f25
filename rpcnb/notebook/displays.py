"""How remote things look in a notebook: static HTML and plain text, from what is known here.

The proxies know nothing of this: `register` tells IPython's formatters, by class. Nothing here
sends a frame, and nothing is live, so a display reads the same after the kernel has gone.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from rpcnb.notebook.markup import Html, details, join, table, tag, visible
from rpcnb.remote.array import RemoteArray, short_dtype, short_size
from rpcnb.remote.catalogue import FunctionCatalogue
from rpcnb.remote.client import Remote
from rpcnb.remote.device import RemoteDevice
from rpcnb.remote.function import RemoteFunction
from rpcnb.remote.future import RemoteFuture
from rpcnb.remote.handles import HandleTable
from rpcnb.remote.iterator import RemoteGenerator
from rpcnb.remote.module import RemoteModule
from rpcnb.remote.object import RemoteObject

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from IPython.core.interactiveshell import InteractiveShell

    from rpcnb.manager import SessionRow

Display: TypeAlias = Callable[[Any], Html]

KEPT_TEXT = 2000
"""Characters of printed text in the display of a call."""


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
    state: list[object] = ["○ closed"]
    if not remote.closed:
        handles = remote.handles
        state = ["● live", counted(len(handles), "handle"), short_size(handles.nbytes)]
    return tag(
        "div",
        headline(remote.name, code(remote.url), *state),
        details(counted(len(remote.functions), "function"), function_table(remote.functions)),
    )


def catalogue_html(functions: FunctionCatalogue) -> Html:
    """Show what can be called."""
    return join([quiet(counted(len(functions), "function")), function_table(functions)])


def function_table(functions: FunctionCatalogue) -> Html:
    """Return a row for each function: how it is called, and the first line of its documentation."""
    rows = (
        (code(f.describe()), " ".join(kinds(f)), f.info.doc.partition("\n")[0])
        for f in functions.values()
    )
    return table(("function", "kind", "what it does"), rows)


def kinds(function: RemoteFunction) -> list[str]:
    """Return what is special about a function."""
    info = function.info
    return ["generator"] * info.is_generator + ["async"] * info.is_async


def function_html(function: RemoteFunction) -> Html:
    """Show how a function is called."""
    doc = function.info.doc
    more = details("documentation", tag("pre", doc, style="margin: 4px 0")) if doc else ""
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
    return tag("div", line, tag("div", code(thing.summary)))


def module_html(module: RemoteModule) -> Html:
    """Show a module and the names of its functions."""
    names = sorted(name for name in dir(module) if not hasattr(RemoteModule, name))
    names = [name for name in names if not name.startswith("_")]
    line = headline(code(module.__name__), f"on {module.remote.name}", *freed(module))
    return tag("div", line, details(counted(len(names), "function"), code(", ".join(names))))


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
        (h.handle, h.kind, h.summary, short_size(h.nbytes) if h.nbytes else "") for h in handles
    )
    total = f"{counted(len(handles), 'handle')}, {short_size(handles.nbytes)} in arrays"
    return join([quiet(total), table(head, rows, numbers=frozenset({0, 3}))])


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


# --- IPython ------------------------------------------------------------------------------------

DISPLAYS: dict[type, Display] = {
    FunctionCatalogue: catalogue_html,
    HandleTable: handles_html,
    Remote: remote_html,
    RemoteArray: array_html,
    RemoteDevice: device_html,
    RemoteFunction: function_html,
    RemoteFuture: future_html,
    RemoteGenerator: generator_html,
    RemoteModule: module_html,
    RemoteObject: object_html,
    SessionTable: sessions_html,
}


def register(shell: InteractiveShell) -> None:
    """Let a shell show these classes this way."""
    assert shell.display_formatter is not None  # every shell has one
    formatters = shell.display_formatter.formatters
    for cls, display in DISPLAYS.items():
        formatters["text/html"].for_type(cls, display)
        formatters["text/plain"].for_type(cls, _plain)


def unregister(shell: InteractiveShell) -> None:
    """Let a shell show these classes as any other."""
    assert shell.display_formatter is not None  # every shell has one
    formatters = shell.display_formatter.formatters
    for cls in DISPLAYS:
        formatters["text/html"].pop(cls, None)
        formatters["text/plain"].pop(cls, None)


def _plain(thing: object, printer: Any, _cycle: bool) -> None:  # noqa: FBT001 -- IPython's interface
    lines: Iterable[str] = visible(repr(thing)).splitlines()
    for number, line in enumerate(lines):
        if number:
            printer.break_()
        printer.text(line)
