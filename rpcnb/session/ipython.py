"""The IPython shell of a worker process, whose outputs go to whoever sent the cell.

The only file of the server that imports IPython.  It keeps no history and writes no file: the
profile folder is never made.  What it takes over in the process (``__main__``, ``input``) it takes
for good, so that it belongs into a worker, which serves one session.
"""

from __future__ import annotations

import asyncio
import base64
import builtins
import getpass
import os
import sys
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.profiledir import ProfileDir
from IPython.core.release import version_info
from traitlets import Any as AnyTrait, observe
from traitlets.config import Config

from rpcnb.core.limits import MIB
from rpcnb.session.tracebacks import TOLD

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from pathlib import Path

    from rpcnb.session.cells import Show

LONGEST_TEXT = MIB
"""Characters of one text of a display; the middle of a longer one is left out."""
LARGEST_PICTURE = 8 * MIB
"""Bytes of one picture of a display, half of what a message may hold."""
COLOURS, NO_COLOURS = ("neutral", "nocolor") if version_info[0] > 8 else ("Neutral", "NoColor")
INLINE = "module://matplotlib_inline.backend_inline"


class NoProfile(ProfileDir):
    """A profile that is never written."""

    @observe("location")
    def _location_changed(self, change: object) -> None:
        """Make no folders."""


class CellPublisher(DisplayPublisher):
    """Hands displays to whoever sent the cell."""

    def publish(
        self,
        data: dict[str, Any],
        metadata: dict[str, Any] | None = None,
        source: object = None,  # noqa: ARG002 -- IPython's interface
        *,
        transient: dict[str, Any] | None = None,
        update: bool = False,
        **_: object,
    ) -> None:
        display_id = str((transient or {}).get("display_id") or "")
        self.shell.show_over_there("update" if update else "display", data, metadata, display_id)

    def clear_output(self, wait: bool = False) -> None:  # noqa: FBT001, FBT002 -- likewise
        self.shell.show_over_there("clear", {}, {"wait": bool(wait)})


class CellHook(DisplayHook):
    """Shows the value of an expression where the cell was written."""

    def write_output_prompt(self) -> None:
        """Write none: the notebook numbers its own cells."""

    def write_format_data(
        self, format_dict: dict[str, Any], md_dict: dict[str, Any] | None = None
    ) -> None:
        assert self.shell is not None  # it is made by one
        self.shell.show_over_there("display", format_dict, md_dict)

    def finish_displayhook(self) -> None:
        """Write nothing after it."""


class CellShell(InteractiveShell):
    """IPython, for cells from elsewhere."""

    display_pub_class = AnyTrait(CellPublisher)
    displayhook_class = AnyTrait(CellHook)
    show: Show | None = None
    """Shows things where the running cell was written."""
    told = ""
    """The traceback of the running cell, as IPython shows it."""

    def run_for(self, source: str, show: Show, number: int, *, coloured: bool) -> None:
        """Run a cell and raise what it raises; see `Cells.run`."""
        if number > 0:
            self.execution_count = number
        colors = COLOURS if coloured else NO_COLOURS
        if colors != self.colors:
            self.colors = colors
        outer, self.show, self.told = self.show, show, ""
        try:
            result = self.run_cell(source, store_history=True)  # type: ignore[no-untyped-call]
        finally:
            self.show = outer
        error = result.error_before_exec or result.error_in_exec
        if error is None:
            return
        if self.told:
            setattr(error, TOLD, self.told)
        raise error

    def show_over_there(
        self,
        what: str,
        data: dict[str, Any],
        metadata: dict[str, Any] | None,
        display_id: str = "",
    ) -> None:
        """Show something after what was printed before it; nowhere, when no cell runs."""
        sys.stdout.flush()
        sys.stderr.flush()
        if self.show is not None:
            shown = {mime: sendable(mime, value) for mime, value in data.items()}
            given = metadata or {}
            sizes = given if what == "clear" else picture_sizes(given)
            self.show(what, {m: v for m, v in shown.items() if v is not None}, sizes, display_id)

    # --- what IPython asks of a shell -----------------------------------------------------------

    def showtraceback(self, *args: Any, **kwargs: Any) -> None:
        error = sys.exception()
        if isinstance(error, BaseExceptionGroup):  # IPython prints these to stderr itself
            self.told = "".join(traceback.format_exception(error))
        else:
            super().showtraceback(*args, **kwargs)

    def _showtraceback(
        self,
        etype: object,  # noqa: ARG002 -- IPython's interface
        evalue: object,  # noqa: ARG002 -- likewise
        stb: list[str],
    ) -> None:
        self.told = self.InteractiveTB.stb2text(stb)

    def show_usage_error(self, exc: object) -> None:
        self.told = f"UsageError: {exc}"

    @contextmanager
    def _tee(self, channel: str) -> Iterator[None]:  # noqa: ARG002 -- IPython's interface
        """Keep no copy of what is printed: a cell may print for days."""
        yield

    def init_virtualenv(self) -> None:
        """Leave the server's own path as it is."""

    def init_prompts(self) -> None:
        """Prompt nobody."""

    def ask_exit(self) -> NoReturn:
        __tracebackhide__ = True
        message = "%disconnect_remote ends a session; a cell cannot"
        raise RuntimeError(message)


