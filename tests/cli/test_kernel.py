from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
from rpcnb.cli import main


def test_the_kernel_is_installed_and_removed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "share" / "jupyter" / "kernels" / "rpcnb"
    assert main(["kernel", "install", "--prefix", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"installed {folder}\n"
    assert (folder / "kernel.json").is_file()
    assert main(["kernel", "remove", "--prefix", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"removed {folder}\n"
    assert main(["kernel", "remove", "--prefix", str(tmp_path)]) == 1
    assert "there is no kernel rpcnb" in capsys.readouterr().err
