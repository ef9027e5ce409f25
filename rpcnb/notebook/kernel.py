"""The `rpcnb` kernel: Python with the extension loaded, and connected where `RPCNB_URL` says so.

``python -m rpcnb.notebook.kernel -f FILE`` is what the kernelspec starts.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ipykernel.ipkernel import IPythonKernel
from IPython.display import display

from rpcnb.core.errors import RpcnbError
from rpcnb.core.version import VERSION
from rpcnb.core.visible import visible
from rpcnb.manager import manager
from rpcnb.notebook.arguments import VARIABLE
from rpcnb.notebook.displays import quiet

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

ADDRESS = "RPCNB_URL"
"""Environment variable with the address, or connection file, of a server."""
PATIENCE = 5.0
"""Seconds the kernel's start may wait for that server."""


class RpcnbKernel(IPythonKernel):
    """ipykernel's kernel, with rpcnb's extension loaded."""

    implementation = "rpcnb"
    implementation_version = VERSION

    @property
    def banner(self) -> str:  # type: ignore[override]  # as in ipykernel's own subclass
        return f"rpcnb {VERSION}: %connect_remote HOST:PORT binds `{VARIABLE}`\n{super().banner}"

    def start(self) -> None:
        super().start()
        shell: Any = self.shell
        shell.extension_manager.load_extension("rpcnb")
        url = os.environ.get(ADDRESS)
        if url:
            FirstCell(shell, connect(shell, url))


def connect(shell: InteractiveShell, url: str) -> str:
    """Connect and bind `remote`; return what to tell the user."""
    try:
        remote = manager.connect(url, timeout=PATIENCE)
    except (RpcnbError, OSError, ValueError) as error:
        return f"{ADDRESS}={url} cannot be reached: {error}"
    shell.user_ns[VARIABLE] = remote
    return f"connected to {remote.name} at {remote.url}, as `{VARIABLE}`"


class FirstCell:
    """Says something under the first cell: before it, a kernel has no place to speak."""

    def __init__(self, shell: InteractiveShell, text: str) -> None:
        self._shell = shell
        self._text = text
        shell.events.register("pre_run_cell", self._say)

    def _say(self, *_: object) -> None:
        self._shell.events.unregister("pre_run_cell", self._say)
        display({"text/plain": visible(self._text), "text/html": quiet(self._text)}, raw=True)


def main() -> None:
    """Be a kernel process."""
    from ipykernel.kernelapp import IPKernelApp

    IPKernelApp.launch_instance(kernel_class=RpcnbKernel)


if __name__ == "__main__":
    main()
