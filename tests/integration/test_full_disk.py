"""A full disk: errors that say so, nothing half written, and everybody else goes on."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from rpcnb.core.errors import QuotaExceeded

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
KIB = 1024


@pytest.fixture
def small_disk(tmp_path):
    """Give a folder on a disk of 1 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], check=True)
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def fill(place):
    """Leave nothing free; return the file that takes it all."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (64 * KIB, 4 * KIB, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    return filler


def upload_2_mib(upload, name) -> None:
    for piece in range(64):
        upload(name, piece * 32 * KIB, bytes(32 * KIB), piece == 0)


def test_an_upload_that_does_not_fit_is_refused_and_its_session_lives(
    start_server, small_disk, tmp_path, remote
) -> None:
    place = tmp_path / "server" / "tmp"
    place.parent.mkdir()
    place.symlink_to(small_disk)
    with start_server() as server, server.connect() as session, server.connect() as other:
        upload = remote(session, "rpcnb.upload")
        for round_ in range(3):
            with pytest.raises(QuotaExceeded, match="nearly full"):
                upload_2_mib(upload, f"file{round_}")
            remote(session, "rpcnb.remove")(f"file{round_}")
        filler = fill(small_disk)
        with pytest.raises(QuotaExceeded, match="nearly full"):
            upload("late", 0, b"x", True)
        assert remote(session, "rpcnb.listdir")("") == []
        assert remote(other, "t.echo")(1) == 1
        with server.connect() as late:  # a session needs no room until it is given files
            assert remote(late, "t.echo")(2) == 2
        filler.unlink()
        upload("late", 0, b"x", True)
        assert remote(session, "rpcnb.download")("late", 0, 1) == b"x"


def test_an_audit_log_on_a_full_disk_stops_nobody(start_server, small_disk, remote) -> None:
    log = small_disk / "audit"
    with start_server(audit_log=str(log)) as server:
        with server.connect() as session:
            assert remote(session, "t.echo")(1) == 1
        filler = fill(small_disk)
        for number in range(4):
            with server.connect() as session:
                assert remote(session, "t.echo")(number) == number
        filler.unlink()
        with server.connect() as session:
            assert remote(session, "t.echo")(3) == 3
    events = [line.get("event") for line in map(json.loads, log.read_text().splitlines())]
    assert events[-1] == "stopped"


def test_a_server_that_cannot_write_its_connection_file_says_so_and_leaves_nothing(
    small_disk, run_python
) -> None:
    fill(small_disk)
    code = f"""
import os
from rpcnb.endpoint.serving.server import Server
for _ in range(2):
    try:
        Server(connection_file={str(small_disk / "c.json")!r}, in_process=False).start()
    except OSError as error:
        print(error.strerror)
assert os.listdir({str(small_disk)!r}) == ["filler"], os.listdir({str(small_disk)!r})
"""
    assert set(run_python(code).splitlines()) == {"No space left on device"}
