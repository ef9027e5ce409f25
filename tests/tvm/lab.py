"""The functions that SessionSuite's servers have, and one that takes its time."""

from __future__ import annotations

import time

from rpcnb.session.functions import REGISTRY
from rpcnb.testing.session_functions import register_all

register_all(REGISTRY)
REGISTRY.add("test.sleep", time.sleep)
