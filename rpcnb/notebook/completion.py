"""Tab: what may follow a magic, and the names of functions over there.  Sends nothing.

IPython evaluates nothing before a dot that could run code, and what is behind ``remote.fn`` and
``remote.xp`` is known only when it is asked for: so these are completed here.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from IPython.core.completer import SimpleCompletion, context_matcher

from rpcnb.endpoint.credentials import place_of, remembered_tokens, running_servers
from rpcnb.manager import manager
from rpcnb.notebook.mode_magic import MODES
from rpcnb.remote.client import Remote

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Iterable

    from IPython.core.interactiveshell import InteractiveShell
    from IPython.core.magic import Magics

FILES = frozenset({"--token-file"})
"""Options that are followed by a path, which IPython completes itself."""


DOTTED = re.compile(r"([A-Za-z_]\w*)((?:\.[A-Za-z_]\w*)+)\.(\w*)$")
QUOTED = re.compile(r"([A-Za-z_]\w*)\.(?:get_function\(|functions\[)([\"'])([\w.]*)$")
TREES = frozenset({"fn", "xp", "random"})
"""Attributes of a `Remote` whose own attributes are names over there."""


class Completion:
    """Completes magics and names over there, for one shell.

    Parameters
    ----------
    shell : InteractiveShell
    magics : iterable of Magics classes
    """

    def __init__(self, shell: InteractiveShell, magics: Iterable[type[Magics]]) -> None:
        self._shell = shell
        self._parsers: dict[str, ArgumentParser] = {}
        for cls in magics:
            for kind, known in cls.magics.items():
                for name, method in known.items():
                    sign = "%%" if kind == "cell" else "%"
                    self._parsers[f"{sign}{name}"] = getattr(cls, method).parser

        @context_matcher(identifier="rpcnb.magics")  # sets attributes, which no method takes
        def matcher(context: Any) -> dict[str, Any]:
            return self.match(context)

        self._matcher = matcher

    def install(self) -> None:
        """Begin."""
        self._shell.Completer.custom_matchers.append(self._matcher)

    def uninstall(self) -> None:
        """End."""
        self._shell.Completer.custom_matchers.remove(self._matcher)

    def match(self, context: Any) -> dict[str, Any]:
        """Return what may stand at the cursor: IPython's form of a matcher."""
        line = context.text_until_cursor
        names = self._names(line)
        if names is not None:
            fragment, found = names
            return _offer(
                (name for name in found if name.startswith(fragment)), fragment, "function"
            )
        words = line.split()
        if line[-1:].isspace():
            words.append("")
        parser = self._parsers.get(words[0]) if len(words) > 1 else None
        if parser is None or words[-2] in FILES:
            return {"completions": []}  # a new one each time: IPython writes into it
        found = self._candidates(words, parser)
        return _offer((text for text in found if text.startswith(words[-1])), words[-1], "magic")

    def _names(self, line: str) -> tuple[str, Iterable[str]] | None:
        """Return what of a name over there is written already, and the names there are."""
        quoted = QUOTED.search(line)
        if quoted is not None:
            remote = self._shell.user_ns.get(quoted[1])
            return (quoted[3], remote.functions) if isinstance(remote, Remote) else None
        dotted = DOTTED.search(line)
        remote = None if dotted is None else self._shell.user_ns.get(dotted[1])
        if dotted is None or not isinstance(remote, Remote):
            return None
        path = dotted[2].split(".")[1:]
        if path[0] not in TREES:
            return None
        place: object = remote
        for name in path:
            place = getattr(place, name, None)
        return dotted[3], [name for name in dir(place) if not name.startswith("_")]

    def _candidates(self, words: list[str], parser: ArgumentParser) -> list[str]:
        """Return everything that could stand there."""
        actions = parser._actions  # noqa: SLF001 -- argparse has no public list of them
        if words[-1].startswith("-"):
            return [option for action in actions for option in action.option_strings] + ["--help"]
        options = [word for word in words if word.startswith("--")]
        if options and options[-1] in {"--in", "--out"}:
            return [name for name in self._shell.user_ns if not name.startswith("_")]
        if words[0] == "%connect_remote":
            return addresses()
        choices = [str(choice) for action in actions for choice in action.choices or ()]
        if words[0] == "%remote_mode":
            choices = list(MODES)
        return choices if words[0] == "%remote_cells" else [*choices, *self._sessions()]

    def _sessions(self) -> list[str]:
        """Return the names of sessions, and the variables that are bound to one."""
        namespace = self._shell.user_ns
        bound = [name for name, value in namespace.items() if isinstance(value, Remote)]
        return [*manager.sessions, *(name for name in bound if not name.startswith("_"))]


def _offer(found: Iterable[str], fragment: str, kind: str) -> dict[str, Any]:
    """Return candidates in IPython's form."""
    texts = sorted(set(found))
    completions = [SimpleCompletion(text, type=kind) for text in texts]
    return {"completions": completions, "matched_fragment": fragment, "suppress": True}


def addresses() -> list[str]:
    """Return the addresses of this user's servers, of open sessions, and those with a kept secret."""
    found = ["local:", *(remote.url for remote in manager.sessions.values())]
    with suppress(OSError):
        found += [place_of(info.url) for _, info in running_servers()]
        found += map(place_of, remembered_tokens())
    return [url.removeprefix("tcp://") for url in found if url]
