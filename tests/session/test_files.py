from __future__ import annotations

import os
import socket
import stat
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, strategies as st

from rpcnb.core.errors import PermissionDenied
from rpcnb.core.limits import DEFAULT_LIMITS
from rpcnb.session.files import WorkFolder

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.usefixtures("no_leaked_fds")


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret").write_text("secret")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[WorkFolder]:
    inside = tmp_path / "inside"
    inside.mkdir()
    yield WorkFolder(inside)
    assert sorted(p.name for p in tmp_path.iterdir()) in (["inside"], ["inside", "outside"])


@pytest.mark.parametrize(
    "use",
    [
        lambda folder: folder.listdir(),
        lambda folder: folder.upload("a", 0, b"!"),
        lambda folder: folder.path,
    ],
    ids=["listdir", "upload", "path"],
)
def test_a_folder_that_is_to_be_is_made_when_it_is_needed(tmp_path, use) -> None:
    folder = WorkFolder.to_be(DEFAULT_LIMITS)
    folder.settle(str(tmp_path / "later"))
    assert list(tmp_path.iterdir()) == []
    use(folder)
    assert stat.S_IMODE((tmp_path / "later").stat().st_mode) == 0o700
    use(folder)
    folder.close()
    assert (tmp_path / "later").is_dir()


def test_bytes_come_back(folder: WorkFolder) -> None:
    assert folder.upload("a.bin", 0, b"hello", True) == 5
    assert folder.download("a.bin") == b"hello"
    assert folder.download("a.bin", 1, 3) == b"ell"
    assert folder.download("a.bin", 4, 1 << 60) == b"o"
    assert folder.download("a.bin", 5, 10) == folder.download("a.bin", 1 << 60) == b""


def test_a_file_grows_piece_by_piece_and_folders_are_made(folder: WorkFolder) -> None:
    folder.upload("deep/er/a.bin", 0, b"old content", True)
    folder.upload("deep/er/a.bin", 0, b"one", True)
    folder.upload("deep/er/a.bin", 3, b"two")
    assert folder.download("deep/./er//a.bin") == b"onetwo"
    folder.upload("deep/er/a.bin", 0, b"ONE")
    assert folder.download("deep/er/a.bin") == b"ONEtwo"
    folder.upload("deep/er/a.bin", 1, b"!", True)
    assert folder.download("deep/er/a.bin") == b"O!"
    folder.upload("hole", 3, b"x")
    assert folder.download("hole") == b"\0\0\0x"


def test_any_buffer_may_be_uploaded(folder: WorkFolder) -> None:
    for data in (bytearray(b"abcd"), memoryview(b"abcd"), memoryview(b"abcd").cast("i")):
        folder.upload("a", 0, data, True)  # type: ignore[arg-type]
        assert folder.download("a") == b"abcd"


def test_a_whole_content_replaces_the_old_in_one_step(folder: WorkFolder) -> None:
    folder.upload("a", 0, b"old", True)
    os.chmod(folder.path / "a", 0o755)
    with open(folder.path / "a", "rb") as reader:
        folder.upload("a", 0, b"new content", True)
        assert reader.read() == b"old"
    assert stat.S_IMODE(os.stat(folder.path / "a").st_mode) == 0o755
    assert folder.listdir() == [["a", False, 11]]


def test_a_replacement_that_fails_leaves_the_old_and_no_draft(folder: WorkFolder) -> None:
    folder.upload("a", 0, b"old", True)
    with pytest.raises(TypeError):
        folder.upload("a", 0, "text", True)  # type: ignore[arg-type]
    assert folder.listdir() == [["a", False, 3]]
    assert folder.download("a") == b"old"


def test_one_download_is_bounded(tmp_path: Path) -> None:
    folder = WorkFolder(tmp_path, replace(DEFAULT_LIMITS, frame_payload=4))
    folder.upload("a", 0, b"0123456789", True)
    assert folder.download("a") == b"0123"
    assert folder.download("a", 4, 100) == b"4567"


def test_folders_are_listed(folder: WorkFolder, outside: Path) -> None:
    folder.upload("sub/b", 0, b"12", True)
    folder.upload("a", 0, b"1", True)
    os.symlink(outside, folder.path / "link")
    (folder.path / os.fsdecode(b"\xff")).touch()
    listed = folder.listdir()
    assert [entry[:2] for entry in listed] == [
        ["\\xff", False],
        ["a", False],
        ["link", False],
        ["sub", True],
    ]
    assert folder.listdir("sub") == [["b", False, 2]]
    assert folder.listdir(".") == listed


def test_files_links_and_empty_folders_are_removed(folder: WorkFolder, outside: Path) -> None:
    folder.upload("sub/a", 0, b"1", True)
    os.symlink(outside / "secret", folder.path / "link")
    folder.remove("link")
    with pytest.raises(OSError, match="not empty"):
        folder.remove("sub")
    folder.remove("sub/a")
    folder.remove("sub")
    assert folder.listdir() == []
    assert (outside / "secret").exists()


OPERATIONS: dict[str, Any] = {
    "upload": lambda f, name: f.upload(name, 0, b"x", True),
    "write into": lambda f, name: f.upload(name, 1, b"x"),
    "download": lambda f, name: f.download(name),
    "remove": lambda f, name: f.remove(name),
    "listdir": lambda f, name: f.listdir(name),
}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    "name", ["../outside/secret", "..", "a/../../outside/secret", "/etc/passwd", "//x", "a/.."]
)
def test_names_that_lead_out_are_refused(
    folder: WorkFolder, outside: Path, operation: str, name: str
) -> None:
    with pytest.raises(PermissionDenied, match=r"absolute|leads out"):
        OPERATIONS[operation](folder, name)
    assert (outside / "secret").read_text() == "secret"


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("name", ["a\0b", "\0", "a" * 256, "a/" * 600 + "b", 3, None, b"a"])
def test_names_that_are_none_are_refused(folder: WorkFolder, operation: str, name: Any) -> None:
    with pytest.raises(ValueError, match=r"names no file|is longer than"):
        OPERATIONS[operation](folder, name)


