"""Files in the session's work folder, moved in pieces of 1 MiB."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, TypeAlias

from rpcnb.core.answers import expect
from rpcnb.core.errors import QuotaExceeded
from rpcnb.core.limits import MIB
from rpcnb.remote.progress import Progress

if TYPE_CHECKING:
    from rpcnb.remote.client import Remote

PIECE = MIB

OnProgress: TypeAlias = Callable[[Progress], object]
"""Called after each piece with the bytes moved so far, on the calling thread."""


class RemoteFile(NamedTuple):
    """One entry of a folder over there."""

    name: str
    is_dir: bool
    nbytes: int


def upload(
    remote: Remote,
    source: str | os.PathLike[str] | bytes,
    target: str | None = None,
    on_progress: OnProgress | None = None,
) -> str:
    """Write a file over there; see `Remote.upload`."""
    if isinstance(source, bytes):
        if target is None:
            raise ValueError("bytes have no name of their own: give a target")
        pieces = (source[at : at + PIECE] for at in range(0, len(source), PIECE))
        _send(remote, target, pieces, len(source), on_progress)
        return target
    path = Path(source)
    target = target or path.name
    with path.open("rb") as file:
        _send(remote, target, _read(file), os.fstat(file.fileno()).st_size, on_progress)
    return target


def _read(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(PIECE):
        yield piece


def _send(
    remote: Remote,
    target: str,
    pieces: Iterator[bytes],
    total: int,
    on_progress: OnProgress | None,
) -> None:
    write = remote.builtin("rpcnb.upload")
    if remote.session.whole_files:
        write(target, 0, b"".join(pieces), True)
        return
    write(target, 0, b"", True)
    offset = 0
    for piece in pieces:
        try:
            write(target, offset, piece, False)
        except QuotaExceeded:  # half a file is of no use, and takes the room of others
            remote.remove(target)
            raise
        offset += len(piece)
        if on_progress is not None:
            on_progress(Progress(offset, total, target))


def _receive(remote: Remote, name: str, on_progress: OnProgress | None) -> Iterator[bytes]:
    read = remote.builtin("rpcnb.download")
    if remote.session.whole_files:
        yield read(name, 0, None)
        return
    offset = 0
    while piece := read(name, offset, PIECE):
        yield piece
        offset += len(piece)
        if on_progress is not None:
            on_progress(Progress(offset, None, name))
        if len(piece) < PIECE:
            return


def download(
    remote: Remote,
    name: str,
    to: str | os.PathLike[str] | None = None,
    on_progress: OnProgress | None = None,
) -> bytes | Path:
    """Read a file over there; see `Remote.download`."""
    pieces = _receive(remote, name, on_progress)
    if to is None:
        return b"".join(pieces)
    path = Path(to)
    if path.is_dir():
        last = name.rpartition("/")[2]
        if last in {"", ".", ".."}:  # a name that a server listed, perhaps
            raise ValueError(f"{name!r} names no file to make in {path}")
        path /= last
    # Beside its final place, so that `os.replace` is atomic: nobody ever sees half a file.
    number, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(number, "wb") as file:
            file.writelines(pieces)
        Path(part).replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            Path(part).unlink()
        raise
    return path


def listdir(remote: Remote, path: str = "") -> list[RemoteFile]:
    """List a folder over there, sorted by name."""
    entries = expect(remote.builtin("rpcnb.listdir")(path), list, "a list of files")
    return sorted(RemoteFile(*entry) for entry in entries)
