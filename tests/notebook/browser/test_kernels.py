"""The panel on older kernels, each from the package index: where a button cannot work, words stand."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PANEL = "from rpcnb.notebook.panel import open_panel; open_panel(remote)"


@pytest.fixture
def kernel(request: pytest.FixtureRequest, site: Any, tmp_path: Path) -> str:
    """Install another ipykernel beside ours, and a kernelspec that puts it in front."""
    version = request.param
    wanted = [f"ipykernel=={version}", "nest-asyncio"]
    command = ["-m", "pip", "install", "--quiet", "--no-deps", "--target", str(tmp_path), *wanted]
    subprocess.run([sys.executable, *command], check=True, timeout=120)
    spec = {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": f"ipykernel {version}",
        "language": "python",
        "env": {"PYTHONPATH": str(tmp_path)},
    }
    name = f"ipykernel-{version}"
    folder = site.folder / "data" / "kernels" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "kernel.json").write_text(json.dumps(spec), "utf-8")
    return name


@pytest.mark.nightly
@pytest.mark.parametrize("kernel", ["6.31.0", "7.1.0", "7.3.0"], indirect=True)
def test_a_blocked_cell_can_be_stopped_on_every_kernel(
    open_notebook: Callable[..., Any], lab_address: str, kernel: str
) -> None:
    slow = "import ipykernel; print(ipykernel.__version__)\nremote.fn.lab.slow('', 200)"
    cells = [f"%load_ext rpcnb\n%connect_remote {lab_address}", PANEL, slow, "1 + 1"]
    notebook = open_notebook(cells, kernel=kernel)
    notebook.run(0)
    notebook.run(1)
    panel = notebook.output(1)
    panel.get_by_role("group", name="Session").get_by_text("● live").wait_for()
    notebook.start(2)
    calls = panel.get_by_role("grid", name="Calls")
    calls.get_by_role("progressbar").wait_for()
    button = calls.get_by_role("button", name=re.compile("^Cancel call"))
    words = calls.get_by_text("press I, I to stop")
    if kernel.startswith("ipykernel-6"):
        words.wait_for()
        assert button.count() == 0
        began = monotonic()
        notebook.press_stop()
    else:
        button.wait_for()  # as soon as a message came by a subshell, a second at most
        assert words.count() == 0
        began = monotonic()
        button.click()
    notebook.wait_text(2, "Remote(Cancelled|Interrupted).*confirmed")
    assert monotonic() - began < 2
    assert kernel.endswith(notebook.text(2).split()[0])
    notebook.wait_idle()
    assert notebook.run(3) == "2"
    assert notebook.complaints == []
