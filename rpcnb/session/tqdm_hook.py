"""An unchanged ``tqdm`` loop inside a remote function shows as the progress of that call.

`install` changes how the bars of ``tqdm.std`` draw themselves, at once if tqdm is imported and
otherwise when it is.  A bar inside a watched call reports and draws nothing; any other bar is as
ever.  Of nested bars the outermost one counts.
"""

from __future__ import annotations

import sys
from functools import update_wrapper
from importlib.machinery import ModuleSpec, PathFinder
from typing import TYPE_CHECKING, Any, cast

from rpcnb.session.calls import CURRENT_CALL, CallContext

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.abc import Loader  # not at run time: with what it loads, a fork takes 2 % longer
    from types import ModuleType

_MODULE = "tqdm.std"
_METHODS = ("display", "clear", "close")
_CALL = "_rpcnb_call"


class _Nowhere:
    """A file that takes everything."""

    encoding = "utf-8"

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        """Do nothing."""


def _call_of(bar: Any) -> CallContext | None:
    """Return the watched call a bar belongs to.

    tqdm's monitor thread redraws bars of other threads, so a bar remembers its call.
    """
    call = CURRENT_CALL.get()
    if call is None:
        remembered: CallContext | None = getattr(bar, _CALL, None)
        return remembered
    if not call.observed:
        return None
    setattr(bar, _CALL, call)
    return call


def _report(call: CallContext, bar: Any) -> None:
    total = None if bar.total is None else float(bar.total)
    call.track_progress(bar, float(bar.n), total, str(bar.desc or "").removesuffix(": "))


def _display(original: Callable[..., Any], bar: Any, *args: Any, **kwargs: Any) -> Any:
    call = _call_of(bar)
    if call is None:
        return original(bar, *args, **kwargs)
    _report(call, bar)
    return True


def _clear(original: Callable[..., Any], bar: Any, *args: Any, **kwargs: Any) -> Any:
    return original(bar, *args, **kwargs) if _call_of(bar) is None else None


def _close(original: Callable[..., Any], bar: Any) -> Any:
    call = None if bar.disable else _call_of(bar)
    if call is None:
        return original(bar)
    _report(call, bar)
    call.track_end(bar)
    bar.fp = _Nowhere()  # tqdm ends its line with a newline
    return original(bar)


_REPLACEMENTS = {"display": _display, "clear": _clear, "close": _close}


def _bind(replacement: Callable[..., Any], original: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return replacement(original, self, *args, **kwargs)

    return update_wrapper(method, original)  # `uninstall` puts ``__wrapped__`` back


def _patch(module: ModuleType) -> None:
    for name in _METHODS:
        original = getattr(module.tqdm, name)
        if not hasattr(original, "__wrapped__"):
            setattr(module.tqdm, name, _bind(_REPLACEMENTS[name], original))


class _PatchingLoader:
    """Loads tqdm as its own loader does, and patches it."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        _patch(module)

    def __getattr__(self, name: str) -> Any:  # get_source and the like, for tracebacks
        return getattr(self._loader, name)


class _Finder:
    """Finds ``tqdm.std`` and nothing else."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,  # noqa: ARG002 -- the interface's
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path) if fullname == _MODULE else None
        if spec is not None and spec.loader is not None:
            spec.loader = cast("Loader", _PatchingLoader(spec.loader))
        return spec


_FINDER = _Finder()


def install() -> None:
    """Let bars report, now and when tqdm is imported later.  Idempotent."""
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)
    module = sys.modules.get(_MODULE)
    if module is not None and hasattr(module, "tqdm"):
        _patch(module)


def uninstall() -> None:
    """Let bars draw themselves again.  Idempotent."""
    if _FINDER in sys.meta_path:
        sys.meta_path.remove(_FINDER)
    module = sys.modules.get(_MODULE)
    if module is None:
        return
    for name in _METHODS:
        method = getattr(module.tqdm, name)
        if hasattr(method, "__wrapped__"):
            setattr(module.tqdm, name, method.__wrapped__)
