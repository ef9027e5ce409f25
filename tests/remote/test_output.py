from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING

import pytest

from rpcnb.core.errors import RemoteWarning
from rpcnb.remote.output import KeptText, give_warnings, print_output, read_warning

if TYPE_CHECKING:
    from collections.abc import Callable


def test_the_end_of_a_long_text_is_kept() -> None:
    text = KeptText(limit=10)
    for piece in ("abcd", "efgh", "ijkl"):
        text.append(piece)
    assert str(text) == "efghijkl"
    text.append("0123456789abc")
    assert str(text) == "3456789abc"


def test_output_goes_to_the_stream_of_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    print_output("stdout", "out")
    print_output("stderr", "err")
    assert capsys.readouterr() == ("out", "err")


def test_a_program_without_streams_survives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    print_output("stdout", "out")
    assert sys.stdout is None


@pytest.mark.parametrize(
    ("text", "category", "message"),
    [
        ("/lab/f.py:3: UserWarning: careful\n  warn()\n", UserWarning, "careful (f.py:3)"),
        ("f.py:3: DeprecationWarning: a: b\n", DeprecationWarning, "a: b (f.py:3)"),
        ("f.py:3: UserWarning: two\nlines\n  warn()\n", UserWarning, "two\nlines (f.py:3)"),
        ("f.py:3: LabWarning: odd\n", RemoteWarning, "LabWarning: odd (f.py:3)"),
        ("f.py:3: ValueError: odd\n", RemoteWarning, "ValueError: odd (f.py:3)"),
        ("f.py:3: print: odd\n", RemoteWarning, "print: odd (f.py:3)"),
        ("no warning at all", RemoteWarning, "no warning at all"),
    ],
)
def test_warnings_are_rebuilt_from_builtin_categories_only(
    text: str, category: type[Warning], message: str
) -> None:
    warning = read_warning(text)
    assert type(warning) is category
    assert str(warning) == message


@pytest.mark.parametrize("formatted", [warnings.formatwarning])
def test_what_formatwarning_writes_is_read_back(formatted: Callable[..., str]) -> None:
    text = formatted(UserWarning("careful"), UserWarning, __file__, 1)
    assert str(read_warning(text)) == "careful (test_output.py:1)"


def test_the_caller_at_the_stack_level_is_blamed() -> None:
    def call() -> None:
        give_warnings(["f.py:3: UserWarning: careful"], stacklevel=2)

    with pytest.warns(UserWarning, match="careful") as caught:
        call()
    assert caught[0].filename == __file__


def test_a_filter_may_make_them_errors() -> None:
    with warnings.catch_warnings(action="error"), pytest.raises(UserWarning, match="careful"):
        give_warnings(["f.py:3: UserWarning: careful"], stacklevel=1)
