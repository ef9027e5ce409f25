"""The kernel, as a front end meets it: the suite that every Jupyter kernel is tested with.

The same class runs against plain ipykernel, so that a failure says whose it is.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, ClassVar
from unittest import SkipTest

import jupyter_kernel_test
import pytest

from rpcnb.notebook.kernelspec import install

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conftest import Kernel


@pytest.fixture(scope="module", autouse=True)
def spec(
    tmp_path_factory: pytest.TempPathFactory, by_socket: Callable[[str, str], object]
) -> Iterator[Path]:
    """Install the kernelspec where only these tests look; let the suite's kernels need no ports."""
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory(prefix="rpcnb-") as folder:
        patch.setattr(
            jupyter_kernel_test,
            "start_new_kernel",
            lambda kernel_name: by_socket(kernel_name, f"{folder}/{kernel_name}"),
        )
        prefix = tmp_path_factory.mktemp("prefix")
        for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "RPCNB_RUNTIME_DIR"):
            patch.setenv(name, str(tmp_path_factory.mktemp(name)))
        patch.setenv("JUPYTER_PATH", str(prefix / "share" / "jupyter"))
        yield install(prefix=str(prefix))


class PlainKernelTest(jupyter_kernel_test.KernelTests):
    """What ipykernel passes."""

    __test__ = False
    kernel_name = "python3"
    language_name = "python"
    file_extension = ".py"
    code_hello_world = "print('hello, world')"
    code_stderr = "import sys; print('oops', file=sys.stderr)"
    code_execute_result: ClassVar = [{"code": "1+2+3", "result": "6"}] * 3
    code_display_data: ClassVar = [
        {
            "code": "from IPython.display import HTML, display; display(HTML('<b>x</b>'))",
            "mime": "text/html",
        }
    ]
    code_generate_error = "1 / 0"
    completion_samples: ClassVar = [{"text": "zi", "matches": {"zip"}}]
    complete_code_samples: ClassVar = ["1", "def f(x):\n  return x\n\n\n"]
    incomplete_code_samples: ClassVar = ["def f(x):", "'''text"]
    invalid_code_samples: ClassVar = ["import = 7q"]
    code_inspect_sample = "zip"
    code_page_something = "zip?"
    code_clear_output = "from IPython.display import clear_output; clear_output()"
    code_history_pattern = "1?2*"
    supported_history_operations = ("tail", "search")

    @contextmanager
    def subTest(self, msg: object = None, **what: object) -> Iterator[None]:  # noqa: N802 -- unittest's
        if what.get("hist_access_type") == "range":  # which ipykernel does not pass either
            with suppress(SkipTest):
                yield
        else:
            with super().subTest(msg, **what):
                yield


class TestPlainKernel(PlainKernelTest):
    __test__ = True


class TestRpcnbKernel(PlainKernelTest):
    __test__ = True
    kernel_name = "rpcnb"


def test_the_extension_is_loaded(start_kernel: Callable[..., Kernel]) -> None:
    kernel = start_kernel("rpcnb")
    assert kernel.displayed(kernel.run("%remotes")) == [
        "no session is open; %connect_remote HOST:PORT opens one"
    ]


def test_it_connects_where_the_environment_says_and_tells_it_once(
    start_kernel: Callable[..., Kernel], address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RPCNB_URL", address)
    kernel = start_kernel("rpcnb")
    first = kernel.run("remote.fn.lab.add(2)")
    assert kernel.displayed(first) == [f"connected to lab at {address}, as `remote`", "3"]
    assert kernel.displayed(kernel.run("1;")) == []


def test_a_server_that_is_not_there_is_told_and_the_kernel_runs(
    start_kernel: Callable[..., Kernel], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RPCNB_URL", "127.0.0.1:1")
    kernel = start_kernel("rpcnb")
    (told,) = kernel.displayed(kernel.run("1;"))
    assert told.startswith("RPCNB_URL=127.0.0.1:1 cannot be reached: ")
