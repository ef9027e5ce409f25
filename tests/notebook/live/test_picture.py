from __future__ import annotations

import base64
import io

import numpy as np
from matplotlib.image import imread

from rpcnb.notebook.live.picture import MOST, data_url, png


def test_the_picture_has_the_colours_of_its_codes() -> None:
    codes = np.array([[2, 254], [0, 128]], np.uint8)
    pixels = (imread(io.BytesIO(png(codes)), format="png")[..., :3] * 255).round().astype(int)
    assert pixels[0, 0].tolist() == [0x44, 0x01, 0x54]
    assert pixels[0, 1].tolist() == [0xFD, 0xE7, 0x25]
    assert pixels[1, 0].tolist() == [255, 0, 255]
    assert pixels.shape == (2, 2, 3)


def test_a_picture_in_a_notebook_stays_small() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (256, 256), dtype=np.uint8)
    assert len(png(noise)) > MOST
    url = data_url(noise)
    assert url.startswith("data:image/png;base64,")
    assert len(base64.b64decode(url.partition(",")[2])) <= MOST
