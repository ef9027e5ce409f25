"""The reference page of the array operations, made from the rows: ``python -m rpcnb.array.reference``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rpcnb.array.methods import BINARY, COMPARISONS, UNARY
from rpcnb.array.table import WAITS, Operation, operations

if TYPE_CHECKING:
    from collections.abc import Iterator

PARTS = {
    "creation": ("New arrays", "xp."),
    "metadata": ("Questions about dtypes, and uploads", "xp."),
    "elementwise": ("Element by element", "xp."),
    "reduction": ("Reductions", "xp."),
    "views": ("Other shapes", "xp."),
    "manipulation": ("Several arrays, searching, sorting", "xp."),
    "linalg": ("Linear algebra", "xp."),
    "fft": ("Fourier transforms", "xp."),
    "methods": ("Methods", "a."),
}
"""Group of rows -> heading, and what its names stand behind."""
LISTED = {
    "numpy": "NumPy's functions that run over there when they are given a remote array",
    "special": "Functions of `xp.special`",
    "scipy": "Functions of `scipy.fft`, within `scipy.fft.set_backend(rpcnb.fft_backend)`",
}

_HEAD = """# Array operations

Made from the rows of `rpcnb/array/rows.py` by `python -m rpcnb.array.reference`; a test compares.

`xp` is `remote.xp`, `a` a remote array. What stands here runs where the arrays are. Operations marked ▸
are sent without waiting wherever shape and dtype of their result follow from the operands; of all
others the result is waited for, as of every operation within `rpcnb.sync_mode()`.
"""


def reference() -> str:
    """Return the page, in Markdown."""
    return "\n".join((_HEAD, *_tables(), *_operators(), *_lists()))


def _tables() -> Iterator[str]:
    for group, (heading, prefix) in PARTS.items():
        yield f"## {heading}\n"
        yield "| | | |"
        yield "| --- | --- | --- |"
        for operation in operations().values():
            if operation.group == group:
                yield _row(operation, prefix)
        yield ""


def _row(operation: Operation, prefix: str) -> str:
    name = operation.short_name if operation.group == "methods" else operation.name
    call = f"`{prefix}{name}{operation.signature}`".replace("|", "\\|")
    ahead = "" if operation.rule == WAITS else "▸"
    fields = getattr(operation.make_result, "_fields", ())
    result = f" Returns {', '.join(f'`{field}`' for field in fields)}." if fields else ""
    return f"| {ahead} | {call} | {operation.doc}{result} |"


def _operators() -> Iterator[str]:
    yield "## Operators\n"
    named = {**BINARY, **COMPARISONS, **UNARY}
    yield ", ".join(f"`__{operator}__` is `{name}`" for operator, name in named.items()) + "."
    yield "\nBinary ones also reflected and in place; `a[key]`, `a[key] = value`, `len(a)`, `for row in a`.\n"


def _lists() -> Iterator[str]:
    for group, heading in LISTED.items():
        names = [
            one.name for one in operations().values() if one.group == group and "." in one.name
        ]
        yield f"## {heading}\n"
        yield ", ".join(
            f"`{name.removeprefix('special.').removeprefix('scipy.fft.')}`" for name in names
        )
        yield ""


if __name__ == "__main__":
    print(reference(), end="")
