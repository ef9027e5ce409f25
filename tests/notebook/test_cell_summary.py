from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from IPython.utils.capture import capture_output

from rpcnb.notebook.cell_summary import Change, Figures
from rpcnb.notebook.journal import JOURNAL, Tally

if TYPE_CHECKING:
    from conftest import Shell


@pytest.fixture
def summed(shell: Shell, address: str) -> Shell:
    shell.run(f"%connect_remote {address}")
    shell.run("remote.fn.make(1); remote.fn.lab.add(1)")  # both looked up
    assert lines_of(shell, "%remote_cells on") == []
    return shell


def lines_of(shell: Shell, cell: str) -> list[str]:
    outputs = shell.run(cell).outputs
    return "\n".join(o.data["text/plain"] for o in outputs).splitlines()


def test_a_cell_says_what_it_did(summed: Shell) -> None:
    (line,) = lines_of(summed, "a = remote.fn.make(1024)\nb = remote.fn.make(1)\ndel b")
    assert line.startswith("lab: +1 handle (2 made, ")
    assert ", +12.0 KiB, 2 calls, " in line
    assert line.endswith(" messages")
    (line,) = lines_of(summed, "del a")
    assert line.startswith("lab: -1 handle (0 made, ")
    assert ", -12.0 KiB" in line
    assert "call" not in line


def test_a_cell_that_does_nothing_over_there_says_nothing(summed: Shell) -> None:
    assert lines_of(summed, "x = 1") == []


def test_a_cell_that_fails_says_what_it_did(summed: Shell) -> None:
    with capture_output() as captured:
        summed.shell.run_cell("remote.fn.fail()")
    assert captured.outputs[-1].data["text/plain"].startswith("lab: ")


def test_a_cell_that_grows_each_time_is_told_of(summed: Shell) -> None:
    summed.run("kept = []")
    cell = "kept.append(remote.fn.make(1024))"
    assert [len(lines_of(summed, cell)) for _ in range(4)] == [1, 1, 2, 2]
    hint = lines_of(summed, cell)[1]
    assert hint.startswith(
        "each of the last 5 runs of this cell left 1 handle more, 12.0 KiB, alive"
    )


def test_a_cell_that_replaces_what_it_made_does_not_grow(summed: Shell) -> None:
    cell = "same = remote.fn.make(1024)"
    assert [len(lines_of(summed, cell)) for _ in range(5)] == [1] * 5


def test_it_is_switched_off_and_then_costs_nothing(summed: Shell) -> None:
    assert summed.run("%remote_cells").stdout == "on\n"
    summed.run("%remote_cells off")
    assert lines_of(summed, "remote.fn.lab.add(1);") == []
    assert not JOURNAL.open
    assert summed.run("%remote_cells").stdout == "off\n"


def test_copies_count_once_whichever_way_they_went() -> None:
    def change(sent: int) -> Change:
        return Change("lab", Figures(0, 0, 0, 0), Figures(0, 0, sent, 2), Tally(copied=1 << 20))

    assert change(200).moved == 200 + (1 << 20)  # by shared memory
    assert change((1 << 20) + 200).moved == (1 << 20) + 200


def test_long_calls_say_how_long() -> None:
    change = Change("lab", Figures(1, 0, 0, 0), Figures(1, 0, 2048, 2), Tally(1, 0.94, 0))
    assert str(change) == "lab: 1 call, 0.9 s remote, 2.0 KiB moved in 2 messages"
