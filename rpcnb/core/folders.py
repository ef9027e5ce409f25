"""Folders of our own: made and removed by libraries that are loaded only then.

`tempfile` and `shutil` bring three compressors and a generator of random numbers, whose 41 mappings every
worker would copy from the process that it is forked from.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def fresh_folder() -> str:
    """Make a folder for this user only; return its path.

    Raises
    ------
    OSError
        There is no place for it.
    """
    from tempfile import mkdtemp

    return mkdtemp(prefix="rpcnb-")


def remove_folder(folder: Path | str) -> None:
    """Remove a folder, if it is there, and what is in it, as far as that is possible."""
    try:
        os.rmdir(folder)  # noqa: PTH106 -- mostly it is empty, and no Path is needed
    except FileNotFoundError:
        pass
    except OSError:
        from shutil import rmtree

        rmtree(folder, ignore_errors=True)
