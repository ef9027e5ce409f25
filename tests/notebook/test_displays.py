from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import rpcnb
from rpcnb.notebook.displays import SHOWN, SessionTable, bar, counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Gate, Shell

WAIT = 20.0


def shown(shell: Shell, thing: object) -> tuple[str, str]:
    """Return the HTML and the plain text a notebook shows of something."""
    bundle, _ = shell.shell.display_formatter.format(thing)
    return bundle["text/html"], bundle["text/plain"]


def test_text_of_a_server_is_never_markup(shell: Shell, remote: rpcnb.Remote) -> None:
    page, text = shown(shell, remote.fn.evil())
    assert "&lt;img src=x&gt;\\u202e\\x1b[31m" in page
    assert "<img src=x>\\u202e\\x1b[31m" in text
    assert "&lt;script&gt;" in page


def test_an_array_tells_shape_size_and_place(shell: Shell, remote: rpcnb.Remote) -> None:
    array = remote.fn.make(4)
    page, text = shown(shell, array)
    assert "f32[4, 3]" in page
    assert "48 B" in page
    assert "on lab cpu:0" in page
    assert text == repr(array)
    array.free()
    assert "freed" in shown(shell, array)[0]


def test_functions_show_signature_and_first_line(shell: Shell, remote: rpcnb.Remote) -> None:
    page, _ = shown(shell, remote.functions)
    assert "lab.add(a: int, b: int = 1) -&gt; int" in page
    assert "Add two numbers." in page


def test_a_remote_says_whether_it_lives(shell: Shell, remote: rpcnb.Remote) -> None:
    assert "● live" in shown(shell, remote)[0]
    remote.close()
    page, text = shown(shell, remote)
    assert "○ closed" in page
    assert "closed" in text


def test_a_call_says_how_it_is_and_how_it_ended(
    shell: Shell, remote: rpcnb.Remote, gate: Gate, eventually: Callable[..., bool]
) -> None:
    call = remote.fn.wait.submit()
    assert gate.entered.wait(WAIT)
    assert eventually(lambda: call.progress is not None, timeout=WAIT)
    assert "<progress" in shown(shell, call)[0]
    gate.open.set()
    assert call.result(timeout=WAIT) == "through"
    page, _ = shown(shell, call)
    assert "✓ returned &#x27;through&#x27;" in page
    assert "waited" in page
    failed = remote.fn.fail.submit()
    assert failed.exception(timeout=WAIT) is not None
    assert "✕ raised RemoteValueError: no good" in shown(shell, failed)[0]


def test_a_cancelled_call_says_so(shell: Shell, remote: rpcnb.Remote, gate: Gate) -> None:
    running = remote.fn.wait.submit()
    assert gate.entered.wait(WAIT)
    queued = remote.fn.wait.submit()
    assert "◌ waiting" in shown(shell, queued)[0]
    assert queued.cancel(timeout=WAIT)
    assert "⊘ cancelled" in shown(shell, queued)[0]
    gate.open.set()
    running.result(timeout=WAIT)


def test_modules_and_generators_have_displays(shell: Shell) -> None:
    with rpcnb.local() as here:
        session = here.session
        session.allowed_modules = ("math",)  # what a server is told on its command line
        page, _ = shown(shell, here.load_module("math"))
    assert "math" in page
    assert "sqrt" in page


def test_an_empty_table_says_how_to_connect(shell: Shell) -> None:
    page, text = shown(shell, SessionTable([]))
    assert "%connect_remote HOST:PORT" in page
    assert "%connect_remote HOST:PORT" in text


@pytest.mark.parametrize(("number", "text"), [(0, "0 calls"), (1, "1 call"), (2000, "2,000 calls")])
def test_counts_read_well(number: int, text: str) -> None:
    assert counted(number, "call") == text


def test_a_bar_without_a_total_moves_by_itself() -> None:
    assert 'value="0.250"' in bar(0.25)
    assert "value" not in bar(None)


def test_long_tables_show_their_end_and_say_what_they_leave_out(
    shell: Shell, remote: rpcnb.Remote
) -> None:
    kept = [remote.zeros(1) for _ in range(SHOWN + 5)]
    page, text = shown(shell, remote.handles)
    assert page.count("<tr>") == SHOWN + 1
    assert "and 5 more" in page
    assert str(kept[-1].handle) in page
    assert len(text.splitlines()) > SHOWN
