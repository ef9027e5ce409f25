"""A full disk, 30 times: errors that say so, nothing half written, and everybody else goes on."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

import rpcnb
from rpcnb.core.errors import QuotaExceeded
from rpcnb.core.limits import KIB, MIB

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")


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


ROUNDS = 10
"""Of each test, with less room on the disk in each."""


def leave(place, nbytes: int):
    """Fill the disk but for so many bytes; return the file that takes the rest."""
    filler = fill(place)
    os.truncate(filler, max(0, filler.stat().st_size - nbytes))
    return filler


def test_an_upload_that_does_not_fit_is_refused_and_its_session_lives(
    start_server, small_disk, tmp_path, remote
) -> None:
    place = tmp_path / "server" / "tmp"
    place.parent.mkdir()
    place.symlink_to(small_disk)
    with (
        start_server() as server,
        rpcnb.connect(server.url, server.token) as ours,
        server.connect() as other,
    ):
        for round_ in range(ROUNDS):
            filler = leave(small_disk, (ROUNDS - 1 - round_) * 100 * KIB)
            with pytest.raises(QuotaExceeded, match="nearly full"):
                ours.upload(bytes(3 * MIB), f"folder/file{round_}")
            assert ours.listdir("folder") == []
            assert ours.get_function("t.echo")(1) == remote(other, "t.echo")(1) == 1
            with server.connect() as late:  # a session needs no room until it is given files
                assert remote(late, "t.echo")(2) == 2
            filler.unlink()
        ours.upload(b"x", "late")
        assert ours.download("late") == b"x"


def test_an_audit_log_on_a_full_disk_stops_nobody(start_server, small_disk, remote) -> None:
    log = small_disk / "audit"
    with start_server(audit_log=str(log)) as server:
        for round_ in range(ROUNDS):
            filler = leave(small_disk, (ROUNDS - 1 - round_) * 30)
            with server.connect() as session:
                assert remote(session, "t.echo")(round_) == round_
            filler.unlink()
            with server.connect() as session:
                assert remote(session, "t.echo")(round_) == round_
    events = [line["event"] for line in map(json.loads, log.read_text().splitlines())]
    assert events[-1] == "stopped"
    assert events.count("session started") >= ROUNDS


def test_a_server_that_cannot_write_its_connection_file_says_so_and_leaves_nothing(
    small_disk, run_python
) -> None:
    fill(small_disk)
    code = f"""
import os
from rpcnb.endpoint.serving.server import Server
for _ in range({ROUNDS}):
    try:
        Server(connection_file={str(small_disk / "c.json")!r}, in_process=False).start()
    except OSError as error:
        print(error.strerror, flush=True)
assert os.listdir({str(small_disk)!r}) == ["filler"], os.listdir({str(small_disk)!r})
os.unlink({str(small_disk / "filler")!r})
with Server(connection_file={str(small_disk / "c.json")!r}, in_process=False):
    print("there is room", flush=True)
"""
    assert run_python(code).splitlines() == [*["No space left on device"] * ROUNDS, "there is room"]
