"""`WorkFolder`: the one folder a session's files are put into and taken from.

Confinement does not rest on looking at names: a path is walked component by component from the
folder's own descriptor, and no symbolic link is followed at any step, so that code which swaps a
folder for a link between two steps gains nothing.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rpcnb.core.errors import PermissionDenied
from rpcnb.core.folders import fresh_folder, remove_folder
from rpcnb.core.limits import DEFAULT_LIMITS, Limits
from rpcnb.session.quota import Spool

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAME_BYTES = 255
_PATH_BYTES = 1024
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without O_NONBLOCK, opening a named pipe would wait for its other end for ever.
_FILE = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class WorkFolder:
    """A folder for the files of one session.  Thread-safe.

    Names are relative to it, with ``/`` between components.

    Parameters
    ----------
    path : path-like, optional
        An existing folder, which stays. By default a new one of its own, removed by `close`.
    limits : Limits
        `frame_payload` bounds one download, `upload_spool` all uploads.
    """

    def __init__(
        self, path: str | os.PathLike[str] | None = None, limits: Limits = DEFAULT_LIMITS
    ) -> None:
        self._own = path is None
        self._pid = os.getpid()
        self._begin(limits)
        self.settle(os.path.realpath(fresh_folder() if path is None else path))
        self._is_there = True
        if not self.path.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "a work folder must exist", self._where)

    @classmethod
    def to_be(cls, limits: Limits) -> WorkFolder:
        """Return one that is nowhere until `settle` says where.

        The folder is made when it is first needed, which it seldom is, and stays.
        """
        folder = cls.__new__(cls)
        folder._own, folder._pid = False, 0  # noqa: SLF001 -- its own
        folder._begin(limits)  # noqa: SLF001 -- likewise
        return folder

    def _begin(self, limits: Limits) -> None:
        self._largest = limits.frame_payload
        self._where: str
        self._is_there = False
        self.spool = Spool(limits.upload_spool)

    def settle(self, where: str) -> None:
        """Be at a folder, given by its absolute path, before anything is done."""
        self._where = self.spool.disk = where

    def _be_there(self) -> str:
        """Return where it is, and see to it that it exists."""
        if not self._is_there:
            Path(self._where).mkdir(mode=0o700, exist_ok=True)
            self._is_there = True
        return self._where

    @property
    def path(self) -> Path:
        """Where it is; absolute."""
        return Path(self._be_there())

    def upload(
        self,
        name: str,
        offset: int,
        data: bytes,
        truncate: bool = False,  # noqa: FBT001, FBT002 -- a remote function's signature
    ) -> int:
        """Write bytes into a file, made with its folders if it is new.

        Parameters
        ----------
        name : str
        offset : int [bytes]
            Where they go.
        data : bytes
        truncate : bool
            The file ends after them. With an offset of 0 that is the whole content, which then
            replaces what was there in one step.

        Returns
        -------
        int
            Bytes written.

        Raises
        ------
        PermissionDenied
            The name leads out of the folder, or over a link, or names no ordinary file.
        QuotaExceeded
            The session's files would take too much, or the disk is nearly full.
        ValueError
            It is no name, or `offset` is negative.
        """
        _check_position(offset)
        with self._parent(name, create=True) as (folder, last):
            if truncate and offset == 0:
                with self._charged(len(data) - _size_of(folder, last)):
                    _replace(folder, last, data)
                return len(data)
            with _opened(folder, last, os.O_WRONLY | os.O_CREAT) as file:
                size, end = os.fstat(file).st_size, offset + len(data)
                with self._charged((end if truncate else max(size, end)) - size):
                    _write_all(file, data, offset)
                    if truncate:
                        os.ftruncate(file, end)
        return len(data)

    def download(self, name: str, offset: int = 0, nbytes: int | None = None) -> bytes:
        """Read bytes of a file.

        Parameters
        ----------
        name : str
        offset : int [bytes]
        nbytes : int, optional
            By default as many as there are; never more than 16 MiB.

        Returns
        -------
        bytes
            Fewer than asked for at the end of the file, none behind it.
        """
        _check_position(offset)
        wanted = self._largest if nbytes is None else _check_position(nbytes)
        with self._parent(name) as (folder, last), _opened(folder, last, os.O_RDONLY) as file:
            left = max(0, os.fstat(file).st_size - offset)
            # Never more than the file has: the system's read begins by making room for all of it.
            return os.pread(file, min(wanted, left, self._largest), offset)

    def listdir(self, path: str = "") -> list[list[object]]:
        """Return what is in the folder, or in one inside it: name, is_dir, bytes; sorted."""
        with self._folder(_components(path) if path not in ("", ".") else []) as folder:
            found: list[list[object]] = []
            with os.scandir(folder) as entries:
                for entry in entries:
                    status = entry.stat(follow_symlinks=False)
                    # A name of other bytes than UTF-8 can be shown, and not be asked for.
                    name = os.fsencode(entry.name).decode("utf-8", "backslashreplace")
                    found.append([name, stat.S_ISDIR(status.st_mode), status.st_size])
        return sorted(found, key=lambda item: str(item[0]))

    def remove(self, name: str) -> None:
        """Remove a file, a link, or an empty folder."""
        with self._parent(name) as (folder, last):
            status = os.stat(last, dir_fd=folder, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                os.rmdir(last, dir_fd=folder)
            else:
                os.unlink(last, dir_fd=folder)
                self.spool.charge(-status.st_size)

    def close(self) -> None:
        """Remove the folder if it is its own.  Idempotent; nothing in a forked child."""
        if self._own and self._pid == os.getpid():
            remove_folder(self._where)

    @contextmanager
    def _charged(self, nbytes: int) -> Iterator[None]:
        """Take disk for what is written inside; give it back if that fails."""
        self.spool.charge(nbytes)
        try:
            yield
        except BaseException:
            self.spool.charge(-nbytes)
            raise

    @contextmanager
    def _parent(self, name: str, *, create: bool = False) -> Iterator[tuple[int, str]]:
        """Give the open folder a name lies in, and its last component."""
        *folders, last = _components(name)
        with self._folder(folders, create=create) as folder:
            yield folder, last

    @contextmanager
    def _folder(self, names: list[str], *, create: bool = False) -> Iterator[int]:
        folder = os.open(self._be_there(), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for name in names:
                inner = _open_folder(folder, name, create=create)
                os.close(folder)
                folder = inner
            yield folder
        finally:
            os.close(folder)


def _components(name: str) -> list[str]:
    """Cut a name into components.

    Raises
    ------
    ValueError
        It is empty, too long, or no text for a file system.
    PermissionDenied
        It is absolute, or goes up.
    """
    if type(name) is not str or not name or "\0" in name:
        raise ValueError(f"{name!r} names no file")
    if name.startswith("/"):
        raise PermissionDenied(f"{name!r} is absolute; names are relative to the work folder")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise PermissionDenied(f"{name!r} leads out of the work folder")
    encoded = [part.encode("utf-8", "surrogatepass") for part in parts]
    if not parts or len(name.encode("utf-8", "surrogatepass")) > _PATH_BYTES:
        raise ValueError(f"{name[:80]!r} names no file, or is longer than {_PATH_BYTES} bytes")
    if max(map(len, encoded)) > _NAME_BYTES:
        raise ValueError(f"a component of {name[:80]!r} is longer than {_NAME_BYTES} bytes")
    return parts


def _open_folder(folder: int, name: str, *, create: bool) -> int:
    if create:
        with suppress(FileExistsError):
            os.mkdir(name, dir_fd=folder)
    try:
        return os.open(name, _FOLDER, dir_fd=folder)
    except OSError as error:
        _refuse_link(folder, name, error)
        raise


@contextmanager
def _opened(folder: int, name: str, flags: int) -> Iterator[int]:
    """Give an ordinary file, open."""
    try:
        file = os.open(name, flags | _FILE, 0o666, dir_fd=folder)
    except OSError as error:
        _refuse_link(folder, name, error)
        raise
    try:
        mode = os.fstat(file).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
        if not stat.S_ISREG(mode):
            raise PermissionDenied(f"{name!r} is no ordinary file")
        yield file
    finally:
        os.close(file)


def _refuse_link(folder: int, name: str, error: OSError) -> None:
    """Raise PermissionDenied if a link, a pipe or a device is what kept `name` from opening."""
    if error.errno not in (errno.ELOOP, errno.EMLINK, errno.ENOTDIR, errno.ENXIO):
        return
    try:
        mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    except OSError:
        return
    if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
        raise PermissionDenied(f"{name!r} is a link or no ordinary file; it is not followed")


def _size_of(folder: int, name: str) -> int:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False).st_size
    except FileNotFoundError:
        return 0


def _replace(folder: int, name: str, data: bytes) -> None:
    """Give a file a new content in one step: readers see the old one or the new one."""
    with _kept_mode(folder, name) as mode:
        draft = f".rpcnb-{os.urandom(8).hex()}"
        file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FILE, mode, dir_fd=folder)
        try:
            try:
                _write_all(file, data, 0)
            finally:
                os.close(file)
            os.replace(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            os.unlink(draft, dir_fd=folder)
            raise


@contextmanager
def _kept_mode(folder: int, name: str) -> Iterator[int]:
    """Give the permissions of the file that is replaced; refuse what is no ordinary file."""
    try:
        with _opened(folder, name, os.O_RDONLY) as file:
            mode = stat.S_IMODE(os.fstat(file).st_mode)
    except FileNotFoundError:
        mode = 0o666
    yield mode


def _write_all(file: int, data: bytes, offset: int) -> None:
    with memoryview(data).cast("B") as view:
        done = 0
        while done < len(view):
            done += os.pwrite(file, view[done:], offset + done)


def _check_position(number: int) -> int:
    if type(number) is not int or not 0 <= number < 1 << 63:
        raise ValueError(f"{number!r} is no number of bytes")
    return number
