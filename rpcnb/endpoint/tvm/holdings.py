"""`Holdings`: what a session holds on a TVM server, under numbers of our own.

Handles over there are addresses; they never leave this folder. A handle freed twice is noticed
here instead of crashing the server.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from rpcnb.core.errors import InvalidHandle
from rpcnb.core.values import ArrayRef, FunctionInfo, FunctionRef, Handle
from rpcnb.endpoint.client.housekeeper import HOUSEKEEPER
from rpcnb.endpoint.tvm import values as tvm_values
from rpcnb.endpoint.tvm.values import Held
from rpcnb.wire.tvm.packets import Code, SystemCall
from rpcnb.wire.tvm.values import TVMObject, TVMPointer, TVMTensor, TypeIndex

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.core.values import Ref, Value
    from rpcnb.endpoint.tvm.link import TVMLink
    from rpcnb.wire.tvm.packets import Packet


class Holdings:
    """Issues handles, and gives up what they stood for.  Each method is safe in any thread.

    Parameters
    ----------
    link : TVMLink
        Takes along what is given up.
    """

    def __init__(self, link: TVMLink) -> None:
        self._link = link
        self._handles = count(1)
        self.table: dict[int, Held] = {}
        self.bad_frees = 0

    def __len__(self) -> int:
        return len(self.table)

    def find(self, ref: Ref) -> Held:
        """Return what a ref stands for.

        Raises
        ------
        InvalidHandle
            It was freed, is unknown, or of another kind.
        """
        held = self.table.get(ref.handle)
        if held is None:
            message = f"handle {ref.handle} is unknown to this session, or was freed"
            raise InvalidHandle(message, handle=ref.handle, reason="freed")
        if held.ref.type_code is not ref.type_code:
            message = f"handle {ref.handle} is a {held.ref.type_code.name.lower()}"
            raise InvalidHandle(message, handle=ref.handle, reason="kind")
        return held

    def add_object(self, item: TVMObject, name: str = "", module: Held | None = None) -> Ref:
        """Issue a handle for something the server gave us."""
        handle = Handle(next(self._handles))
        ref: Ref | None = None
        if item.tensor is not None:
            ref = tvm_values.make_array_ref(handle, item.tensor, handle)
        ref = ref or tvm_values.make_ref(handle, item.type_index, name)
        tensor = item.tensor if isinstance(ref, ArrayRef) else None
        release = self._free_packet(item.pointer, item.type_index)
        self.table[handle] = Held(
            ref, item.type_index, item.pointer, tensor, release, module=module
        )
        return ref

    def add_memory(self, tensor: TVMTensor) -> ArrayRef:
        """Issue a handle for memory that this side allocated."""
        release = SystemCall(Code.DEV_FREE_DATA, (tensor.device, TVMPointer(tensor.data)))
        handle = Handle(next(self._handles))
        ref = tvm_values.make_array_ref(handle, tensor, handle)
        assert ref is not None  # only what has a spelling here is allocated
        self.table[handle] = Held(ref, TypeIndex.TENSOR, 0, tensor, release)
        return ref

    def add_view(self, array: ArrayRef, tensor: TVMTensor) -> ArrayRef:
        """Issue a handle for a part of an array, which keeps its memory alive."""
        held = self.find(array)
        base = held.base or held
        base.pins.append(False)
        handle = Handle(next(self._handles))
        ref = tvm_values.make_array_ref(handle, tensor, base.ref.handle)
        assert ref is not None  # as that of the array
        self.table[handle] = Held(ref, TypeIndex.TENSOR, 0, tensor, base=base)
        return ref

    def add_local(self, name: str, run: Callable[..., Value]) -> FunctionRef:
        """Issue a handle for a function of this side."""
        ref = FunctionRef(Handle(next(self._handles)), FunctionInfo(name))
        self.table[ref.handle] = Held(ref, run=run)
        return ref

    def free(self, handle: Handle, times: int = 1) -> None:
        """Leave it for the next request to take along.  Safe in finalizers."""
        held = self.table.pop(handle, None)
        self.bad_frees += times - 1 if held is not None else times
        if held is None:
            return
        root = held.base or held
        if root.pins.pop() and root.release is not None:
            self._link.released.append(root.release)
            HOUSEKEEPER.notice()

    def release(self, pointer: int, type_index: int) -> None:
        """Give up what nobody was told of."""
        packet = self._free_packet(pointer, type_index)
        if packet is not None:
            self._link.released.append(packet)

    def _free_packet(self, pointer: int, type_index: int) -> Packet | None:
        """Return the request that gives an object up; None for null."""
        if not pointer:
            return None
        args = self._link.wire.dialect.release_args(pointer, type_index)
        return SystemCall(Code.FREE_HANDLE, args)

    def clear(self) -> None:
        """Forget all: the server has ended."""
        self.table.clear()
