from __future__ import annotations

from typing import TYPE_CHECKING

from rpcnb.remote.object import RemoteObject

if TYPE_CHECKING:
    from rpcnb.remote.client import Remote


def test_an_object_shows_what_it_is_and_can_be_passed_back(remote: Remote) -> None:
    thing = remote.functions["make_thing"]()
    assert isinstance(thing, RemoteObject)
    assert thing.type_name.endswith("Thing")
    assert thing.summary == "a thing"
    assert repr(thing).endswith("on lab: a thing>")
    assert remote.functions["type_name"](thing) == "Thing"
