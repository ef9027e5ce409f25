"""Where Jupyter finds the `rpcnb` kernel: installing its kernelspec, and removing it."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_core.paths import jupyter_data_dir

NAME = "rpcnb"


def source_folder() -> Path:
    """Return the folder of kernel.json and the logos: the checkout's own, or the package's."""
    package = Path(__file__).parent
    shipped = package / "spec"
    return shipped if shipped.is_dir() else package.parent.parent / "kernelspec"


def installed_folder(*, user: bool = False, prefix: str | None = None) -> Path:
    """Return where the kernelspec is, or would be: by default, in this environment."""
    data = Path(jupyter_data_dir()) if user else Path(prefix or sys.prefix, "share", "jupyter")
    return data / "kernels" / NAME


def install(*, user: bool = False, prefix: str | None = None) -> Path:
    """Let Jupyter find the kernel; it runs in the environment this runs in.

    Parameters
    ----------
    user : bool
        For this user, in whatever environment Jupyter runs.
    prefix : str, optional
        Of another environment than this one.

    Returns
    -------
    Path
        The folder that was written.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / NAME
        shutil.copytree(source_folder(), copy)
        spec = json.loads((copy / "kernel.json").read_text("utf-8"))
        spec["argv"][0] = sys.executable  # another environment's Jupyter would take its own Python
        (copy / "kernel.json").write_text(json.dumps(spec, indent=2), "utf-8")
        where = None if user else prefix or sys.prefix
        written: str = KernelSpecManager().install_kernel_spec(
            str(copy), NAME, user=user, prefix=where
        )
    return Path(written)


def remove(*, user: bool = False, prefix: str | None = None) -> Path:
    """Let Jupyter find the kernel no longer.

    Raises
    ------
    FileNotFoundError
        It is not installed there.
    """
    folder = installed_folder(user=user, prefix=prefix)
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no kernel {NAME} in {folder.parent}")
    shutil.rmtree(folder)
    return folder
