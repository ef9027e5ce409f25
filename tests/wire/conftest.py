from __future__ import annotations

from rpcnb.core.version import is_compiled

# What is compiled has tests of its own where it is: `make test-native`.
collect_ignore = [] if is_compiled() else ["test_quick.py"]
