"""Copies whose connections are cut: bytes arrive whole, and little is sent again."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np
import pytest

from rpcnb.core.device import CPU
from rpcnb.core.errors import IntegrityError
from rpcnb.endpoint.client import socket_copies
from rpcnb.endpoint.client.connect import open_session
from rpcnb.endpoint.connection import SEND_AHEAD
from rpcnb.endpoint.serving.server import Server
from rpcnb.endpoint.transfer import PIECES_AHEAD
from rpcnb.session.digest import digest_of
from rpcnb.session.functions import FunctionRegistry
from rpcnb.testing import Fault, FaultProxy, random_cuts

if TYPE_CHECKING:
    from rpcnb.core.values import ArrayRef

NBYTES = 8 * SEND_AHEAD + 12345
CUTS = 5
MOST_AGAIN = PIECES_AHEAD * SEND_AHEAD + 64 * 1024
"""Bytes sent again for each cut at most: the pieces ahead, with headers and a few small frames."""


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("RPCNB_SHARED_MEMORY", "off")
    path = tmp_path / "server.json"
    with Server(registry=FunctionRegistry(), in_process=True, connection_file=path) as server:
        yield server


def content(seed: int) -> bytearray:
    return bytearray(random.Random(seed).randbytes(NBYTES))


def allocate(session) -> ArrayRef:
    return session.get_device_api(CPU).alloc_data(CPU, (NBYTES,), "|u1")


@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize("seed", range(3))
def test_a_copy_that_is_cut_arrives_whole_and_little_is_sent_again(server, direction, seed) -> None:
    plan = random_cuts(seed, NBYTES // 2, CUTS, direction)
    with (
        FaultProxy(server.url, plan) as way,
        open_session(way.url, token=server.token) as session,
    ):
        array, sent, back = allocate(session), content(seed), bytearray(NBYTES)
        session.copy_to_remote(sent, array, NBYTES)
        session.copy_from_remote(array, back, NBYTES)
        assert back == sent
        figures = session.statistics()
        assert figures["connections"] >= 2
        moved = way.nbytes[direction] - NBYTES
        assert moved <= (figures["connections"] - 1) * MOST_AGAIN + 64 * 1024


def cut_in_both(number: int) -> list[Fault]:
    """Cut the first copy, and the one that follows because of it."""
    at = {0: 3 * SEND_AHEAD, 1: NBYTES + SEND_AHEAD}
    return [Fault("cut", at[number])] if number in at else []


def test_a_copy_that_was_cut_is_compared_and_made_again(server, monkeypatch) -> None:
    """The digests differ once, as if a byte had been altered on its way."""
    answers = [b"another", None]
    monkeypatch.setattr(socket_copies, "digest_of", lambda data: answers.pop(0) or digest_of(data))
    with (
        FaultProxy(server.url, cut_in_both) as way,
        open_session(way.url, token=server.token) as session,
    ):
        session.copy_to_remote(content(1), allocate(session), NBYTES)
        assert answers == []
        assert way.faults == 2
        assert way.nbytes["up"] > 2 * NBYTES


def test_bytes_that_differ_twice_are_an_error(server, monkeypatch) -> None:
    monkeypatch.setattr(socket_copies, "digest_of", lambda data: b"another")
    with (
        FaultProxy(server.url, cut_in_both) as way,
        open_session(way.url, token=server.token) as session,
        pytest.raises(IntegrityError, match="differ"),
    ):
        session.copy_to_remote(content(1), allocate(session), NBYTES)


def test_memory_is_let_go_when_the_copy_is_done(server) -> None:
    with open_session(server.url, token=server.token) as session:
        array, sent = allocate(session), content(0)
        session.copy_to_remote(sent, array, NBYTES)
        sent.clear()  # raises while anybody refers to it


def test_a_copy_without_a_cut_sends_nothing_again(server) -> None:
    with open_session(server.url, token=server.token) as session:
        array = allocate(session)
        session.copy_to_remote(np.arange(NBYTES, dtype="u1"), array, NBYTES)
        assert session.statistics()["bytes_resent"] == 0
