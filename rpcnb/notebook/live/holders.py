"""Why is it alive: what in this process keeps a handle, in words a person knows.

`names` looks at the notebook's own variables, which takes microseconds; `all_holders` asks the
garbage collector, which looks at every object of the process, and is for one handle at a time.
"""

from __future__ import annotations

import gc
import itertools
import reprlib
import sys
import time
from types import FrameType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from IPython.core.getipython import get_ipython

from rpcnb.remote.function import RemoteFunction
from rpcnb.remote.future import RemoteFuture
from rpcnb.remote.proxy import HandleProxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rpcnb.remote.pins import Pin
    from rpcnb.session.space import RPCObjectRef

LAST_OUTPUTS = ("_", "__", "___")
DEPTH = 5
"""Steps from a handle to what holds it: proxy, list, dictionary, attribute, name."""
WIDTH = 200
"""Objects looked at on the way; more is a tangle that no sentence explains."""


def namespace() -> dict[str, Any]:
    """Return the notebook's variables; empty outside of one."""
    shell = get_ipython()
    return {} if shell is None else dict(shell.user_ns)  # copied: cells run meanwhile


def owner_of(value: object) -> RPCObjectRef | None:
    """Return the owner of the handle that a value of the user's stands for."""
    if isinstance(value, RemoteFunction):
        return value.__dict__.get("_held")
    if isinstance(value, HandleProxy):
        return value.owner
    if isinstance(value, RemoteFuture) and value.done() and not value.cancelled():
        return None if value.exception() else owner_of(value.result())
    return None


def names() -> dict[int, tuple[RPCObjectRef, list[str]]]:
    """Return identity of an owner -> the owner, and the names that lead to it."""
    found: dict[int, tuple[RPCObjectRef, list[str]]] = {}
    for name, value in _named_values():
        owner = owner_of(value)
        if owner is not None:
            found.setdefault(id(owner), (owner, []))[1].append(name)
    return found


def _named_values() -> Iterator[tuple[str, object]]:
    variables = namespace()
    hidden = {"_oh", "_ih", "_dh", "In", "Out"}
    for name, value in variables.items():
        if name not in hidden and not (name.startswith("_") and name.strip("_").isdigit()):
            yield name, value
            yield from _items(name, value)
    for number, value in dict(variables.get("Out", {})).items():
        yield f"Out[{number}]", value


def _items(name: str, value: object) -> Iterator[tuple[str, object]]:
    """Give what lies in a list, tuple or dictionary of the user's, as it is written."""
    if type(value) is dict:
        keys = list(itertools.islice(value.items(), WIDTH))
    elif type(value) in {list, tuple}:
        keys = list(enumerate(itertools.islice(value, WIDTH)))  # type: ignore[call-overload]
    else:
        return
    for key, item in keys:
        if isinstance(item, HandleProxy | RemoteFuture):
            yield f"{name}[{reprlib.repr(key)}]", item


def variable_of(thing: object) -> str:
    """Return a variable of the user's that holds a handle's owner, or the thing itself; or nothing."""
    for name, value in namespace().items():
        if not name.startswith("_") and (value is thing or owner_of(value) is thing):
            return name
    return ""


def pin_words(pin: Pin) -> str:
    """Say how long a pin holds; no name looks like this."""
    until = "" if pin.until is None else time.strftime(" until %H:%M", time.localtime(pin.until))
    return f"(pinned{until})"


def forget_outputs(owner: RPCObjectRef) -> list[int]:
    """Take it out of ``Out`` and of ``_``; return the numbers of the outputs it was in."""
    shell = get_ipython()
    if shell is None:
        return []
    outputs = shell.user_ns.get("Out", {})
    numbers = [n for n, value in dict(outputs).items() if owner_of(value) is owner]
    for number in numbers:
        outputs.pop(number, None)
    names = [f"_{number}" for number in numbers]
    # IPython remembers separately which variables are its own, and what they were.
    for variables in (shell.user_ns, shell.user_ns_hidden):
        for name in (*names, *LAST_OUTPUTS):
            if owner_of(variables.get(name)) is owner:
                variables[name] = ""
    for name in LAST_OUTPUTS:
        if owner_of(getattr(shell.displayhook, name, None)) is owner:
            setattr(shell.displayhook, name, "")
    return numbers


# --- the garbage collector's view ---------------------------------------------------------------


def all_holders(owner: RPCObjectRef) -> list[str]:
    """Return what holds a handle, also through lists, closures, frames and tracebacks."""
    gc.collect()
    search = _Search()
    search.look(owner)
    named = names().get(id(owner), (owner, []))[1]
    return sorted({*named, *search.found} - {""})


class _Search:
    """One walk from an object to what refers to it, and to what refers to that."""

    def __init__(self) -> None:
        self.found: list[str] = []
        shell = get_ipython()
        self._variables: dict[str, Any] = {} if shell is None else shell.user_ns
        self._ours: set[int] = set()

    def look(self, thing: object) -> None:
        """Fill `found`."""
        layer = [thing]
        seen = {id(thing)}
        for _ in range(DEPTH):
            self._ours |= {id(layer), id(seen), id(self.__dict__)}
            above = [
                holder
                for held in layer
                for holder in gc.get_referrers(held)
                if id(holder) not in seen and id(holder) not in self._ours
            ]
            seen.update(map(id, above))
            layer = [holder for holder in above if self._unexplained(holder)]
            if len(layer) > WIDTH:
                return

    def _unexplained(self, holder: object) -> bool:
        """Tell whether what holds it must say more; note what is explained."""
        if holder is self._variables or isinstance(holder, ModuleType):
            return False  # told by `names`
        words = ""
        if isinstance(holder, FrameType):
            words = _frame_words(holder)
        elif isinstance(holder, FunctionType):
            words = f"function {holder.__qualname__}"
        elif isinstance(holder, list | tuple | set | dict):
            words = self._container_words(holder)
            if not words:
                return True
        else:
            return True
        self.found.append(words)
        return False

    def _container_words(self, container: object) -> str:
        for name, value in self._variables.items():
            if value is container and not name.startswith("_") and name not in {"Out", "In"}:
                return f"{type(container).__name__} {name}"
        return ""


def _frame_words(frame: FrameType) -> str:
    """Say what runs, or stopped, in a frame that has it as a local variable; nothing for our own."""
    module = str(frame.f_globals.get("__name__", ""))
    if module.partition(".")[0] in {"rpcnb", "threading"}:
        return ""
    trace = getattr(sys, "last_traceback", None)
    while trace is not None:
        if trace.tb_frame is frame:
            return f"the traceback of the last error ({frame.f_code.co_qualname})"
        trace = trace.tb_next
    return f"running {frame.f_code.co_qualname}"
