from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rpcnb.notebook.inspector import Inspector

if TYPE_CHECKING:
    import pytest

    import rpcnb


def test_what_is_shown_without_a_kernel_has_sentence_picture_and_figures(
    shell: Any, address: str
) -> None:
    shell.run(f"%connect_remote {address}")
    shown = shell.run("a = remote.get_function('make')(4)\na.inspect()")
    (bundle,) = [output.data for output in shown.outputs]
    sentence = "f32[4, 3] 48 B ∈ [0, 0] μ=0 σ=0"  # noqa: RUF001 -- sigma
    assert bundle["text/plain"] == sentence
    assert sentence in bundle["text/html"]
    assert 'src="data:image/png;base64,' in bundle["text/html"]
    assert "<td" in bundle["text/html"]


def test_what_has_no_picture_says_so(shell: Any, address: str) -> None:
    shell.run(f"%connect_remote {address}")
    assert "no elements to show" in shell.fail("remote.zeros((0, 3)).inspect()")


def test_without_a_notebook_a_sentence_is_printed(
    remote: rpcnb.Remote, capsys: pytest.CaptureFixture[str]
) -> None:
    remote.zeros(3).inspect()
    assert capsys.readouterr().out.startswith("f64[3] 24 B")


def test_an_inspector_answers_on_a_thread_of_its_own_and_keeps_nothing_alive(
    remote: rpcnb.Remote, eventually: Any
) -> None:
    array = remote.zeros(3)
    inspector = Inspector(remote, array.handle, {}, "three zeros")
    told: list[Any] = []
    inspector.widget.send = lambda *message: told.append(message)
    inspector.receive({"ask": "figures"}, False)
    assert eventually(lambda: told)
    assert told[0][0]["figures"]["size"] == 3
    del array
    inspector.receive({"ask": "figures"}, False)
    assert eventually(lambda: len(told) == 2)
    assert "not held here" in told[1][0]["error"]
    inspector.widget.close()
