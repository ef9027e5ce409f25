from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rpcnb.core.errors import PermissionDenied
from rpcnb.remote.files import PIECE, RemoteFile

if TYPE_CHECKING:
    from pathlib import Path

    from rpcnb.remote.client import Remote


@pytest.mark.parametrize("size", [0, 1, PIECE, 2 * PIECE + 3])
def test_bytes_come_back_as_they_went(remote: Remote, size: int) -> None:
    content = bytes(range(256)) * (size // 256) + bytes(size % 256)
    seen: list[float] = []
    assert remote.upload(content, "a.bin", on_progress=lambda p: seen.append(p.fraction)) == "a.bin"
    assert seen[-1:] == ([1.0] if size else [])
    assert remote.download("a.bin") == content


def test_files_are_listed_and_removed(remote: Remote) -> None:
    remote.upload(b"abc", "b.txt")
    remote.upload(b"", "a.txt")
    assert remote.listdir() == [RemoteFile("a.txt", False, 0), RemoteFile("b.txt", False, 3)]
    remote.remove("b.txt")
    assert [file.name for file in remote.listdir()] == ["a.txt"]


def test_a_shorter_upload_replaces_the_whole_file(remote: Remote) -> None:
    remote.upload(b"long content", "a")
    remote.upload(b"short", "a")
    assert remote.download("a") == b"short"


def test_local_files_are_uploaded_and_written(remote: Remote, tmp_path: Path) -> None:
    source = tmp_path / "source.bin"
    source.write_bytes(b"x" * 10)
    assert remote.upload(source) == "source.bin"
    folder = tmp_path / "into"
    folder.mkdir()
    assert remote.download("source.bin", folder) == folder / "source.bin"
    assert (folder / "source.bin").read_bytes() == b"x" * 10


def test_a_failed_download_leaves_the_old_file_and_no_part(remote: Remote, tmp_path: Path) -> None:
    folder = tmp_path / "into"
    folder.mkdir()
    target = folder / "a"
    target.write_bytes(b"old")
    remote.upload(b"new", "a")

    def stop(progress: object) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        remote.download("a", target, on_progress=stop)
    assert target.read_bytes() == b"old"
    assert [path.name for path in folder.iterdir()] == ["a"]


def test_bytes_need_a_name(remote: Remote) -> None:
    with pytest.raises(ValueError, match="target"):
        remote.upload(b"x")


def test_names_that_lead_out_are_refused(remote: Remote) -> None:
    with pytest.raises(PermissionDenied):
        remote.upload(b"x", "../x")
