from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import rpcnb

if TYPE_CHECKING:
    from conftest import Shell


@pytest.mark.parametrize("code", ["%connect_remote {}", "remote = rpcnb.connect('{}')"])
def test_later_cells_look_for_nothing(shell: Shell, address: str, code: str) -> None:
    shell.shell.user_ns["rpcnb"] = rpcnb
    shell.run(code.format(address))
    remote = shell["remote"]
    assert remote.functions.known
    before = remote.session.statistics()["calls"]
    assert "lab" in dir(remote.fn)
    shell.run("remote")
    shell.run("remote.fn")
    assert remote.session.statistics()["calls"] == before


def test_a_session_that_has_ended_is_left_alone(shell: Shell, address: str) -> None:
    shell.shell.user_ns["rpcnb"] = rpcnb
    shell.run(f"remote = rpcnb.connect('{address}'); remote.close()")
    assert not shell["remote"].functions.known
    shell.run("remote")


def test_a_script_does_not_pay_for_it(address: str) -> None:
    with rpcnb.connect(address) as remote:
        assert remote.session.statistics()["calls"] == 0
        assert not remote.functions.known
