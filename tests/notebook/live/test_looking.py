from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from rpcnb.notebook.live.looking import answer

if TYPE_CHECKING:
    import rpcnb

ARRAY = np.arange(60.0).reshape(3, 4, 5)


def ask(remote: rpcnb.Remote, array: Any, **message: Any) -> dict[str, Any]:
    return answer(remote, {"handle": array.handle, "seq": 7} | message)[0]


def test_the_overview_has_three_pictures_and_what_to_say(remote: rpcnb.Remote) -> None:
    array = remote.array(ARRAY)
    told, buffers = answer(remote, {"handle": array.handle, "ask": "overview"})
    assert (told["what"], told["shape"], told["axes"]) == ("f64[3, 4, 5] 480 B", [3, 4, 5], [1, 2])
    assert [len(buffer) for buffer in buffers] == [20, 20, 20]
    assert told["name"] == f"remote.handle({array.handle})"
    assert told["moved"] > 60


def test_figures_come_with_a_sentence(remote: rpcnb.Remote) -> None:
    told = ask(remote, remote.array(ARRAY), ask="figures")
    assert told["figures"]["max"] == 59
    assert told["sentence"].startswith("f64[3, 4, 5] 480 B ∈ [0, 59]")
    assert told["seq"] == 7


def test_a_look_has_the_pictures_asked_for(remote: rpcnb.Remote) -> None:
    array = remote.array(ARRAY)
    message = {"axes": [0, 2], "index": [[0, 3], 1, [1, 99]], "blocks": [1, 2], "clip": [0, 60]}
    about = {"handle": array.handle, "ask": "look", "names": ["max", "evil"]}
    told, buffers = answer(remote, about | message)
    assert (told["size"], told["names"], len(buffers)) == ([3, 2], ["max"], 1)


def test_values_are_written_as_numpy_writes_them(remote: rpcnb.Remote) -> None:
    array = remote.array(ARRAY)
    told = ask(remote, array, ask="values", axes=[2, 1], index=[2, [0, 2], [1, 3]])
    assert told["values"] == [[str(v) for v in row] for row in ARRAY[2, 0:2, 1:3].T]
    line = remote.array(np.array([1, 2], "i4"))
    told = ask(remote, line, ask="values", axes=[0], index=[[0, 2]])
    assert told["values"] == [["1", "2"]]


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ({"ask": "values", "axes": [0, 1], "index": [[0, 3], [0, 4], 5]}, "lies outside"),
        ({"ask": "values", "axes": [0, 1], "index": [[2, 2], [0, 4], 0]}, "nothing lies between"),
        ({"ask": "values", "axes": [0], "index": [[0, 3], [0, 4], 0]}, "do not fit"),
        ({"ask": "values", "axes": [0], "index": [[0, 3]]}, "zip"),
        ({"ask": "erase"}, "KeyError"),
        ({"handle": 999, "ask": "figures"}, "not held here"),
    ],
)
def test_nonsense_is_an_error_told_to_the_browser(
    remote: rpcnb.Remote, message: dict[str, Any], problem: str
) -> None:
    array = remote.array(ARRAY)
    told = ask(remote, array, **message)
    assert problem in told["error"]


def test_a_table_is_small_and_a_function_has_no_picture(remote: rpcnb.Remote) -> None:
    array = remote.zeros((100, 100))
    told = ask(remote, array, ask="values", axes=[0, 1], index=[[0, 100], [0, 100]])
    assert "more than a table shows" in told["error"]
    function = remote.get_function("make")
    assert "is no array" in ask(remote, function, ask="figures")["error"]
