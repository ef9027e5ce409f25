"""The notebooks that start servers of their own, run from top to bottom."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parent.parent.parent / "notebooks"


class Ran:
    """A notebook that was run."""

    def __init__(self, name: str) -> None:
        self.notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
        NotebookClient(self.notebook, timeout=50, kernel_name="python3").execute()

    def __getitem__(self, source: str) -> str:
        """Return what the one cell that contains `source` shows, as text."""
        code = [c for c in self.notebook.cells if c.cell_type == "code" and source in c.source]
        (cell,) = code
        return "\n".join(o.get("text") or o.data.get("text/plain", "") for o in cell.outputs)


@pytest.mark.slow
def test_the_notebook_about_calls_does_what_it_says(folders: None) -> None:
    ran = Ran("03_async_progress_cancel.ipynb")
    assert "counting 20/20 (100%)" in ran["count(20, seconds=0.05)"]
    assert "running" in ran["count.submit(40"]
    assert "/40 (" in ran["call.progress"]
    assert ran["result = await call"].endswith("40")
    assert ran["asyncio.gather"].startswith("[10, 10, 10] in 1.")
    assert "stopped: True" in ran["long.cancel()"]
    assert "(confirmed by lab)" in ran["signal.SIGINT"]
    assert ran["count(1, seconds=0)"] == "1"
    assert "time was up" in ran["timeout=0.5"]
    assert "good enough after 14 epochs" in ran["StopIteration"]
    assert ran["demo.primes"].strip().endswith("43 47")
    assert "◌ running" in ran["blur.submit"]
    assert "✕ raised" in ran["blur.submit"]
    assert "⊘ cancelled" in ran["slow.cancel()"]
    assert ran["server.wait()"].endswith("0")


@pytest.mark.slow
def test_the_notebook_about_sessions_does_what_it_says(folders: None) -> None:
    ran = Ran("06_sessions_and_chains.ipynb")
    assert ran["image, same"].count("RemoteArray u16[200, 300]") == 2
    assert "through the gateway" in ran["there_and_back(near)"]
    assert "crossed 2 sessions" in ran['sigma="wide"']
    assert "cannot be used on 'near'" in ran["a + b"]
    assert ran["%%remote near\nwho"] == "'the one who came directly'"
    assert ran["here != there"] == "True"
    assert "spread(values, factor: float = 2.0)" in ran["print(far.fn.spread)"]
    assert "killed by SIGKILL" in ran["near.fn.crash()"]
    assert "array([-2.,  0.,  2.,  4.,  6.])" in ran["near.fn.crash()"]
    assert "0 handles" in ran["near.handles"]
    assert "array([0, 1, 2])" in ran["local:"]


@pytest.mark.slow
def test_the_notebook_about_handles_does_what_it_says(folders: None) -> None:
    ran = Ran("04_handles_and_lifetimes.ipynb")
    assert "f64[1, 131072] 1.0 MiB" in ran["a = make(1)"]
    assert ran["del a"].startswith("1,048,576 bytes over there")
    assert ran["xdel"] == "0 bytes over there\n"
    assert "a view that keeps 8,388,608 bytes alive" in ran["corner = big["]
    assert ran["corner.copy()"] == "80 bytes over there\n"
    assert ran["kept = ["] == "7 MiB over there\n"
    assert ran["del kept"] == "1 MiB over there\n"
    assert "(freed)> was freed" in ran["with make(1)"]
    assert "disconnected from lab" in ran["%disconnect_remote"]


@pytest.mark.slow
def test_the_notebook_about_looking_does_what_it_says(folders: None) -> None:
    ran = Ran("05_look_into_arrays.ipynb")
    assert "16 MiB stay there, 193 KiB moved" in ran["def moved"]
    assert ran["xp.isnan"] == "[682, 512]"
    assert "nan" in ran["row, column = place"]
    assert "1.003]" in ran["a[1024, 1638] = 0"]
    assert "f32[8, 256, 256]" in ran["film.inspect()"]
    assert ran["planes ="].count("(64, 64)") == 3
