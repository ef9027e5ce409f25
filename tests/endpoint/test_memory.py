from __future__ import annotations

import pytest

from rpcnb.endpoint.memory import NOTE, STEP, SWITCH, copy_in_steps, is_offered
from rpcnb.session.observer import CallObserver


class Steps(CallObserver):
    def __init__(self) -> None:
        self.done: list[int] = []

    def progress(self, done: float, total: float | None, text: str) -> None:
        self.done.append(int(done))


def test_a_copy_tells_of_each_step() -> None:
    source, target, steps = bytes(range(256)) * (STEP // 128 + 1), bytearray(), Steps()
    target = bytearray(len(source))
    copy_in_steps(memoryview(source), memoryview(target), steps, lambda: False)
    assert target == source
    assert steps.done == [STEP, 2 * STEP, len(source)]


def test_a_copy_ends_after_the_step_in_which_it_was_stopped() -> None:
    target, steps = bytearray(2 * STEP), Steps()
    copy_in_steps(memoryview(b"x" * 2 * STEP), memoryview(target), steps, lambda: True)
    assert steps.done == [STEP]
    assert target[STEP - 1 : STEP + 1] == b"x\0"


@pytest.mark.parametrize(("word", "offered"), [("off", False), ("0", False), ("on", True)])
def test_the_switch_of_the_environment_decides(monkeypatch, word, offered) -> None:
    monkeypatch.setenv(SWITCH, word)
    assert is_offered() is offered


def test_a_note_holds_any_number_and_size() -> None:
    assert NOTE.unpack(NOTE.pack(1, 1 << 40)) == (1, 1 << 40)
