from __future__ import annotations

import gc
from typing import Any

import rpcnb
from rpcnb.notebook.live import holders


def owner(shell: Any, name: str = "a") -> Any:
    return shell[name].owner


def prepared(shell: Any, address: str) -> Any:
    shell.run(f"%connect_remote {address}")
    shell.run("make = remote.get_function('make')\na = make(4)")
    return shell


def test_variables_and_outputs_that_name_a_handle_are_found(shell: Any, address: str) -> None:
    prepared(shell, address)
    shell.run("a")
    number = shell.shell.execution_count - 1
    shell.shell.user_ns["Out"][number] = shell["a"]
    shell.shell.user_ns["_"] = None
    assert set(holders.names()[id(owner(shell))][1]) == {"a", f"Out[{number}]"}
    assert holders.variable_of(owner(shell)) == "a"
    assert holders.variable_of(shell["remote"]) == "remote"


def test_functions_known_by_name_only_hold_nothing(shell: Any, address: str) -> None:
    prepared(shell, address)
    shell.run("b = remote.fn.make")
    assert holders.owner_of(shell["b"]) is None


def test_a_list_and_a_closure_that_hold_it_are_found(shell: Any, address: str) -> None:
    prepared(shell, address)
    shell.run("kept = [a]\ndef close(x):\n    def inner():\n        return x\n    return inner")
    shell.run("f = close(a)")
    found = holders.all_holders(owner(shell))
    assert {"a", "list kept", "function close.<locals>.inner"} <= set(found)


def test_forgetting_outputs_lets_a_handle_go(shell: Any, address: str) -> None:
    prepared(shell, address)
    number = 3
    variables, hidden = shell.shell.user_ns, shell.shell.user_ns_hidden
    variables["Out"][number] = variables["_"] = variables[f"_{number}"] = variables.pop("a")
    hidden["_"] = shell.shell.displayhook._ = variables["_"]
    (held, names) = next(v for v in holders.names().values() if "_" in v[1])
    assert sorted(names) == ["Out[3]", "_"]
    assert holders.forget_outputs(held) == [3]
    assert number not in variables["Out"]
    assert [v[1] for v in holders.names().values() if v[0] is held] == []
    proxies = [type(r) for r in gc.get_referrers(held) if isinstance(r, rpcnb.RemoteArray)]
    assert proxies == []


def test_outside_of_a_notebook_nothing_has_a_name() -> None:
    assert holders.names() == {}
    assert holders.variable_of(object()) == ""
