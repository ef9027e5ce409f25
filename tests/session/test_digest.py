from __future__ import annotations

import numpy as np
import pytest

from rpcnb.core.errors import ArrayMismatch
from rpcnb.core.values import TypeCode
from rpcnb.session.digest import digest, digest_of
from rpcnb.session.local import LocalSession


@pytest.mark.parametrize("strided", [False, True])
def test_the_digest_is_that_of_the_bytes_in_c_order(strided) -> None:
    array = np.arange(3_000_000, dtype="u1").reshape(1000, 3000)
    array = array.T if strided else array
    content = array.tobytes()
    with LocalSession() as session:
        handle = session.handles.issue(array, TypeCode.ARRAY)
        assert digest(session, handle, 0, len(content)) == digest_of(content)
        assert digest(session, handle, 5, 2_000_000) == digest_of(content[5:2_000_005])
        with pytest.raises(ArrayMismatch):
            digest(session, handle, 1, len(content))
