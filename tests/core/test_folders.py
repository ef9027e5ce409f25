"""Tests of `rpcnb.core.folders`: one's own, and gone with all that is in it."""

from __future__ import annotations

import os
from pathlib import Path

from rpcnb.core.folders import fresh_folder, remove_folder


def test_a_fresh_folder_is_empty_and_its_users_own() -> None:
    folder = fresh_folder()
    try:
        assert os.listdir(folder) == []
        assert Path(folder).stat().st_mode & 0o777 == 0o700
        assert fresh_folder_again() != folder
    finally:
        remove_folder(folder)
    assert not Path(folder).exists()


def fresh_folder_again() -> str:
    folder = fresh_folder()
    remove_folder(folder)
    return folder


def test_what_is_in_a_folder_goes_with_it(tmp_path) -> None:
    folder = tmp_path / "folder"
    (folder / "inner" / "most").mkdir(parents=True)
    (folder / "inner" / "file").write_bytes(b"x")
    (folder / "link").symlink_to(tmp_path)
    remove_folder(folder)
    assert not folder.exists()
    assert tmp_path.exists()


def test_a_folder_that_is_not_there_is_as_good_as_removed(tmp_path) -> None:
    remove_folder(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_neither_is_loaded_before_it_is_needed(run_python) -> None:
    code = """
import os, sys
from rpcnb.core.folders import remove_folder
os.mkdir(folder := f"/tmp/rpcnb-test-{os.getpid()}")
remove_folder(folder)
print({"tempfile", "shutil", "random"} & set(sys.modules))
"""
    assert run_python(code) == "set()\n"
