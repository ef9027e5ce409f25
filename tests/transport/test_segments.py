from __future__ import annotations

import gc
import os
import sys

import pytest

from rpcnb.core.errors import TransportError
from rpcnb.transport import segments

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memfd_create is Linux's")
MIB = 1024 * 1024


def test_both_ends_see_what_either_writes() -> None:
    ours, fd = segments.create(1, MIB)
    theirs = segments.attach(fd, 1, MIB)
    os.close(fd)
    ours.view(4)[:] = b"here"
    assert theirs.view(4) == b"here"
    theirs.view(MIB)[-5:] = b"there"
    assert ours.view(MIB)[-5:] == b"there"


def test_it_is_in_use_while_anything_refers_to_its_memory() -> None:
    segment, fd = segments.create(1, MIB)
    os.close(fd)
    assert not segment.in_use
    part = segment.view(100)[10:20].toreadonly()
    assert segment.in_use
    del part
    gc.collect()
    assert not segment.in_use
    assert len(segment.view(MIB)) == MIB  # having looked has changed nothing


def test_its_size_cannot_be_changed_by_anybody() -> None:
    _, fd = segments.create(1, MIB)
    for nbytes in (MIB - 1, MIB + 1):
        with pytest.raises(PermissionError):
            os.ftruncate(fd, nbytes)
    os.close(fd)


def test_a_file_that_could_be_shortened_is_refused() -> None:
    fd = os.memfd_create("not ours", os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, MIB)
    with pytest.raises(TransportError, match="not sealed"):
        segments.attach(fd, 1, MIB)
    os.close(fd)


def test_a_segment_of_another_size_than_promised_is_refused() -> None:
    _, fd = segments.create(1, MIB)
    with pytest.raises(TransportError, match="2,097,152 bytes"):
        segments.attach(fd, 1, 2 * MIB)
    os.close(fd)


def test_what_is_no_such_file_is_refused(tmp_path) -> None:
    with open(tmp_path / "file", "wb") as file:
        file.truncate(MIB)
        with pytest.raises(TransportError, match="not sealed"):
            segments.attach(file.fileno(), 1, MIB)
