from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rpcnb.notebook.cell_output import TRUSTED

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Shell


@pytest.fixture
def connected(shell: Shell, cell_server: Path) -> Shell:
    shell.run(f"%connect_remote {cell_server}")
    return shell


def test_a_cell_runs_over_there(connected: Shell) -> None:
    ran = connected.run("%%remote\nimport os\nprint('there')\nos.getpid()")
    here = connected.run("import os\nos.getpid()")
    assert ran.stdout == "there\n"
    assert int(ran.outputs[0].data["text/plain"]) > 0
    assert ran.outputs[0].data["text/plain"] not in here.stdout


def test_names_are_taken_there_and_brought_back(connected: Shell) -> None:
    connected.run("n = 3\na = remote.arange(4)")
    connected.run("%%remote --in n a --out b label\nb = a * n\nlabel = f'{n} times'")
    assert connected["label"] == "3 times"
    connected.run("assert b.to_numpy().tolist() == [0, 3, 6, 9]")


def test_the_session_is_named_before_the_options(connected: Shell, cell_server: Path) -> None:
    connected.run(f"%connect_remote {cell_server} --as second")
    connected.run("%%remote second --out x\nx = 'of the second'")
    connected.run("%%remote --out y\ny = 'x' in globals()")
    assert connected["x"] == "of the second"
    assert connected["y"] is False


def test_a_function_of_a_cell_is_callable_at_once(connected: Shell) -> None:
    connected.run("%%remote\ndef twice(x):\n    return 2 * x")
    connected.run("assert remote.fn.twice(4) == 8")


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        ("%%remote --in nothing\n1", "--in nothing: there is no such variable here"),
        ("%%remote --out nothing\n1", "name 'nothing' is not defined over there"),
        ("%%remote nowhere\n1", "no session 'nowhere'"),
        ("%%remote --nonsense\n1", "unrecognized arguments"),
        ("f = print\nget_ipython().run_cell_magic('remote', '--in f', '1')", "cannot stay on lab"),
    ],
)
def test_what_cannot_be_done_is_one_message(connected: Shell, cell: str, told: str) -> None:
    text = connected.fail(cell)
    assert told in text
    assert "rpcnb/notebook" not in text


def test_a_remote_traceback_is_all_that_is_shown(connected: Shell) -> None:
    text = connected.fail("%%remote\nx = 1\nx / 0")
    assert "Cell In[" in text
    assert "----> 2 x / 0" in text
    assert text.rstrip().endswith("on lab")
    assert "run_cell_magic" not in text


def test_trust_is_given_when_connecting(connected: Shell, cell_server: Path) -> None:
    cell = "%%remote\nfrom IPython.display import HTML\nHTML('<b>bold</b>')"
    assert "text/html" not in connected.run(cell).outputs[0].data
    connected.run(f"%connect_remote {cell_server} --trust")
    assert connected["remote"] in TRUSTED
    assert connected.run(cell).outputs[0].data["text/html"] == "<b>bold</b>"


def test_a_server_that_does_not_allow_it_names_the_flag(shell: Shell, address: str) -> None:
    shell.run(f"%connect_remote {address}")
    text = shell.fail("%%remote\n1")
    assert text.startswith("PermissionDenied: this server runs no cells; ")
    assert "rpcnb serve --allow-exec" in text
