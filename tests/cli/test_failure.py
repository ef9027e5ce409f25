from __future__ import annotations

import traceback

import pytest

from rpcnb.cli.failure import explain, of_the_user
from rpcnb.core.errors import AddressError, ConnectError
from rpcnb.endpoint.serving.server import load_functions


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (AddressError("'x' is no address"), 2),
        (ConnectError("nobody listens"), 1),
        (PermissionError("not yours"), 1),
    ],
)
def test_what_a_user_can_mend_is_told_as_it_is(error: Exception, status: int) -> None:
    failure = explain(error)
    assert (str(failure), failure.status) == (str(error), status)


def test_anything_else_is_named_as_a_mistake_of_ours() -> None:
    failure = explain(KeyError("x"))
    assert str(failure).startswith("KeyError: 'x'; this should not happen, --debug")
    assert failure.status == 1


def test_only_frames_of_the_user_are_left(tmp_path) -> None:
    path = tmp_path / "boom.py"
    path.write_text("def inner():\n    return 1 / 0\n\ninner()\n")
    with pytest.raises(ZeroDivisionError) as raised:
        load_functions([str(path)])
    text = of_the_user("".join(traceback.format_exception(raised.value)))
    files = [line for line in text.splitlines() if line.startswith("  File")]
    ours = [line for line in files if "boom.py" not in line]
    assert [line.split("in ")[-1] for line in files if "boom.py" in line] == ["<module>", "inner"]
    assert all("test_failure" in line for line in ours)
    assert text.startswith("Traceback")
    assert text.endswith("ZeroDivisionError: division by zero\n")


def test_a_traceback_without_the_user_is_nothing() -> None:
    with pytest.raises(ModuleNotFoundError) as raised:
        load_functions(["no_such_module"])
    whole = traceback.format_exception(raised.value)
    theirs = [line for line in whole if __file__ not in line]
    assert of_the_user("".join(theirs)) == ""
