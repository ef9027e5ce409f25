"""Compiles what every call goes through, when a wheel is built and asked for (see pyproject.toml).

The sources stay what they are: `mypyc` compiles annotated Python, and what Cython compiles says None to
whatever is not usual, and stands beside the Python that it is quicker than. An editable install is never compiled,
for a compiled module would hide what is edited beside it.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MODULES = (
    "rpcnb/endpoint/outbox.py",
    "rpcnb/wire/frames.py",
    "rpcnb/wire/journal.py",
    "rpcnb/wire/resumable.py",
    "rpcnb/wire/short.py",
    "rpcnb/wire/v1.py",
)
"""Pure computation and sending. Nothing that an interrupt must find its way through: it is delivered
between two instructions of Python, of which compiled code has none."""
CYTHON = ("rpcnb/wire/_quick.pyx",)
"""What is written for the compiler, and left out where there is none."""
OPTIONS = ("--config-file=", "--follow-imports=silent", "--ignore-missing-imports")
"""What other files lack is said by `make lint`."""


class CompileHook(BuildHookInterface[Any]):
    """Puts compiled modules beside their sources into the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile."""
        if version == "editable":
            return
        from Cython.Build import cythonize
        from mypyc.build import mypycify
        from setuptools import Distribution, Extension

        built, left = self._folders()
        extensions = mypycify(
            [*OPTIONS, *MODULES], opt_level="3", group_name="rpcnb", target_dir=str(left)
        )
        extensions += cythonize(
            [Extension(_module_of(file), [file]) for file in CYTHON],
            build_dir=str(left),
            quiet=True,
        )
        command = Distribution({"ext_modules": extensions}).get_command_obj("build_ext")
        command.build_lib, command.build_temp = str(built), str(left)
        command.ensure_finalized()
        command.run()
        build_data["pure_python"], build_data["infer_tag"] = False, True
        for file in built.rglob("*.so"):
            build_data["force_include"][str(file)] = str(file.relative_to(built))

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Leave the wheel alone."""
        del version, build_data, artifact_path
        for folder in self._folders():
            shutil.rmtree(folder, ignore_errors=True)

    def _folders(self) -> tuple[Path, Path]:
        """Return where the modules come, and what is left of making them."""
        return Path(self.directory) / "compiled", Path(self.directory) / "compiling"


def _module_of(file: str) -> str:
    return file.removesuffix(".pyx").replace("/", ".")
