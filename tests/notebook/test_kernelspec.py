from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest
from jupyter_client.kernelspec import find_kernel_specs, get_kernel_spec

from rpcnb.notebook.kernelspec import install, installed_folder, remove, source_folder

if TYPE_CHECKING:
    from pathlib import Path


def test_it_is_found_once_installed_and_gone_once_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share" / "jupyter"))
    folder = install(prefix=str(tmp_path))
    spec = get_kernel_spec("rpcnb")
    assert spec.display_name == "Python 3 (rpcnb)"
    assert spec.argv[0] == sys.executable
    assert {"logo-svg.svg", "logo-32x32.png", "logo-64x64.png"} <= {
        p.name for p in folder.iterdir()
    }
    assert find_kernel_specs()["rpcnb"] == str(folder)
    assert remove(prefix=str(tmp_path)) == folder
    assert not folder.exists()
    with pytest.raises(FileNotFoundError, match="there is no kernel rpcnb in"):
        remove(prefix=str(tmp_path))


def test_for_a_user_it_is_among_the_users_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))
    assert install(user=True) == tmp_path / "kernels" / "rpcnb" == installed_folder(user=True)
    remove(user=True)


def test_what_pip_installs_takes_the_python_of_its_environment() -> None:
    spec = json.loads((source_folder() / "kernel.json").read_text("utf-8"))
    assert spec["argv"][0] == "python"


@pytest.mark.parametrize("size", [32, 64])
def test_a_logo_has_the_size_it_says(size: int) -> None:
    data = (source_folder() / f"logo-{size}x{size}.png").read_bytes()
    assert [int.from_bytes(data[i : i + 4]) for i in (16, 20)] == [size, size]
