"""The guided fuzzer has wheels for some systems only; elsewhere the targets get bytes by chance."""

from __future__ import annotations

from importlib.util import find_spec

collect_ignore = [] if find_spec("atheris") else ["test_main.py"]
