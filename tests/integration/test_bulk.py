"""Large arrays: what else is said gets through at once, and memory stays where it was."""

from __future__ import annotations

import pytest

PROGRAM = """
import numpy as np
from pathlib import Path
size = {size}
def memory():
    lines = Path("/proc/self/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return [int(fields[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM")]
mine = np.empty(size // 8, "u8")
mine[...] = np.arange(len(mine), dtype="u8") << 7
there = remote("t.zeros")(size)
echo, far_memory, checksum = remote("t.echo"), remote("t.memory"), remote("t.checksum")
echo(0), session.ping(), far_memory(False), checksum(there)
base_there = far_memory(True)[0]
Path("/proc/self/clear_refs").write_text("5")
base_here = memory()[0]
figures = dict()
for way, method, args in (
    ("up", session.copy_to_remote, (mine.data.cast("B"), there, size)),
    ("down", session.copy_from_remote, (there, mine.data.cast("B"), size)),
):
    expected = int(np.bitwise_xor.reduce(mine))
    thread = threading.Thread(target=method, args=args)
    pings, calls, n = [], [], 0
    began = time.perf_counter()
    thread.start()
    while thread.is_alive():
        pings.append(session.ping())
        n += 1
        before = time.perf_counter()
        assert echo(n) == n
        calls.append(time.perf_counter() - before)
    took = time.perf_counter() - began
    assert checksum(there) == expected == int(np.bitwise_xor.reduce(mine))
    figures[way] = dict(
        seconds=took, count=n, ping=[max(pings), sorted(pings)[n // 2]],
        call=[max(calls), sorted(calls)[n // 2]],
    )
say(figures, memory()[1] - base_here, far_memory(False)[1] - base_there)
"""

MIB = 1 << 20


def measure(server, size: int) -> None:
    client = server.client(PROGRAM.format(size=size))
    figures, here, there = client.hear()
    assert client.end() == ""
    print(figures, f"{here / MIB:.1f} MiB more here, {there / MIB:.1f} MiB more there")
    for way, figure in figures.items():
        assert figure["count"] > 10, f"{way}: too few measurements"
        for what in ("ping", "call"):
            slowest, median = figure[what]
            report = (
                f"{what} during the {way}load: {median * 1e3:.1f} ms, at most {slowest * 1e3:.1f}"
            )
            assert slowest < 0.05, f"{report} ms; promised: 50 ms"
    assert here < 16 * MIB, f"the client took {here / MIB:.1f} MiB more; promised: 16 MiB"
    assert there < 16 * MIB, f"the worker took {there / MIB:.1f} MiB more; promised: 16 MiB"


def test_a_gibibyte_each_way_leaves_the_session_prompt_and_the_memory_alone(server) -> None:
    measure(server, 1 << 30)


@pytest.mark.nightly
def test_four_gibibytes_do_as_well(server) -> None:
    measure(server, 1 << 32)
