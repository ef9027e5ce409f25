from __future__ import annotations

import pytest

import rpcnb
from rpcnb.cli import main


@pytest.mark.parametrize("name", ["serve", "token", "status", "stop", "demo", "bench", "version"])
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    assert f"usage: rpcnb {name}" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["dance"], ["serve", "--port", "x"]])
def test_a_command_line_nobody_can_read_ends_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


def test_the_version_is_an_option_too(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"rpcnb {rpcnb.__version__}\n"


def test_an_error_is_one_line_that_names_the_command(
    environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["token"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("rpcnb token: ")
    assert "rpcnb serve FILE.py" in error
    assert error.count("\n") == 1


def test_debug_shows_our_traceback(environment: dict[str, str]) -> None:
    with pytest.raises(Exception, match="no server of yours runs here"):
        main(["token", "--debug"])
