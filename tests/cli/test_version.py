from __future__ import annotations

import platform
from typing import TYPE_CHECKING

import numpy as np

import rpcnb
import rpcnb.wire.short
from rpcnb.cli import main

if TYPE_CHECKING:
    import pytest


def test_it_names_what_a_bug_report_needs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    out = capsys.readouterr().out
    compiled = not rpcnb.wire.short.__file__.endswith(".py")
    assert f"rpcnb {rpcnb.__version__} {'with' if compiled else 'without'} compiled modules" in out
    assert f"Python {platform.python_version()}" in out
    assert f"numpy {np.__version__}" in out
