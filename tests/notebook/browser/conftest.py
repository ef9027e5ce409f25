"""JupyterLab and Notebook 7 in Chromium, driven as by a person.

One Jupyter server for the whole run, one browser for each module: Playwright's synchronous
interface keeps an event loop running in its thread, which nobody else's `asyncio.run` survives.

``notebook = open_notebook([source, …])`` opens a notebook with those code cells, or a file of that
path; ``kind="notebook"`` takes Notebook 7 instead of JupyterLab. Cells count from 0.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import urllib.request
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.parse import urlsplit

import nbformat
import pytest
from playwright.sync_api import TimeoutError as PlaywrightTimeout, sync_playwright

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import BrowserContext, Locator, Page

WAIT = 30.0
"""Seconds after which something that has not happened has failed."""
PATIENCE = 180
"""Seconds for a test with all it starts."""
LOOPBACK = {"127.0.0.1", "localhost", None}
PICTURES = Path(__file__).parents[3] / "build" / "pictures"
"""Where pictures are kept for a person to look at; git ignores it."""

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    # No name but the loopback's resolves: what asks for another is seen, and gets nothing.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
]
SETTINGS = {
    "@jupyterlab/apputils-extension/notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
        "doNotDisturbMode": True,
    },
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},  # every cell in the DOM
}
NOT_OURS = (
    "Cannot read properties of undefined (reading 'schema')",  # Notebook 7, at every start
    "Command 'filebrowser:open-path' not registered",  # likewise
    "yjs#509",
)
READY = """() => {
  const panel = document.querySelector('.jp-NotebookPanel:not(.lm-mod-hidden)');
  const name = panel && panel.querySelector('[data-jp-item-name="kernelName"]');
  if (!name || !name.innerText.trim() || /No Kernel/.test(name.innerText)) return false;
  const widget = window.jupyterapp && window.jupyterapp.shell.currentWidget;
  const session = widget && widget.context && widget.context.sessionContext;
  if (!session) return false;
  const kernel = session.session && session.session.kernel;
  return session.isReady && kernel && kernel.connectionStatus === 'connected';
}"""
PROMPT = ".jp-InputPrompt"
IDLE = """() => {
  const panel = document.querySelector('.jp-NotebookPanel:not(.lm-mod-hidden)');
  const light = panel && panel.querySelector('.jp-Notebook-ExecutionIndicator');
  const prompts = [...panel.querySelectorAll('.jp-InputArea-prompt')];
  return light && light.dataset.status === 'idle'
    && !prompts.some((prompt) => prompt.textContent.includes('*'));
}"""
HAS_RUN = f"([cell, before]) => cell.querySelector({PROMPT!r}).textContent !== before && ({IDLE})()"


class Site:
    """A Jupyter server that serves both front ends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.notebooks = folder / "notebooks"
        self.notebooks.mkdir()
        self.token = secrets.token_hex(16)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        for name, values in SETTINGS.items():
            path = folder / "settings" / f"{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(values), "utf-8")
        self.environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "JUPYTER_PREFER_ENV_PATH": "1",
            "JUPYTER_PLATFORM_DIRS": "1",
        }
        for name in ("SETTINGS", "WORKSPACES"):
            self.environment[f"JUPYTERLAB_{name}_DIR"] = str(folder / name.lower())
        for name in ("RUNTIME", "CONFIG", "DATA"):
            self.environment[f"JUPYTER_{name}_DIR"] = str(folder / name.lower())
        self.environment["IPYTHONDIR"] = str(folder / "ipython")
        self.environment["RPCNB_RUNTIME_DIR"] = str(folder / "rpcnb")

    def command(self) -> list[str]:
        return [
            sys.executable,
            "-m",
            "jupyterlab",
            "--no-browser",
            f"--port={self.port}",
            "--ServerApp.ip=127.0.0.1",
            "--ServerApp.port_retries=0",
            "--ServerApp.allow_root=True",
            f"--ServerApp.root_dir={self.notebooks}",
            f"--IdentityProvider.token={self.token}",
            "--LabApp.expose_app_in_browser=True",
            "--JupyterNotebookApp.expose_app_in_browser=True",
            "--LabApp.extension_manager=readonly",
            "--LabApp.news_url=None",
        ]

    def ask(self, path: str, method: str = "GET") -> Any:
        """Talk to the server's own interface."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/{path}",
            method=method,
            headers={"Authorization": f"token {self.token}"},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=WAIT) as answer:
            return json.loads(answer.read() or "null")

    def answers(self) -> bool:
        try:
            return bool(self.ask("status"))
        except (URLError, ConnectionError):
            return False

    def url(self, name: str, kind: str) -> str:
        where = {"lab": f"lab/tree/{name}?reset&", "notebook": f"notebooks/{name}?"}[kind]
        return f"http://127.0.0.1:{self.port}/{where}token={self.token}"


class Notebook:
    """A notebook that is open in the browser."""

    def __init__(self, page: Page, site: Site, kind: str, path: Path) -> None:
        self.page = page
        self.site = site
        self.kind = kind
        self.path = path
        self.complaints: list[str] = []
        """Errors on the browser's console, those of the front ends themselves left out."""
        self.outside: list[str] = []
        """Requests that would have left this machine."""
        page.on("console", self._note_console)
        page.on("pageerror", lambda error: self._complain(str(error)))
        page.on("request", self._note_request)

    def _note_console(self, message: Any) -> None:
        if message.type == "error":
            self._complain(message.text)

    def _complain(self, text: str) -> None:
        if not any(known in text for known in NOT_OURS):
            self.complaints.append(text)

    def _note_request(self, request: Any) -> None:
        address = urlsplit(request.url)
        if address.scheme in {"http", "https", "ws", "wss"} and address.hostname not in LOOPBACK:
            self.outside.append(request.url)

    # --- places ---------------------------------------------------------------------------------

    @property
    def panel(self) -> Locator:
        return self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)").first

    def cell(self, index: int) -> Locator:
        return self.panel.locator(".jp-Cell").nth(index)

    def output(self, index: int) -> Locator:
        return self.cell(index).locator(".jp-OutputArea").first

    def text(self, index: int) -> str:
        """Return what a cell shows, without the prompts."""
        return "\n".join(self.output(index).locator(".jp-OutputArea-output").all_inner_texts())

    def tracebacks(self) -> dict[int, str]:
        """Return the cells that show a traceback."""
        texts = {i: self.text(i) for i in range(self.panel.locator(".jp-Cell").count())}
        return {i: text for i, text in texts.items() if "Traceback (most recent" in text}

    # --- waiting --------------------------------------------------------------------------------

    def wait_ready(self) -> None:
        self.panel.locator(".jp-Cell").first.wait_for(state="visible")
        self.page.wait_for_function(READY)
        self.wait_idle()

    def wait_idle(self, timeout: float = WAIT) -> None:
        """Wait until no cell runs or is queued; it must have stayed so for 0.3 s."""
        for _ in range(2):
            self.page.wait_for_function(IDLE, timeout=timeout * 1000)
            self.page.wait_for_timeout(300)
        self.page.wait_for_function(IDLE, timeout=timeout * 1000)

    def wait_text(self, index: int, pattern: str, timeout: float = WAIT) -> str:
        """Wait until what a cell shows matches; return the match."""
        end = monotonic() + timeout
        while True:
            text = self.text(index)
            found = re.search(pattern, text)
            if found:
                return found[0]
            if monotonic() > end:
                raise PlaywrightTimeout(f"cell {index} never showed {pattern!r} but:\n{text}")
            self.page.wait_for_timeout(30)

    # --- doing ----------------------------------------------------------------------------------

    def run_all(self) -> None:
        bar = self.page.locator(".lm-MenuBar-item").filter(has_text=re.compile("^Run$"))
        bar.click()
        entry = self.page.locator(".lm-Menu-item").filter(has_text=re.compile("^Run All Cells"))
        entry.first.click()

    def start(self, index: int) -> None:
        """Run a cell and do not wait for it."""
        cell = self.cell(index)
        cell.scroll_into_view_if_needed()
        cell.locator(".cm-content").first.click()
        self.page.keyboard.press("Control+Enter")

    def run(self, index: int, timeout: float = WAIT) -> str:
        """Run a cell, wait for it, return what it shows."""
        cell = self.cell(index).element_handle()
        before = self.cell(index).locator(PROMPT).first.text_content()
        self.start(index)
        self.page.wait_for_function(HAS_RUN, arg=[cell, before], timeout=timeout * 1000)
        return self.text(index)

    def write(self, index: int, source: str) -> None:
        """Replace the source of a cell."""
        self.cell(index).locator(".cm-content").first.click()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.insert_text(source)

    def execute(self, index: int, source: str, timeout: float = WAIT) -> str:
        """Write a cell, run it, return what it shows."""
        self.write(index, source)
        return self.run(index, timeout)

    def press_stop(self) -> None:
        button = self.panel.locator('[data-jp-item-name="interrupt"]').first
        button.locator("jp-button, button").first.click()

    def save(self) -> None:
        """Save it; return when it is in its file."""
        self.page.evaluate("() => window.jupyterapp.shell.currentWidget.context.save()")

    def sources(self) -> list[str]:
        """Return the source of each cell: what a stray key would change."""
        return [cell.inner_text() for cell in self.panel.locator(".jp-Cell .cm-content").all()]

    # --- looking --------------------------------------------------------------------------------

    def use_theme(self, name: str) -> None:
        """Switch to ``light`` or ``dark``."""
        theme = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}[name]
        self.page.evaluate(
            "(theme) => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", theme
        )
        self.page.wait_for_function(
            "(light) => document.body.dataset.jpThemeLight === light",
            arg=str(name == "light").lower(),
        )
        self.page.locator("#jupyterlab-splash").wait_for(state="detached")

    def picture(self, name: str, cell: int) -> Path:
        """Keep a picture of a cell."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        path = PICTURES / f"{name}.png"
        self.cell(cell).scroll_into_view_if_needed()
        # Written here: Playwright would do it in a thread that outlives the test.
        path.write_bytes(self.cell(cell).screenshot())
        return path

    def keep_page(self, name: str) -> None:
        """Keep a picture of the whole page."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        (PICTURES / f"{name}.png").write_bytes(self.page.screenshot(full_page=True))


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Serve JupyterLab and Notebook 7 with nothing of the user's in them."""
    site = Site(tmp_path_factory.mktemp("jupyter"))
    log = (site.folder / "log").open("wb")
    process = subprocess.Popen(
        site.command(),
        env=site.environment,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:
        end = monotonic() + WAIT
        while not site.answers():
            assert process.poll() is None, (site.folder / "log").read_text("utf-8")
            assert monotonic() < end, (site.folder / "log").read_text("utf-8")
        yield site
    finally:
        process.terminate()  # it ends its kernels
        with suppress(subprocess.TimeoutExpired):
            process.wait(WAIT / 3)
        process.kill()
        process.wait(WAIT)
        log.close()


@pytest.fixture(scope="session")
def lab_address(site: Site) -> Iterator[str]:
    """Serve `served_functions.py` from a process of its own; its secret is found by address."""
    functions = Path(__file__).with_name("served_functions.py")
    command = ["-m", "rpcnb", "serve", str(functions), "--name=lab", "--port=0"]
    process = subprocess.Popen(
        [sys.executable, *command],
        env=site.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.search(r"127\.0\.0\.1:\d+", line)
            assert found, line
            yield found[0]
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    """Start Chromium."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    assert program is not None, "install chromium: apt-get install chromium"
    profile = tmp_path_factory.mktemp("chromium")
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=program,
            args=CHROMIUM_FLAGS,
            viewport={"width": 1280, "height": 1600},
        )
        context.set_default_timeout(WAIT * 1000)
        try:
            yield context
        finally:
            context.close()


@pytest.fixture(scope="module")
def open_notebook(browser: BrowserContext, site: Site) -> Iterator[Callable[..., Notebook]]:
    """Give a function that opens a notebook; see the top of this file."""
    opened: list[Notebook] = []

    def open_(
        content: list[str] | Path | nbformat.NotebookNode,
        *,
        kind: str = "lab",
        kernel: str = "python3",
    ) -> Notebook:
        name = f"{secrets.token_hex(4)}.ipynb"
        if isinstance(content, Path):
            document = nbformat.read(content, as_version=4)
        elif isinstance(content, nbformat.NotebookNode):
            document = content
        else:
            cells = [nbformat.v4.new_code_cell(source) for source in content]
            document = nbformat.v4.new_notebook(cells=cells)
        document.metadata.kernelspec = {"name": kernel, "display_name": kernel}
        nbformat.write(document, site.notebooks / name)
        notebook = Notebook(browser.new_page(), site, kind, site.notebooks / name)
        opened.append(notebook)
        notebook.page.goto(site.url(name, kind))
        notebook.wait_ready()
        return notebook

    yield open_
    for notebook in opened:
        notebook.page.close()
    for kernel in site.ask("kernels"):
        site.ask(f"kernels/{kernel['id']}", "DELETE")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give a browser on a busy machine more time than other tests have."""
    for item in items:
        if Path(__file__).parent in item.path.parents and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(PATIENCE))
