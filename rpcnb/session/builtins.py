"""The functions every local session offers by itself, under ``rpcnb.``.

They are ordinary functions, so that whatever carries a call carries them: a gateway, a wire
protocol of another system, an observer.  Those about arrays are in ``array_functions``, those about
files are methods of the session's work folder.
"""

from __future__ import annotations

import importlib
import os
import sys
from functools import partial
from itertools import islice
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

from rpcnb.core.errors import PermissionDenied
from rpcnb.session.adoption import adopt
from rpcnb.session.array_functions import array_functions
from rpcnb.session.batches import run_batch
from rpcnb.session.cells import refused
from rpcnb.session.digest import digest
from rpcnb.session.marshal import module_functions
from rpcnb.session.small_copies import small_copies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from rpcnb.core.values import FunctionInfo
    from rpcnb.session.local import LocalSession

ELSEWHERE = {
    "rpcnb.array.call": "rpcnb.array.host:serve",
    "rpcnb.array.issue": "rpcnb.array.issue:serve",
}
"""Functions that folders above this one offer: name -> what makes it, given the session.

By name, as in the registries of transports and session kinds: importing them would turn the
direction of imports round, and cost every session what only those need that compute with arrays.
"""


def session_functions(session: LocalSession) -> dict[str, Callable[..., Any]]:
    """Return name -> function of everything the session offers by itself."""
    return {
        "rpcnb.functions": lambda: list_functions(session),
        "rpcnb.array.digest": lambda *where: digest(session, *where),
        "rpcnb.adopt": lambda own: adopt(session, own),
        "rpcnb.next": Iterators().take,
        "rpcnb.load_module": lambda name: load_module(name, session.allowed_modules),
        "rpcnb.module_function": lambda module, name: module_function(
            module, name, session.allowed_modules
        ),
        "rpcnb.time_evaluator": time_evaluator,
        "rpcnb.batch": partial(run_batch, session),
        "rpcnb.statistics": session.statistics,
        **file_functions(session),
        **(refused() if session.cells is None else session.cells.builtins()),
        **small_copies(session),
        **array_functions(session.backends),
        **{name: _late(place, session) for name, place in ELSEWHERE.items()},
    }


def _late(place: str, session: LocalSession) -> Callable[..., Any]:
    """Return a function whose module is imported, and told the session, by its first call."""
    made: Callable[..., Any] | None = None

    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal made
        if made is None:
            module, _, name = place.partition(":")
            made = getattr(importlib.import_module(module), name)(session)
        return made(*args, **kwargs)

    return call


def list_functions(session: LocalSession) -> list[dict[str, object]]:
    """Describe every registered function, by name."""
    described = []
    for name in session.registry.names():
        function = session.registry.get(name)
        if function is not None:  # removed a moment ago
            described.append(_description(session.registry.describe(name, function)))
    return described


def _description(info: FunctionInfo) -> dict[str, object]:
    parameters = None
    if info.parameters is not None:
        parameters = [[p.name, p.kind, p.default, p.annotation] for p in info.parameters]
    return {
        "name": info.name,
        "parameters": parameters,
        "returns": info.returns,
        "doc": info.doc,
        "is_generator": info.is_generator,
        "is_async": info.is_async,
    }


class Iterators:
    """Takes items from generators, several at a time."""

    def __init__(self) -> None:
        self._failed: WeakKeyDictionary[Iterator[Any], Exception] = WeakKeyDictionary()

    def take(
        self, iterator: Iterator[Any], count: int = 1, seconds: float = 0.0
    ) -> tuple[list[Any], bool]:
        """Take items until there are `count`, or `seconds` have passed since the first.

        Returns
        -------
        tuple of list and bool
            The items, and whether the iterator has ended.

        Raises
        ------
        Exception
            What the generator raised; items that came before are handed out first.
        """
        failure = self._failed.pop(iterator, None)
        if failure is not None:
            raise failure
        items: list[Any] = []
        ends = 0.0
        try:
            for item in islice(iterator, max(1, count)):
                items.append(item)
                ends = ends or monotonic() + seconds
                if len(items) >= count or monotonic() >= ends:
                    return items, False
        except Exception as error:
            if not items:
                raise
            self._failed[iterator] = error
            return items, False
        return items, True


