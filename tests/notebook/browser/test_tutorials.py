"""The notebooks for people, run side by side, for most of the time they wait.

In JupyterLab at each commit; in Notebook 7, whose kernels and outputs are the same, every night.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOTEBOOKS = Path(__file__).parents[3] / "notebooks"
TUTORIALS = [
    "01_quickstart.ipynb",
    "02_arrays.ipynb",
    "03_async_progress_cancel.ipynb",
    "06_sessions_and_chains.ipynb",
    "07_tvm_device.ipynb",
]
PATIENCE = 50.0
"""Seconds in which all have run."""


@pytest.fixture
def demo_address(site: Any) -> Iterator[str]:
    """Serve what the first notebooks ask for."""
    serve = ["-m", "rpcnb", "serve", "rpcnb.demo.functions", "--name=demo", "--port=0"]
    process = subprocess.Popen(
        [sys.executable, *serve, "--allow-module=scipy.signal"],
        env=site.environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        assert process.stdout is not None
        found = re.search(r"127\.0\.0\.1:\d+", process.stdout.readline())
        assert found
        yield found[0]
        process.terminate()


class Outputs:
    """What the cells of a saved notebook show."""

    def __init__(self, path: Path) -> None:
        self._notebook = nbformat.read(path, as_version=4)

    def __getitem__(self, source: str) -> str:
        """Return the text of the one cell that contains `source`."""
        cells = self._notebook.cells
        (cell,) = [c for c in cells if c.cell_type == "code" and source in c.source]
        return "\n".join(o.get("text") or o.data.get("text/plain", "") for o in cell.outputs)

    def failures(self) -> list[str]:
        """Return the cells that ended with an error, or did not run."""
        code = [c for c in self._notebook.cells if c.cell_type == "code"]
        failed = [c for c in code if any(o.output_type == "error" for o in c.outputs)]
        return [c.source for c in code if c in failed or c.execution_count is None]


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", ["lab", pytest.param("notebook", marks=pytest.mark.nightly)])
def test_all_run_without_complaint_and_stay_on_this_machine(
    open_notebook: Callable[..., Any], demo_address: str, kind: str
) -> None:
    opened = {}
    for name in TUTORIALS:
        text = (NOTEBOOKS / name).read_text("utf-8").replace("127.0.0.1:9090", demo_address)
        opened[name] = open_notebook(nbformat.reads(text, as_version=4), kind=kind)
        opened[name].run_all()
    for notebook in opened.values():
        notebook.page.bring_to_front()
        notebook.wait_idle(PATIENCE)
        notebook.save()
    failures = {name: Outputs(notebook.path).failures() for name, notebook in opened.items()}
    assert failures == {name: [] for name in TUTORIALS}
    assert {n: o.complaints for n, o in opened.items() if o.complaints} == {}
    assert {n: o.outside for n, o in opened.items() if o.outside} == {}
    check_quickstart(Outputs(opened[TUTORIALS[0]].path))
    check_arrays(Outputs(opened[TUTORIALS[1]].path))
    check_calls(Outputs(opened[TUTORIALS[2]].path))
    check_sessions(Outputs(opened[TUTORIALS[3]].path))
    check_tvm_device(Outputs(opened[TUTORIALS[4]].path))


def check_quickstart(shown: Outputs) -> None:
    assert "8 functions on demo" in shown["remote.functions"]
    assert "u8[1281, 1920, 3]" in shown["picture = remote.array"]
    assert "blurred 1281 x 1920 pixels" in shown["blurred = blur("]
    assert "u8[600, 900, 3]" in shown["middle = blurred["]
    assert "a.to_numpy()" in shown["np.asarray(blurred)"]
    assert "blurred 427 x 640" in shown["await call"]
    assert shown["counting.cancel()"].endswith("True")
    assert "cancelled" in shown["RemoteCancelled"]
    assert shown["islice("] == "[2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47]"
    assert "slope 2.9" in shown["callback=note"]
    assert "Remote traceback" in shown['sigma="wide"']
    assert "11 handles" in shown["garden.free()"]
    assert "disconnected from demo" in shown["%disconnect_remote"]


def check_arrays(shown: Outputs) -> None:
    assert "f64[1797, 64] 898.5 KiB ∈ [0, 16]" in shown["X.summary()"]
    assert "f64[1797, 2]" in shown["pca.transform(X)"]
    assert "as here: True" in shown["fit_transform(digits.data)"]
    assert "f64[427, 640]" in shown["fftshift"]
    assert "shares memory: True | masked copy: False" in shown["view += 100"]
    assert "pins=2097152" in shown["del big"]
    assert shown["corner.copy()"] == "[24]"
    assert "898.5 KiB" in shown["except rpcnb.ImplicitTransferError"]
    assert "(1797, 64)" in shown["implicit_transfers"]


def check_calls(shown: Outputs) -> None:
    assert "counting 20/20 (100%)" in shown["count(20, seconds=0.05)"]
    assert "running" in shown["count.submit(40"]
    assert "/40 (" in shown["call.progress"]
    assert shown["result = await call"].endswith("40")
    assert shown["asyncio.gather"].startswith("[10, 10, 10] in ")
    assert "stopped: True" in shown["long.cancel()"]
    assert "(confirmed by lab)" in shown["signal.SIGINT"]
    assert shown["count(1, seconds=0)"] == "1"
    assert "time was up" in shown["timeout=0.5"]
    assert "good enough after 14 epochs" in shown["StopIteration"]
    assert shown["demo.primes"].strip().endswith("43 47")
    assert "◌ running" in shown["blur.submit"]
    assert "✕ raised" in shown["blur.submit"]
    assert "⊘ cancelled" in shown["slow.cancel()"]
    assert shown["server.wait()"].endswith("0")


def check_sessions(shown: Outputs) -> None:
    assert shown["image, same"].count("RemoteArray u16[200, 300]") == 2
    assert "through the gateway" in shown["there_and_back(near)"]
    assert "crossed 2 sessions" in shown['sigma="wide"']
    assert "cannot be used on 'near'" in shown["a + b"]
    assert shown["%%remote near\nwho"] == "'the one who came directly'"
    assert shown["here != there"] == "True"
    assert "spread(values, factor: float = 2.0)" in shown["print(far.fn.spread)"]
    assert "killed by SIGKILL" in shown["near.fn.crash()"]
    assert "0 handles" in shown["near.handles"]
    assert "array([0, 1, 2])" in shown["local:"]


def check_tvm_device(shown: Outputs) -> None:
    """See that a TVM server was there; tests/tvm/test_notebook.py looks at the rest."""
    assert shown["add_one(41)"] == "42"
    assert "rpc.test.addone" in shown["remote.handles"]
    assert "CopyFrom" in shown["rpcnb.tvm.trace"]
