"""A small PNG out of the inspector's codes, for displays that last."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

import numpy as np

MOST = 30_000
"""Bytes; a picture that takes more is made of every second row and column."""
VIRIDIS = "440154 472d7b 3b528b 2c728e 21918c 28ae80 5ec962 addc30 fde725"  # as static/colours.js
NAN_COLOUR = (255, 0, 255)


def data_url(codes: Any) -> str:
    """Return codes of `rpcnb.array.look`, two-dimensional and uint8, as a picture for ``src``."""
    data = png(codes)
    while len(data) > MOST:
        codes = codes[::2, ::2]
        data = png(codes)
    return "data:image/png;base64," + base64.b64encode(data).decode()


def png(codes: Any) -> bytes:
    """Return the file: a palette of 256 colours, one byte a pixel."""
    height, width = codes.shape
    rows = np.zeros((height, width + 1), np.uint8)  # each begins with its filter: none
    rows[:, 1:] = codes
    head = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    parts = ((b"IHDR", head), (b"PLTE", palette()), (b"IDAT", zlib.compress(rows.tobytes(), 9)))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in (*parts, (b"IEND", b"")))


def palette() -> bytes:
    """Return red, green and blue for each code."""
    anchors = np.array([[int(c[i : i + 2], 16) for i in (0, 2, 4)] for c in VIRIDIS.split()])
    places = np.clip((np.arange(256) - 2) / 252, 0, 1) * (len(anchors) - 1)
    colours = np.stack(
        [np.interp(places, np.arange(len(anchors)), anchors[:, channel]) for channel in range(3)], 1
    )
    colours[0] = NAN_COLOUR
    return colours.round().astype(np.uint8).tobytes()


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