@pytest.mark.parametrize("operation", ["upload", "write into", "download", "remove"])
@pytest.mark.parametrize("name", ["", ".", "./"])
def test_the_folder_itself_is_no_file(folder: WorkFolder, operation: str, name: str) -> None:
    with pytest.raises(ValueError, match="names no file"):
        OPERATIONS[operation](folder, name)


@pytest.mark.parametrize("operation", ["upload", "write into", "download", "listdir"])
@pytest.mark.parametrize("name", ["link", "folder/secret"])
def test_links_are_not_followed(
    folder: WorkFolder, outside: Path, operation: str, name: str
) -> None:
    os.symlink(outside / "secret", folder.path / "link")
    os.symlink(outside, folder.path / "folder")
    with pytest.raises(PermissionDenied, match="is a link"):
        OPERATIONS[operation](folder, name)
    assert (outside / "secret").read_text() == "secret"
    with pytest.raises(PermissionDenied, match="is a link"):
        folder.remove("folder/secret")


@pytest.mark.parametrize("operation", ["upload", "write into", "download"])
def test_pipes_and_sockets_are_not_opened(folder: WorkFolder, operation: str) -> None:
    os.mkfifo(folder.path / "pipe")
    here = os.getcwd()
    os.chdir(folder.path)  # the path of a socket may not be long
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("socket")
    finally:
        os.chdir(here)
    for name in ("pipe", "socket"):
        with pytest.raises(PermissionDenied, match="no ordinary file"):
            OPERATIONS[operation](folder, name)


def test_a_folder_is_no_file_and_a_file_no_folder(folder: WorkFolder) -> None:
    folder.upload("sub/a", 0, b"x", True)
    for operation in ("upload", "write into", "download"):
        with pytest.raises(IsADirectoryError):
            OPERATIONS[operation](folder, "sub")
    for operation in OPERATIONS.values():
        with pytest.raises(NotADirectoryError):
            operation(folder, "sub/a/b")


def test_what_is_missing_is_named_without_the_folders_place(folder: WorkFolder) -> None:
    for operation in ("download", "remove", "listdir"):
        with pytest.raises(FileNotFoundError, match="'nope'") as caught:
            OPERATIONS[operation](folder, "nope")
        assert str(folder.path) not in str(caught.value)


@pytest.mark.parametrize("number", [-1, 1.5, True, 1 << 63, None])
def test_positions_are_natural_numbers(folder: WorkFolder, number: Any) -> None:
    folder.upload("a", 0, b"x", True)
    with pytest.raises(ValueError, match="no number of bytes"):
        folder.upload("a", number, b"x")
    with pytest.raises(ValueError, match="no number of bytes"):
        folder.download("a", number)


@given(st.lists(st.sampled_from(["..", ".", "a", "link", "", "secret", "outside"]), max_size=5))
def test_no_name_reads_what_lies_outside(tmp_path_factory: Any, parts: list[str]) -> None:
    top = Path(tmp_path_factory.mktemp("top"))
    (top / "inside" / "a").mkdir(parents=True)
    (top / "outside").mkdir()
    (top / "outside" / "secret").write_text("secret")
    os.symlink("../outside", top / "inside" / "link")
    os.symlink("../../outside", top / "inside" / "a" / "link")
    folder = WorkFolder(top / "inside")
    for operation in OPERATIONS.values():
        try:
            found = operation(folder, "/".join(parts))
        except (OSError, ValueError):
            continue
        assert found != b"secret"
    assert [p.name for p in (top / "outside").iterdir()] == ["secret"]
    assert (top / "outside" / "secret").read_text() == "secret"


def test_swapping_a_folder_for_a_link_meanwhile_gains_nothing(
    folder: WorkFolder, outside: Path
) -> None:
    folder.upload("sub/secret", 0, b"harmless", True)
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            os.rename(folder.path / "sub", folder.path / "kept")
            os.symlink(outside, folder.path / "sub")
            os.unlink(folder.path / "sub")
            os.rename(folder.path / "kept", folder.path / "sub")

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for _ in range(300):
            try:
                assert folder.download("sub/secret") == b"harmless"
            except OSError:
                continue
    finally:
        stop.set()
        thread.join(10)
    assert (outside / "secret").read_text() == "secret"


def test_its_own_folder_goes_with_it_and_a_given_one_stays(tmp_path: Path) -> None:
    own, given_one = WorkFolder(), WorkFolder(tmp_path)
    own.upload("sub/a", 0, b"x", True)
    assert stat.S_IMODE(own.path.stat().st_mode) == 0o700
    for folder in (own, given_one):
        folder.close()
        folder.close()
    assert not own.path.exists()
    assert tmp_path.exists()
    with pytest.raises(FileNotFoundError):
        own.download("sub/a")


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # other tests' threads
def test_a_forked_child_does_not_remove_its_parents_folder() -> None:
    folder = WorkFolder()
    child = os.fork()
    if child == 0:
        folder.close()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert folder.path.exists()
    folder.close()


def test_a_work_folder_must_exist(tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError, match="must exist"):
        WorkFolder(tmp_path / "nope")
