"""`python -m rpcnb` does what the command `rpcnb` does."""

from __future__ import annotations

from rpcnb.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
