"""Tests of `hatch_build`: what is compiled, and what never is."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("asked_for", ["0", "1"])
def test_an_editable_install_is_never_compiled(tmp_path, monkeypatch, asked_for) -> None:
    # A compiled module would hide what is edited beside it; `make test-native` tests what is compiled.
    monkeypatch.setenv("HATCH_BUILD_HOOKS_ENABLE", asked_for)
    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["editable"])
    assert wheel.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert not [name for name in names if name.endswith((".so", ".pyd", ".c"))]
    assert any(name.endswith(".pth") for name in names)
