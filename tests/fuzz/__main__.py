"""Fuzz one target with atheris, guided by what it covers: ``python tests/fuzz TARGET [SECONDS]``.

It begins with the corpus of this folder. With ``--keep``, what led further is added to that.
What breaks a target is written beside, as ``crash-…``; give it as a third
argument to see it again.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import atheris

with atheris.instrument_imports(include=["rpcnb.wire", "rpcnb.core"]):
    from targets import MOST_NBYTES, TARGETS

from cost import watched

CORPUS = Path(__file__).parent / "corpus"
"""A text file for each target: an input a line, in hexadecimal digits."""
KEPT, KEPT_NBYTES = 400, 256
"""Most inputs of a corpus, and most bytes of one."""


def unpack(target: str, folder: Path) -> None:
    """Write a corpus as libFuzzer wants it: a file for each input."""
    file = CORPUS / f"{target}.txt"
    for number, line in enumerate(file.read_text("ascii").split() if file.exists() else ()):
        (folder / f"{number:04}").write_bytes(bytes.fromhex(line))


def keep(target: str, folder: Path) -> None:
    """Keep the shortest of what is in `folder`: each of them has covered something first."""
    inputs = {file.read_bytes() for file in folder.iterdir()}
    short = sorted((data for data in inputs if len(data) <= KEPT_NBYTES), key=lambda d: (len(d), d))
    lines = [data.hex() for data in short[:KEPT] if data]
    (CORPUS / f"{target}.txt").write_text("\n".join(lines) + "\n", "ascii")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("seconds", nargs="?", type=int, default=60)
    parser.add_argument("--keep", action="store_true")
    args, again = parser.parse_known_args()
    if args.keep:  # the fuzzer ends its process
        with TemporaryDirectory() as folder:
            unpack(args.target, Path(folder))
            command = [sys.executable, __file__, args.target, str(args.seconds), folder]
            subprocess.run(command, check=True)
            keep(args.target, Path(folder))
        return
    options = [f"-max_total_time={args.seconds}", f"-max_len={MOST_NBYTES}", "-malloc_limit_mb=512"]
    options += ["-timeout=20", "-print_final_stats=1"]
    with TemporaryDirectory() as folder:
        unpack(args.target, Path(folder))
        atheris.Setup([sys.argv[0], *options, *(again or [folder])], watched(TARGETS[args.target]))
        atheris.Fuzz()


if __name__ == "__main__":
    main()
