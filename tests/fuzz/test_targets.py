"""The targets themselves, with bytes by chance; `make fuzz` has a guided fuzzer do it for longer."""

from __future__ import annotations

import sys
from pathlib import Path

import msgpack
import pytest
from hypothesis import given, settings, strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from targets import TARGETS  # beside this file, which is no package


def pack(document: object) -> bytes:
    try:
        packed: bytes = msgpack.packb(document)
    except OverflowError:
        return b""
    return packed


documents = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats() | st.binary(max_size=20)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5)
    | st.builds(msgpack.ExtType, st.integers(0, 127), inner.map(pack)),
    max_leaves=20,
)  # fmt: skip


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
@settings(max_examples=200)
@given(data=st.binary(max_size=300))
def test_any_bytes_are_refused_in_a_documented_way(target, data) -> None:
    target(data)


@pytest.mark.parametrize("name", ["frames", "values"])
@settings(max_examples=200)
@given(start=st.binary(min_size=3, max_size=3), document=st.lists(documents, max_size=6))
def test_any_document_is_refused_in_a_documented_way(name, start, document) -> None:
    prefix = start[:2] + b"\0" if name == "frames" else b"\0"
    TARGETS[name](prefix + pack(document))
