"""How much one peer may ask of the other: the numbers of SECURITY.md in one place.

Both sides apply them to what they receive. They may be lowered freely; raising one is a decision
of whoever runs that side, made in code, and never something the peer can bring about.
"""

from __future__ import annotations

from rpcnb.core.frozen import frozen

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


@frozen
class Limits:
    """Limits on what is received.  Units are bytes and seconds unless a name says otherwise."""

    frame_header: int = 64 * KIB
    """The msgpack part of one frame."""
    frame_payload: int = 16 * MIB
    """The raw part of one frame, and so the largest value passed by value."""
    depth: int = 16
    """Containers inside containers."""
    items: int = 1024
    """Items announced by one container of a header; longer lists travel in the payload."""
    objects: int = 2 * 1024 * 1024
    """Items of all containers of one message together: an empty list is a byte there and 56 here."""
    string: int = 32 * KIB
    """Bytes of a string or bytes object inside a header; longer ones travel in the payload."""
    ndim: int = 32
    """Dimensions of an array."""
    dtype_itemsize: int = 4 * KIB
    """Size of one element."""
    dtype_fields: int = 64
    """Fields of a structured dtype."""
    preauth_bytes: int = 16 * KIB
    """Everything a peer may send before it has proved that it knows the secret."""
    preauth_seconds: float = 10.0
    """How long it may take for that."""
    preauth_connections: int = 64
    """How many may be doing that at once."""
    preauth_per_address: int = 16
    """How many of them from one other machine."""
    calls_in_flight: int = 8192
    """Calls queued or running in one session."""
    handles: int = 1_000_000
    """Objects held for one session; reached only by a leak or an attack."""
    session_memory: int = 0
    """What a session's process may take; 0 is half of the machine's memory. Linux."""
    session_processes: int = 0
    """Processes and threads of one session, the worker's included; 0 is no bound. Linux."""
    upload_spool: int = 8 * GIB
    """What a session's uploaded files may take on disk."""
    error_text: int = 16 * KIB
    """Message or traceback of a remote error."""
    detached_sessions: int = 32
    """Sessions of one server that nobody is connected to; beyond that the oldest one ends."""
    sessions: int = 256
    """Sessions open on one server."""


DEFAULT_LIMITS = Limits()
"""What both sides use unless told otherwise."""
