from typing import Any

def pack_call(
    function: int, args: tuple[Any, ...], kwargs: dict[str, Any], most: int, codes: dict[type, int]
) -> bytes | None: ...
def pack_ref(code: int, fields: tuple[Any, ...], most: int) -> bytes | None: ...
def pack_return(value: object, most: int) -> bytes | None: ...
def pack_frame(
    kind: int, epoch: int, request: int, sequence: int, ack: int, header: bytes
) -> bytes: ...
def unpack_frame(
    buffer: memoryview,
    start: int,
    end: int,
    epoch: int,
    sequence: int,
    acked: int,
    sent: int,
    most: int,
    call_ref: Any,
    return_ref: Any,
    handles: Any,
) -> tuple[int, int, Any] | None: ...
