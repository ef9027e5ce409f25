from __future__ import annotations

from importlib.util import find_spec

# Run by `make test-torch`, in an environment that has PyTorch.
collect_ignore = [] if find_spec("torch") else ["test_pytorch.py"]
