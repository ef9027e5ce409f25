"""Tests of `rpcnb.array.compat`: what is loaded, and that nothing is missing."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
from rpcnb.array.compat import LATER, numpy_namespace
xp = numpy_namespace()
assert xp is numpy_namespace() is sys.modules["array_api_compat.numpy"]
loaded = [name for name in LATER if "numpy." + name in sys.modules]
assert not loaded, loaded
import numpy as np
assert not [name for name in LATER if hasattr(xp, name)]
assert np.ma.masked_array([1, 2], [False, True]).sum() == 1
assert np.testing.assert_equal(xp.asarray(1) + 1, 2) is None
print(xp.__array_api_version__)
"""


def test_numpys_lazy_parts_stay_lazy_and_there() -> None:
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", CODE], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() >= "2024.12"