class CellLoop:
    """Runs the cells that await something.  Tasks they start go on while a later one awaits."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    def __call__(self, cell: Coroutine[Any, Any, Any]) -> Any:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        task = self._loop.create_task(cell)
        try:
            return self._loop.run_until_complete(task)
        except BaseException:
            # An interrupt ends the loop's run, not the task: the next cell would run it on.
            task.cancel()
            self._loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
            raise


def sendable(mime: str, value: object) -> object:
    """Return one form of a display as it may cross: bounded text, or bytes; None to leave it out."""
    if isinstance(value, str):
        picture = mime.startswith("image/") and not mime.endswith("+xml")
        limit = LARGEST_PICTURE * 4 // 3 if picture else LONGEST_TEXT
        if len(value) <= limit:
            return value
        return None if picture else shortened(value, LONGEST_TEXT)
    if isinstance(value, bytes) and len(value) <= LARGEST_PICTURE:
        return base64.b64encode(value).decode("ascii")
    return None


def shortened(text: str, limit: int) -> str:
    """Return both ends of a long text."""
    half = limit // 2
    return f"{text[:half]}\n… {len(text) - 2 * half:,} characters left out …\n{text[-half:]}"


def picture_sizes(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return what is sent along about pictures: the width and height they are to be shown in."""
    return {
        mime: {k: v for k, v in given.items() if k in {"width", "height"} and type(v) is int}
        for mime, given in metadata.items()
        if isinstance(given, dict)
    }


def nobody_to_ask(name: str) -> Callable[..., NoReturn]:
    """Return what stands for a function that would ask a person."""

    def ask(*_: object, **__: object) -> NoReturn:
        __tracebackhide__ = True
        raise RuntimeError(
            f"{name}() has nobody to ask over there; ask in a cell that runs here, and pass the "
            "answer: %%remote --in answer"
        )

    return ask


def open_shell(folder: Path) -> CellShell:
    """Make the shell of this worker process, in its main namespace.

    Parameters
    ----------
    folder : path
        The session's work folder.
    """
    # Before matplotlib is imported, as ipykernel does, so that figures are displays by themselves.
    os.environ.setdefault("MPLBACKEND", INLINE)
    if "matplotlib" in sys.modules:
        sys.modules["matplotlib"].use(os.environ["MPLBACKEND"])
    shell: CellShell = CellShell.instance(
        config=Config(HistoryManager={"enabled": False}, InteractiveShell={"colors": NO_COLOURS}),
        ipython_dir=str(folder),
        profile_dir=NoProfile(location=str(folder)),
        loop_runner=CellLoop(),
    )
    shell.user_ns["work_folder"] = shell.user_ns_hidden["work_folder"] = folder
    for module, name in ((builtins, "input"), (getpass, "getpass")):
        setattr(module, name, nobody_to_ask(name))
    return shell
