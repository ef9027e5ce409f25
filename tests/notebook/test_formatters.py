"""Every class that people hold: what a notebook shows of it, and what looking costs."""

from __future__ import annotations

import copy
import re
import sys
from typing import TYPE_CHECKING, Any

import pytest
from IPython.core.completer import provisionalcompleter

import rpcnb
from rpcnb.notebook.call_table import CallTable
from rpcnb.notebook.displays import SessionTable
from rpcnb.notebook.formatters import DISPLAYS, LONGEST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Shell

WAIT = 20.0
SANITISED = re.compile(r"<(script|style|svg|iframe|img|link|object)\b|\son\w+=|\sclass=|url\(")


@pytest.fixture
def things(shell: Shell, server: rpcnb.Server, remote: rpcnb.Remote) -> Iterator[dict[str, Any]]:
    """Give one object of each class, by the name it has in the shell."""
    call = remote.fn.lab.add.submit(1)
    call.result(timeout=WAIT)
    timed = remote.fn.lab.add.time_evaluator(number=1)
    remote.session.get_function("")  # so that what the above gave up has been sent
    device = remote.device("cpu:0")
    here = rpcnb.local()
    here.session.allowed_modules = ("math",)
    held = {
        "remote": remote,
        "functions": remote.functions,
        "tree": remote.fn,
        "part": remote.fn.lab,
        "function": remote.fn.lab.add,
        "array": remote.fn.make(4),
        "thing": remote.fn.evil(),
        "items": remote.fn.count_up(3),
        "module": here.load_module("math"),
        "device": device,
        "stream": device.create_stream(),
        "call": call,
        "handles": remote.handles,
        "xp": remote.xp,
        "linalg": remote.xp.linalg,
        "random": remote.random,
        "generator": remote.random.default_rng(1),
        "timed": timed,
        "measured": timed(1),
        "server": server,
        "manager": rpcnb.manager,
        "table": SessionTable(rpcnb.manager.table()),
        "calls": CallTable("lab", [], 3, recorded=False),
    }
    shell.shell.user_ns.update(held)
    yield held
    here.close()


def frames(remote: rpcnb.Remote) -> tuple[object, object]:
    figures = remote.session.statistics()
    return figures["frames_sent"], figures["frames_received"]


def shown(shell: Shell, thing: object) -> tuple[str, str]:
    bundle, _ = shell.shell.display_formatter.format(thing)
    return bundle["text/html"], bundle["text/plain"]


def test_every_class_with_a_display_is_among_the_things(things: dict[str, Any]) -> None:
    classes = {type(thing) for thing in things.values()}
    names = {f"{cls.__module__}.{cls.__qualname__}" for cls in classes}
    assert [c for c in DISPLAYS if c not in classes and c not in names] == []


def test_all_displays_survive_an_untrusted_notebook(shell: Shell, things: dict[str, Any]) -> None:
    for name, thing in things.items():
        page, text = shown(shell, thing)
        assert SANITISED.search(page) is None, name
        assert re.search(r"(?<!-)\bcolor:", page) is None, "text keeps the colour of the theme"
        assert text, name
        assert not set(text) & {"\x1b", "\u202e"}, name


def test_looking_sends_nothing(shell: Shell, things: dict[str, Any], remote: rpcnb.Remote) -> None:
    for name, thing in things.items():
        before = frames(remote)
        shown(shell, thing)  # repr and the displays
        dir(thing)
        sys.getsizeof(thing)
        hasattr(thing, "_repr_html_")
        hasattr(thing, "nothing_of_that_name")
        assert frames(remote) == before, name
        with provisionalcompleter():  # Tab
            list(shell.shell.Completer.completions(f"{name}.", len(name) + 1))
            list(shell.shell.Completer.completions(f"{name}(", len(name) + 1))
        assert frames(remote) == before, f"Tab after {name}"
        for level in (0, 1):  # Shift-Tab, ?, ??
            shell.shell.object_inspect(name, detail_level=level)
            shell.run(f"{name}{'?' * (level + 1)}")
        assert frames(remote) == before, f"Shift-Tab on {name}"


def test_what_cannot_be_copied_says_so_and_sends_nothing(
    things: dict[str, Any], remote: rpcnb.Remote
) -> None:
    before = frames(remote)
    for name in ("function", "thing", "items", "device", "stream", "call"):
        for copied in (copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="pickled"):
                copied(things[name])
    assert frames(remote) == before


def test_plain_text_is_bounded(shell: Shell, remote: rpcnb.Remote) -> None:
    kept = [remote.zeros(1) for _ in range(1000)]
    _, text = shown(shell, remote.handles)
    assert len(text) < LONGEST + 100
    assert "characters left out" in text
    assert kept


def test_every_display_is_taken_back(shell: Shell, remote: rpcnb.Remote) -> None:
    shell.run("%unload_ext rpcnb")
    formatters = shell.shell.display_formatter.formatters
    assert [cls for cls in DISPLAYS if cls in formatters["text/html"]] == []
    shell.run("%load_ext rpcnb")
    assert "● live" in shown(shell, remote)[0]
