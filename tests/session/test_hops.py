from __future__ import annotations

import pytest

from rpcnb.session.hops import MOST, Hop, read_hops

ROW = ["lab", "127.0.0.1:9090", 0.001]


def test_hops_cross_as_lists() -> None:
    hop = Hop("lab", "127.0.0.1:9090", 0.001)
    assert read_hops([list(hop)]) == (hop,)
    assert len(read_hops([ROW] * (MOST + 1))) == MOST


@pytest.mark.parametrize(
    "told", [None, 3, "lab", [None], [["lab"]], [ROW, ["lab", "there", "soon"]]]
)
def test_nonsense_tells_of_no_hop(told: object) -> None:
    assert read_hops(told) == ()
