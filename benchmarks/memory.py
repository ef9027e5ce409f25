"""How much memory a process has; Linux tells by itself, other systems through psutil."""

from __future__ import annotations

from pathlib import Path


def resident_bytes(pid: int) -> int:
    """Return what is in memory, shared with other processes or not."""
    fields = _kibibytes(Path(f"/proc/{pid}/status"))
    if fields:
        return fields["VmRSS"] * 1024
    import psutil

    return int(psutil.Process(pid).memory_info().rss)


def private_bytes(pid: int) -> int:
    """Return what would be free if the process ended: what a fork has not in common."""
    fields = _kibibytes(Path(f"/proc/{pid}/smaps_rollup"))
    if fields:
        return (fields["Private_Clean"] + fields["Private_Dirty"]) * 1024
    import psutil

    return int(psutil.Process(pid).memory_full_info().uss)


def _kibibytes(path: Path) -> dict[str, int]:
    """Read the lines like ``VmRSS:  1234 kB``; nothing where there is no such file."""
    if not path.exists():
        return {}
    fields = {}
    for line in path.read_text().splitlines():
        name, _, rest = line.partition(":")
        number = rest.split()
        if number[1:] == ["kB"]:
            fields[name] = int(number[0])
    return fields
