from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest
from IPython.utils.capture import capture_output

from rpcnb.notebook.cell_output import (
    TRUSTED,
    CellOutput,
    bitmap,
    picture_sizes,
)

if TYPE_CHECKING:
    from conftest import Shell

    import rpcnb

PNG = base64.b64encode(b"\x89PNG and more").decode()
EMPTY = "<IPython.core.display.HTML object>"


def shown(remote: rpcnb.Remote, *bundles: dict[str, Any], **options: Any) -> list[dict[str, Any]]:
    output = CellOutput(remote)
    with capture_output() as captured:
        for bundle in bundles:
            output.show("display", bundle, options.get("metadata", {}), options.get("id", ""))
        output.end()
    return [o.data for o in captured.outputs]


def test_pictures_text_and_formulas_are_shown(shell: Shell, remote: rpcnb.Remote) -> None:
    bundle = {"text/plain": "a figure", "image/png": PNG, "text/latex": "$x^2$"}
    assert shown(remote, bundle) == [bundle]


@pytest.mark.parametrize(
    "mime", ["text/html", "text/markdown", "image/svg+xml", "application/javascript"]
)
def test_markup_is_text_until_the_session_is_trusted(
    shell: Shell, remote: rpcnb.Remote, mime: str
) -> None:
    bundle = {"text/plain": EMPTY, mime: "<b onclick=x>\u202e"}
    first, note = shown(remote, bundle)
    assert first == {"text/plain": "<b onclick=x>\\u202e"}
    assert "--trust" in note["text/plain"]
    assert shown(remote, bundle) == [first]  # said once
    TRUSTED.add(remote)
    assert shown(remote, bundle) == [bundle]


def test_the_text_of_what_has_one_is_preferred_to_its_markup(
    shell: Shell, remote: rpcnb.Remote
) -> None:
    first, _ = shown(remote, {"text/plain": "   a\n0  1", "text/html": "<table>"})
    assert first == {"text/plain": "   a\n0  1"}


@pytest.mark.parametrize(
    "formula",
    [
        r"\href{javascript:x}{y}",
        r"\require{html}",
        r"\style{x}{y}",
        r"\htmlData{x}{y}",
        r"\mmlToken{mi}[href=x]{y}",
        r"\bbox[x]{y}",
    ],
)
def test_formulas_that_reach_out_are_not_typeset(
    shell: Shell, remote: rpcnb.Remote, formula: str
) -> None:
    assert shown(remote, {"text/plain": "f", "text/latex": formula}) == [{"text/plain": "f"}]


def test_unknown_forms_are_left_out(shell: Shell, remote: rpcnb.Remote) -> None:
    bundle = {"text/plain": "w", "application/vnd.jupyter.widget-view+json": {"model_id": "1"}}
    assert shown(remote, bundle) == [{"text/plain": "w"}]


def test_a_pictures_text_is_made_here() -> None:
    assert bitmap(PNG) == PNG
    hostile = bitmap('"><script>alert(1)</script>')
    assert hostile is None or not set(hostile) & set("<>\"'")
    assert bitmap("\N{SNOWMAN}") is None


def test_of_the_metadata_only_sizes_are_kept() -> None:
    given = {"image/png": {"width": 3, "height": "1;x"}, "text/html": {"isolated": True}}
    assert picture_sizes(given) == {"image/png": {"width": 3}}
