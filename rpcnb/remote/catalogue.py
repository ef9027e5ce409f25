"""`remote.functions` and `remote.fn`: what the other side offers, known here."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, overload

from rpcnb.core.answers import expect
from rpcnb.core.errors import FunctionNotFound, RemoteProtocolError
from rpcnb.core.values import FunctionInfo, Parameter
from rpcnb.core.visible import shortened
from rpcnb.remote.function import RemoteFunction

if TYPE_CHECKING:
    from rpcnb.remote.client import Remote

LISTING = "rpcnb.functions"
"""Function over there that lists the others."""
T = TypeVar("T")


class FunctionCatalogue(Mapping[str, RemoteFunction]):
    """Name -> `RemoteFunction`, for everything the other side has registered.  Thread-safe.

    The first look fetches the list, any other sends nothing; a function's handle is fetched when it is
    first called. A missing name raises `FunctionNotFound`, which names those that look like it.
    """

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._fetched: dict[str, FunctionInfo] | None = None
        self._functions: dict[str, RemoteFunction] = {}
        self._lock = threading.RLock()

    @property
    def known(self) -> bool:
        """Whether the list is here; sends nothing."""
        return self._fetched is not None

    def fetch(self) -> None:
        """Fetch the list, unless it is here.

        Raises
        ------
        RemoteProtocolError
            What came is no list of functions.
        SessionError, TransportError
            The session is closed, or its connection is gone.
        """
        with self._lock:  # of two threads that look, one asks
            if self._fetched is None:
                infos = _fetch_infos(self._remote)
                self._fetched = {info.name: info for info in sorted(infos, key=_name)}

    @property
    def _infos(self) -> dict[str, FunctionInfo]:
        self.fetch()
        assert self._fetched is not None
        return self._fetched

    def __getitem__(self, name: str) -> RemoteFunction:
        function = self._functions.get(name)
        if function is None:
            info = self._infos.get(name)
            if info is None:
                raise FunctionNotFound(name, self.near(name))
            find = partial(self._remote.get_function, name)
            function = RemoteFunction(self._remote, None, info, find=find)
            function = self._functions.setdefault(name, function)
        return function

    @overload
    def get(self, name: str, /) -> RemoteFunction | None: ...
    @overload
    def get(self, name: str, /, default: T) -> RemoteFunction | T: ...
    def get(self, name: str, /, default: T | None = None) -> RemoteFunction | T | None:
        """Return the function of that name, or `default`."""
        return self[name] if name in self._infos else default

    def __contains__(self, name: object) -> bool:
        return name in self._infos

    def __iter__(self) -> Iterator[str]:
        return iter(self._infos)

    def __len__(self) -> int:
        return len(self._infos)

    def infos(self) -> tuple[FunctionInfo, ...]:
        """Return what is known about each, sorted by name."""
        return tuple(self._infos.values())

    def near(self, name: str) -> tuple[str, ...]:
        """Return at most three names that look like `name`, the likeliest first."""
        import difflib

        lowered = name.lower()
        same = [known for known in self._infos if known.lower().endswith(f".{lowered}")]
        close = difflib.get_close_matches(name, self._infos, n=3, cutoff=0.6)
        return tuple(dict.fromkeys([*same, *close]))[:3]

    def __repr__(self) -> str:
        lines = [f"{len(self)} functions on {self._remote.name}"]
        lines += [f"  {self[name].describe()}" for name in self]
        return "\n".join(lines)


class FunctionTree:
    """The catalogue as attributes: ``remote.fn.demo.blur``, with Tab.  Sends nothing.

    A name that is both a function and the beginning of others is the function here.
    """

    def __init__(self, remote: Remote, prefix: str = "") -> None:
        self._remote = remote
        self._prefix = prefix

    def __getattr__(self, name: str) -> RemoteFunction | FunctionTree:
        if name.startswith("__"):  # asked for by copy, inspect and displays
            raise AttributeError(name)
        functions = self._remote.functions
        path = self._prefix + name
        if path in functions:
            return functions[path]
        if any(known.startswith(f"{path}.") for known in functions):
            return FunctionTree(self._remote, f"{path}.")
        raise AttributeError(str(FunctionNotFound(path, functions.near(path))))

    def __dir__(self) -> list[str]:
        start = len(self._prefix)
        functions = self._remote.functions
        found = {n[start:].partition(".")[0] for n in functions if n.startswith(self._prefix)}
        return sorted(found)

    def __repr__(self) -> str:
        return f"<functions {self._prefix}* on {self._remote.name}: {', '.join(dir(self))}>"


def functions_below(tree: FunctionTree) -> dict[str, RemoteFunction]:
    """Return name -> function of what a tree holds; no method, for those are the functions' names."""
    functions, prefix = tree._remote.functions, tree._prefix  # noqa: SLF001 -- see above
    return {name: functions[name] for name in functions if name.startswith(prefix)}


def _fetch_infos(remote: Remote) -> list[FunctionInfo]:
    """Ask for what there is; nothing where another kind of server finds functions by name only."""
    try:
        ask = remote.builtin(LISTING).lowered()
    except FunctionNotFound:
        return []
    # Plain values: to look for what is to be lifted would take longer than the rest.
    entries = expect(remote.session.call_func(ask), list, "a list of functions")
    return [read_info(entry) for entry in entries]


def _name(info: FunctionInfo) -> str:
    return info.name


def read_info(entry: object) -> FunctionInfo:
    """Read one entry of what ``rpcnb.functions`` returned.

    Raises
    ------
    RemoteProtocolError
        It is no such entry.
    """
    try:
        return _read_info(expect(entry, dict, "a function"))
    except (LookupError, TypeError, ValueError) as error:
        raise RemoteProtocolError(f"the server described a function badly: {error!r}") from error


def _read_info(entry: Mapping[str, Any]) -> FunctionInfo:
    parameters = entry.get("parameters")
    return FunctionInfo(
        shortened(str(entry["name"]), 256),
        None if parameters is None else tuple(_parameter(*parameter) for parameter in parameters),
        shortened(str(entry.get("returns", "")), 256),
        shortened(str(entry.get("doc", "")), 1 << 14),
        bool(entry.get("is_generator")),
        bool(entry.get("is_async")),
    )


def _parameter(name: str, kind: int, default: str | None, annotation: str) -> Parameter:
    shown = None if default is None else shortened(str(default), 256)
    return Parameter(shortened(str(name), 256), int(kind), shown, shortened(str(annotation), 256))
