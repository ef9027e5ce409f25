from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rpcnb.cli.bench import run_benchmarks
from rpcnb.cli.failure import CommandFailed

if TYPE_CHECKING:
    from pathlib import Path


def test_it_runs_the_checkout_s_benchmarks_with_their_options(tmp_path: Path) -> None:
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "__main__.py").write_text("import sys; sys.exit(40 + len(sys.argv[1:]))")
    assert run_benchmarks(tmp_path, ["--quick", "calls"]) == 42


def test_without_a_checkout_it_says_where_they_are(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="run this in a checkout"):
        run_benchmarks(tmp_path, [])
