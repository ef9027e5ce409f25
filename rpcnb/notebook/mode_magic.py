"""`%remote_mode`: where cells run, whether data may move unasked, and what is waited for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from IPython.core.magic import Magics, line_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments

from rpcnb.array.policy import LEVELS, current_policy, set_implicit_transfers
from rpcnb.array.synchrony import set_sync_mode, waits_for_each
from rpcnb.notebook.arguments import find_remote, parse
from rpcnb.notebook.errors import as_one_line

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

HERE = "off"
WAITS = {"sync": True, "async": False}
MODES = (HERE, *LEVELS, *WAITS)
"""What `%remote_mode` takes, besides the name of a session."""
_STAYS = re.compile(
    r"\s*(%%|%(connect_remote|disconnect_remote|remote\w*)\b|%(un|re)?load_ext\s+rpcnb)"
)
"""Begin of a cell that runs here whatever the mode: it says itself where, or is about sessions."""


@magics_class
class ModeMagic(Magics):
    """`%remote_mode`."""

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self.there: str | None = None
        """The session that cells are sent to."""
        shell.input_transformers_cleanup.append(self.transform)

    @line_magic
    @magic_arguments()
    @argument(
        "mode",
        nargs="?",
        metavar="|".join(("NAME", *MODES)),
        help="a session: the following cells run there; off: they run here again; "
        f"{', '.join(LEVELS)}: what happens when data would move unasked; sync: array operations "
        "are waited for one by one; async: they are sent ahead again",
    )
    def remote_mode(self, line: str) -> None:
        """Say where the following cells run, and how this notebook deals with arrays over there.

        Without an argument, say what holds. Cells that begin with `%%` or with one of rpcnb's own
        magics always run here.
        """
        with as_one_line():
            mode = parse(self.remote_mode, line).mode
            if mode in LEVELS:
                set_implicit_transfers(mode)
            elif mode in WAITS:
                set_sync_mode(WAITS[mode])
            elif mode == HERE:
                self.there = None
            elif mode is not None:
                assert self.shell is not None  # magics are made with one
                self.there = find_remote(self.shell.user_ns, mode).name
            print(self.describe())

    def describe(self) -> str:
        """Return what holds now."""
        where = f"on {self.there}, until %remote_mode off" if self.there else "here"
        how = "waited for one by one" if waits_for_each() else "sent ahead"
        level = current_policy().level
        return f"cells run {where}; data that would move unasked: {level}; array operations: {how}"

    def transform(self, lines: list[str]) -> list[str]:
        """Send a cell there: IPython's form of an input transformer."""
        text = "".join(lines)
        if self.there is None or not text.strip() or _STAYS.match(text):
            return lines
        return [f"%%remote {self.there} --where\n", *lines]

    def uninstall(self) -> None:
        """Let cells run here again, for good."""
        assert self.shell is not None  # magics are made with one
        transformers: list[Any] = self.shell.input_transformers_cleanup
        if self.transform in transformers:
            transformers.remove(self.transform)
