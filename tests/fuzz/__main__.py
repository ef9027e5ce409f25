"""Fuzz one target with atheris, guided by what it covers: ``python tests/fuzz TARGET [SECONDS]``.

What breaks a target is written beside, as ``crash-…``; give it as a third argument to see it again.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["rpcnb.wire", "rpcnb.core"]):
    from targets import MOST_NBYTES, TARGETS


def main() -> None:
    name, seconds, *again = [*sys.argv[1:], "60"][:3] if len(sys.argv) < 3 else sys.argv[1:]
    options = [sys.argv[0], f"-max_total_time={seconds}", f"-max_len={MOST_NBYTES}"]
    options += ["-rss_limit_mb=512", "-timeout=5", "-print_final_stats=1", *again]
    atheris.Setup(options, TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
