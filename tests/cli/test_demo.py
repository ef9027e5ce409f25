from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from rpcnb.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable


def test_a_demo_either_executes_or_opens(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["demo", "--execute", "--no-browser"])
    assert ended.value.code == 2
    assert "not allowed with" in capsys.readouterr().err


@pytest.mark.slow
def test_a_port_that_was_asked_for_and_is_taken_ends_it(command: Callable[..., object]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        status, errors = command("demo", "--execute", "--port", str(port)).end()
    assert status == 1
    assert f"port {port} is in use" in errors
    assert errors.splitlines()[-1].startswith("rpcnb demo: the server did not start")
