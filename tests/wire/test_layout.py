from __future__ import annotations

from dataclasses import MISSING, fields, is_dataclass

import pytest

from rpcnb.core.errors import DecodeError, ErrorInfo
from rpcnb.core.limits import DEFAULT_LIMITS
from rpcnb.core.values import ArrayRef, DenseArray, Handle
from rpcnb.wire.fields import LEAVES, NATURAL, TEXT
from rpcnb.wire.layout import MESSAGES, RECORDS, Entry, Layout, verify
from rpcnb.wire.messages import KIND_OF, Kind

LAYOUT = Layout(Entry("a", NATURAL), Entry("b", TEXT, "x"), Entry("c", NATURAL, 0))


def test_every_message_has_a_layout():
    assert set(MESSAGES) == set(Kind)


@pytest.mark.parametrize("cls", KIND_OF)
def test_a_layout_has_the_fields_and_defaults_of_its_message(cls):
    layout = MESSAGES[KIND_OF[cls]]
    if KIND_OF[cls] is Kind.RAISED:  # its one field is spread out
        assert layout is RECORDS[ErrorInfo]
        return
    own = [name for name in cls._fields if name not in {"id", "payload"}]
    if "payload" in cls._fields:
        own.remove("nbytes")
        assert list(layout.names) == own
        return
    assert list(layout.names) == own
    expected = [cls._field_defaults.get(name, NotImplemented) for name in own]
    sent_without = {"handles": (), "stream": 0}
    for name, default, given in zip(own, expected, layout.defaults, strict=True):
        assert given == (sent_without.get(name) if default is NotImplemented != given else default)


@pytest.mark.parametrize("cls", RECORDS)
def test_a_layout_has_the_fields_and_defaults_of_its_record(cls):
    assert is_dataclass(cls)
    assert [field.name for field in fields(cls)] == list(RECORDS[cls].names)
    for field, given in zip(fields(cls), RECORDS[cls].defaults, strict=True):
        missing = field.default is MISSING and field.default_factory is MISSING
        assert (given is NotImplemented) == missing
        if field.default is not MISSING:
            assert given == field.default


def test_every_value_that_is_a_record_has_a_layout():
    assert {cls for cls in LEAVES if is_dataclass(cls)} == set(RECORDS) - {ErrorInfo}


@pytest.mark.parametrize(
    ("values", "wire"),
    [
        ([1, "x", 0], [1]),
        ([0, "x", 0], [0]),
        ([1, "y", 0], [1, "y"]),
        ([1, "x", 2], [1, "x", 2]),
    ],
)
def test_defaults_at_the_end_are_not_sent(values, wire):
    assert LAYOUT.to_wire(values) == wire
    assert LAYOUT.from_wire(wire, DEFAULT_LIMITS) == values


def test_a_value_that_only_equals_the_default_is_sent():
    layout = Layout(Entry("a", NATURAL, 1))
    with pytest.raises(DecodeError):
        layout.to_wire([True])


@pytest.mark.parametrize("wire", [[], [1, "x", 0, 0], ["x"], [1, 2]])
def test_too_few_too_many_or_other_fields_are_refused(wire):
    with pytest.raises(DecodeError):
        LAYOUT.from_wire(wire, DEFAULT_LIMITS)


@pytest.mark.parametrize(
    "bad",
    [
        DenseArray("<f8", (2,), bytes(8)),
        DenseArray("<f8", (2,), bytes(24)),
        ArrayRef(Handle(1), (2, 3), strides=(8,)),
    ],
)
def test_sizes_that_do_not_belong_together_are_refused(bad):
    with pytest.raises(DecodeError):
        verify(bad, DEFAULT_LIMITS)


def test_sizes_that_belong_together_pass():
    verify(DenseArray("<f8", (), bytes(8)), DEFAULT_LIMITS)
    verify(ArrayRef(Handle(1), (2, 3), strides=(8, 4)), DEFAULT_LIMITS)
