"""Tests of `rpcnb.endpoint.serving.descriptors`, each in an interpreter of its own."""

from __future__ import annotations

import pytest

CODE = """
import resource
from rpcnb.endpoint.serving.descriptors import ensure_descriptors
resource.setrlimit(resource.RLIMIT_NOFILE, {before})
ensure_descriptors(100)
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [((256, 1024), "492 1024"), ((256, 400), "400 400"), ((1000, 1024), "1000 1024")],
)
def test_the_limit_is_raised_as_far_as_needed_and_allowed(run_python, before, after) -> None:
    assert run_python(CODE.format(before=before)).strip() == after
