"""Packets of TVM's protocol for property tests."""

from __future__ import annotations

from hypothesis import strategies as st

from rpcnb.wire.tvm.packets import (
    SYSTEM_CALLS,
    Call,
    CopyAck,
    CopyFrom,
    CopyTo,
    InitServer,
    Raised,
    Result,
    Shutdown,
    SystemCall,
)
from rpcnb.wire.tvm.values import TVMDevice, TVMDType, TVMTensor

VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-9, 9), st.text(max_size=5), st.binary(max_size=5)
)
ARGS = st.lists(VALUES, max_size=3).map(tuple)
TENSOR = TVMTensor(0x1234, TVMDevice(1, 0), TVMDType(2, 32), (2, 3), 8)
TENSORS = st.sampled_from([TENSOR, TENSOR._replace(shape=()), TENSOR._replace(shape=(1,) * 32)])
PAYLOADS = st.binary(max_size=200).map(bytearray)
PACKETS = st.one_of(
    st.just(Shutdown()),
    st.builds(InitServer, ARGS),
    st.builds(Call, st.integers(0, 2**64 - 1), ARGS),
    st.builds(SystemCall, st.sampled_from(sorted(SYSTEM_CALLS)), ARGS),
    st.builds(CopyFrom, TENSORS, st.integers(0, 2**64 - 1)),
    st.builds(CopyTo, TENSORS, PAYLOADS),
    st.builds(Result, ARGS),
    st.builds(Raised, st.text(max_size=9).filter(lambda text: "\0" not in text)),
    st.builds(CopyAck, PAYLOADS),
)
