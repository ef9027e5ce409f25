"""`array_api_compat`'s view of NumPy, without the parts of NumPy that nobody asked for.

It copies every name that NumPy has, which loads NumPy's lazy submodules: its Fortran wrapper, its
test tools, random numbers and what these need. That is 130 of 170 ms, and 12 MB, which every fork of
a server has to look at: 2 ms for each session.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

LATER = (
    "char", "core", "ctypeslib", "f2py", "ma", "polynomial", "random", "rec", "strings", "testing",
)  # fmt: skip
"""Submodules that NumPy loads when somebody asks for them, as they still may afterwards."""


@cache
def numpy_namespace() -> Any:
    """Return the module ``array_api_compat.numpy``."""
    absent = [name for name in LATER if name not in vars(np)]
    for name in absent:
        setattr(np, name, None)  # there already, as far as a copy of names can see
    try:
        namespace = import_module("array_api_compat.numpy")
    finally:
        for name in absent:
            if vars(np)[name] is None:
                delattr(np, name)
    for name in absent:
        vars(namespace).pop(name, None)
    return namespace
