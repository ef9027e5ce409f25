"""Tests of `rpcnb.wire.resumable`: two sides, bytes that get lost, and nothing that does."""

from __future__ import annotations

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from rpcnb.core.errors import RemoteProtocolError
from rpcnb.wire.journal import SPACING, read_resume, resume_frame
from rpcnb.wire.messages import (
    CallFunc,
    CopyData,
    CopyToRemote,
    FreeHandles,
    Output,
    Ping,
    Return,
    Side,
)
from rpcnb.wire.resumable import NEWEST_EPOCH, ResumableV1


class End:
    """One side: what it said, what it heard, and the bytes on their way to the other."""

    def __init__(self, side: Side) -> None:
        self.wire = ResumableV1(side)
        self.said: list[object] = []
        self.heard: list[object] = []
        self.on_the_way = bytearray()

    def say(self, message) -> None:
        self.said.append(message)
        for buffer in self.wire.frame(self.wire.prepare(message)):
            self.on_the_way += buffer

    def call(self, kind, request, header) -> None:
        data = self.wire.quick_frame(kind, request, header)
        assert data is not None
        self.on_the_way += data

    def hear(self, data: bytes) -> None:
        for message in self.wire.receive_data(data):
            if type(message) is Ping and message.id == 0:  # asked for an acknowledgement
                continue
            payload = getattr(message, "payload", None)
            self.heard.append(
                message if payload is None else message._replace(payload=bytes(payload))
            )


def resume(ends: tuple[End, End], epoch: int) -> None:
    received = [end.wire.cut() for end in ends]
    for end, other in zip(ends, reversed(received), strict=True):
        end.on_the_way.clear()
        for buffer in end.wire.resume(epoch, read_resume(resume_frame(epoch, other), epoch)):
            end.on_the_way += buffer


class Resuming(RuleBasedStateMachine):
    """Any words, cut anywhere: what was said is heard, once, in order."""

    @initialize()
    def connect(self) -> None:
        self.client, self.server = self.ends = End(Side.CLIENT), End(Side.SERVER)
        self.epoch = 1

    @rule(count=st.integers(1, 2 * SPACING), value=st.integers())
    def calls(self, count, value) -> None:
        for number in range(count):
            message = CallFunc(number, 1, (value,), {})
            header = self.client.wire.quick_call(1, (value,), {})
            if header is None:
                self.client.say(message)
            else:
                self.client.said.append(message)
                self.client.call(2, number, header)

    # What is no text to look at arrives in another form: see `rpcnb.wire.text`.
    @rule(text=st.text(st.characters(categories=["L", "N", "P", "S"]), max_size=20_000))
    def prints(self, text) -> None:
        self.server.say(Output(1, "stdout", text))

    @rule(count=st.integers(1, 3))
    def results(self, count) -> None:
        for number in range(count):
            self.server.say(Return(number, {"a": [number]}))

    @rule(nbytes=st.integers(0, 100_000))
    def uploads(self, nbytes) -> None:
        self.client.say(CopyToRemote(9, 1, 0, nbytes, True, bytes(nbytes)))

    @rule(nbytes=st.integers(0, 100_000))
    def downloads(self, nbytes) -> None:
        self.server.say(CopyData(9, 0, nbytes, True, bytes(nbytes)))

    @rule()
    def frees(self) -> None:
        self.client.say(FreeHandles(((1, 2, 3),)))

    @rule(up=st.floats(0, 1), down=st.floats(0, 1))
    def moves(self, up, down) -> None:
        for sender, receiver, part in (
            (self.client, self.server, up),
            (self.server, self.client, down),
        ):
            nbytes = int(part * len(sender.on_the_way))
            data = bytes(sender.on_the_way[:nbytes])
            del sender.on_the_way[:nbytes]
            receiver.hear(data)

    @rule()
    def cut(self) -> None:
        self.epoch += 1
        resume(self.ends, self.epoch)

    @rule()
    def settles(self) -> None:
        self.moves(1.0, 1.0)
        assert self.server.heard == self.client.said
        assert self.client.heard == self.server.said

    @invariant()
    def nothing_is_heard_twice_or_out_of_order(self) -> None:
        assert self.server.heard == self.client.said[: len(self.server.heard)]
        assert self.client.heard == self.server.said[: len(self.client.heard)]

    def teardown(self) -> None:
        self.cut()
        self.settles()


TestResuming = Resuming.TestCase
TestResuming.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


@pytest.mark.nightly
class TestResumingAtLength(Resuming.TestCase):
    settings = settings(max_examples=8_000, stateful_step_count=60, deadline=None)


def test_a_side_that_hears_nothing_asks_for_an_acknowledgement() -> None:
    server, client = End(Side.SERVER), End(Side.CLIENT)
    for _ in range(SPACING):
        server.say(Output(1, "stdout", "x"))
    messages = client.wire.receive_data(bytes(server.on_the_way))
    assert messages[-1] == Ping(0)
    client.say(Ping(1))
    server.hear(bytes(client.on_the_way))
    for _ in range(SPACING - 1):
        server.say(Output(1, "stdout", "x"))
    assert len(server.wire.journal) < SPACING


def test_an_acknowledgement_lets_go_of_the_callers_memory() -> None:
    client, server = End(Side.CLIENT), End(Side.SERVER)
    memory = bytearray(1000)
    client.say(CopyToRemote(1, 1, 0, 1000, True, memoryview(memory)))
    server.hear(bytes(client.on_the_way))
    client.said.clear()
    with pytest.raises(BufferError):
        memory.clear()
    header = server.wire.quick_return(1000)
    server.call(0x11, 1, header)
    client.hear(bytes(server.on_the_way))
    assert client.heard == [Return(1, 1000)]
    memory.clear()


def test_an_argument_may_be_changed_as_soon_as_it_is_sent() -> None:
    client, server = End(Side.CLIENT), End(Side.SERVER)
    client.say(CallFunc(1, 1, (b"x" * 100_000,)))
    client.wire.cut()
    frames = client.wire.resume(2, 0)
    assert all(isinstance(buffer, bytes) for buffer in frames)
    server.wire.resume(2, 0)
    for frame in frames:
        server.hear(frame)
    assert server.heard == [CallFunc(1, 1, (b"x" * 100_000,))]


@pytest.mark.parametrize("epoch", [0, 1, NEWEST_EPOCH + 1])
def test_an_epoch_must_be_a_later_one(epoch) -> None:
    with pytest.raises(RemoteProtocolError, match=f"epoch {epoch}"):
        ResumableV1(Side.CLIENT).resume(epoch, 0)


def test_frames_of_an_old_epoch_are_refused() -> None:
    client, server = End(Side.CLIENT), End(Side.SERVER)
    client.say(Ping(1))
    stale = bytes(client.on_the_way)
    resume((client, server), 2)
    with pytest.raises(RemoteProtocolError, match="epoch 1, not 0 and 2"):
        server.hear(stale)


def test_what_was_sent_again_is_counted() -> None:
    client, server = End(Side.CLIENT), End(Side.SERVER)
    client.say(Ping(1))
    client.say(Ping(2))
    server.hear(bytes(client.on_the_way[:36]))
    resume((client, server), 2)
    assert client.wire.resent_nbytes == 36
    assert server.wire.resent_nbytes == 0
