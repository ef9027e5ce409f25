"""Tests of `rpcnb.testing.bad_link`, with programs on its two hosts."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rpcnb.testing.bad_link import BadLink, Quality, obstacle

WHY_NOT = obstacle()
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)

LISTEN = """
import socket, sys
with socket.create_server((sys.argv[1], 7000)) as listener:
    print("ready", flush=True)
    sock, _ = listener.accept()
    with sock:
        while data := sock.recv(65536):
            sock.sendall(data)
"""
ECHO = """
import socket, sys, threading, time
data = bytes(range(256)) * 400
with socket.create_connection((sys.argv[1], 7000), timeout=20) as sock:
    began = time.monotonic()
    sock.sendall(b"x")
    assert sock.recv(1) == b"x"
    print(time.monotonic() - began)
    threading.Thread(target=sock.sendall, args=(data,)).start()
    got = b""
    while len(got) < len(data):
        got += sock.recv(65536)
    assert got == data
"""


def exchange(link: BadLink) -> float:
    """Send 100 kB there and back; return how long one byte took [s]."""
    there = subprocess.Popen(
        [*link.far, sys.executable, "-c", LISTEN, link.far_address], stdout=subprocess.PIPE
    )
    with there:
        assert there.stdout is not None
        there.stdout.readline()
        here = subprocess.run(
            [*link.near, sys.executable, "-c", ECHO, link.far_address],
            stdout=subprocess.PIPE,
            timeout=30,
            check=True,
        )
    return float(here.stdout)


def test_bytes_arrive_late_but_whole_over_a_link_that_delays_loses_and_repeats() -> None:
    with BadLink(Quality(delay=0.01, jitter=0.005, loss=0.02, twice=0.02), seed=1) as link:
        assert exchange(link) >= 0.02
        assert link.lost > 0
        assert min(link.packets) > 50


def test_nothing_arrives_over_a_link_that_is_blocked() -> None:
    with BadLink(Quality(blocked="down")) as link:
        code = "import socket, sys; socket.create_connection((sys.argv[1], 7000), timeout=0.3)"
        tried = subprocess.run(
            [*link.near, sys.executable, "-c", code, link.far_address],
            capture_output=True,
            check=False,
        )
        assert b"TimeoutError" in tried.stderr
        assert link.lost > 0


def test_nothing_is_left_of_its_hosts() -> None:
    with BadLink() as link:
        names = {link.near[-1], link.far[-1]}
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True)
    assert not names & set(listed.stdout.split())