def load_module(name: str, allowed: tuple[str, ...]) -> ModuleType:
    """Import a module of the allow-list.

    Raises
    ------
    PermissionDenied
        It is not on the list; the message names those that are.
    """
    if not is_allowed(name, allowed):
        offered = ", ".join(allowed) or "none"
        raise PermissionDenied(f"module {name!r} may not be loaded here; allowed: {offered}")
    return importlib.import_module(name)


def is_allowed(name: str, allowed: tuple[str, ...]) -> bool:
    """Tell whether a module is on the list, where ``numpy.*`` stands for numpy and all below it."""
    return any(
        name == entry or f"{name}.".startswith(entry.removesuffix("*"))
        for entry in allowed
        if name == entry or entry.endswith(".*")
    )


def module_function(
    module: ModuleType | None, name: str, allowed: tuple[str, ...]
) -> Callable[..., Any]:
    """Return a public function of an allowed module.

    Raises
    ------
    PermissionDenied
        The module is not on the list, or the name is private.
    AttributeError
        The module has no function of that name.
    """
    known = module is not None and sys.modules.get(module.__name__) is module
    if module is None or not known or not is_allowed(module.__name__, allowed):
        raise PermissionDenied("only functions of modules this server allows may be taken")
    if not name.isidentifier() or name.startswith("_"):
        raise PermissionDenied(f"{name!r} is no public name of module {module.__name__!r}")
    # What the module itself imported (os, subprocess.run) hangs on it, and is not on the list.
    if name not in module_functions(module):
        raise AttributeError(f"module {module.__name__!r} has no function {name!r}")
    return cast("Callable[..., Any]", getattr(module, name))


def time_evaluator(
    func: Callable[..., Any], number: int = 10, repeat: int = 1, min_repeat_ms: float = 0.0
) -> Callable[..., list[float]]:
    """Return a function that measures `func` where it lives.

    It runs `func` once to warm up, then `repeat` times `number` times, with the arguments it is
    given, and returns the mean of each `repeat` in seconds per call.

    Parameters
    ----------
    func : callable
    number, repeat : int
        At least 1.
    min_repeat_ms : float [milliseconds]
        `number` is doubled until one repeat takes so long.
    """
    if number < 1 or repeat < 1:
        raise ValueError(f"number and repeat must be at least 1, not {number} and {repeat}")

    def evaluate(*args: Any, **kwargs: Any) -> list[float]:
        func(*args, **kwargs)
        return [
            _measure(lambda: func(*args, **kwargs), number, min_repeat_ms) for _ in range(repeat)
        ]

    return evaluate


def _measure(work: Callable[[], Any], number: int, min_repeat_ms: float) -> float:
    while True:
        start = perf_counter()
        for _ in range(number):
            work()
        seconds = perf_counter() - start
        if seconds * 1000 >= min_repeat_ms:
            return seconds / number
        number *= 2


def file_functions(session: LocalSession) -> dict[str, Callable[..., Any]]:
    """Return the functions about files; without a work folder they say so."""
    folder = session.work_folder
    if folder is not None:
        return {
            "rpcnb.upload": folder.upload,
            "rpcnb.download": folder.download,
            "rpcnb.listdir": folder.listdir,
            "rpcnb.remove": folder.remove,
        }

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionDenied("this session has no work folder, so it takes and gives no files")

    return dict.fromkeys(
        ("rpcnb.upload", "rpcnb.download", "rpcnb.listdir", "rpcnb.remove"), refuse
    )


def resident_bytes() -> int:
    """Return the memory this process occupies; its maximum so far where only that is known."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 -- no Path needed
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
