"""Pages that want something, each by name, and what must not be left of them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from dask_platform.kernel.errors import TooLarge
from tests.security.reader.opinions import assert_clean, shown

CASES = [
    pytest.param(case, id=f"{file.stem}-{name}")
    for file in sorted((Path(__file__).parent / "corpus").glob("*.yaml"))
    for name, case in yaml.safe_load(file.read_text(encoding="utf-8")).items()
]
#: Under a loaded machine; a quiet one needs a tenth.
MOST_SECONDS = 6.0


@pytest.mark.parametrize("case", CASES)
def test_nothing_is_left_of_an_attack(case: dict[str, Any]) -> None:
    found, given = shown(case["page"])
    for piece in case["never"]:
        assert piece not in found.html, found.html
    for piece in case.get("keeps", ()):
        assert piece in found.html, found.html
    assert_clean(found, given)


@pytest.mark.parametrize("case", CASES)
def test_showing_it_again_changes_nothing(case: dict[str, Any]) -> None:
    once = shown(case["page"])[0].html
    assert shown(once)[0].html == once
    assert shown(f"<!DOCTYPE html>{once}")[0].html == once


@pytest.mark.parametrize(
    "page",
    [
        pytest.param("<div>" * 100_000 + "x", id="depth"),
        pytest.param("<div>" * 3_000 + "x" + "</div>" * 900, id="depth-of-few-tags"),
        pytest.param("<span><div>" * 20_000, id="depth-in-pairs"),
        pytest.param("<div></span>" * 50_000, id="end-tags-that-close-nothing"),
        pytest.param("<div><table></div></table>" * 20_000, id="end-tags-out-of-scope"),
        pytest.param("<div><!--</div>-->" * 50_000, id="end-tags-in-comments"),
        pytest.param("<div a='</div>'>" * 50_000, id="end-tags-in-attributes"),
        pytest.param("<div><script></div></script>" * 30_000, id="end-tags-in-scripts"),
        pytest.param("<svg><style>" + "<div>" * 100_000, id="depth-in-a-drawing"),
        pytest.param("<table>" * 30_000, id="tables"),
        pytest.param("<svg>" * 30_000, id="drawings"),
        pytest.param("<math><mrow>" * 30_000, id="formulas"),
        pytest.param("<select><option>" * 30_000, id="choices"),
        pytest.param("<noscript>" * 30_000, id="noscript"),
        pytest.param("<p>" + "".join(f"<b a{n}>" for n in range(5_000)) + "<p>x" * 5_000, id="b"),
        pytest.param("".join(f"<p><b a{n}>x</p>" for n in range(9_000)), id="unclosed-formats"),
        pytest.param("<a><div>" * 20_000, id="links-reopened"),
        pytest.param("<b><div>" * 2_000 + "</b>" * 2_000, id="adoptions"),
        pytest.param("<p " + " ".join(f"a{n}=1" for n in range(60_000)) + ">x", id="attributes"),
        pytest.param("<p " + "".join(f'a{n}=">"' for n in range(60_000)) + ">x", id="quoted-ends"),
        pytest.param("<p " + "".join(f"a{n}<" for n in range(30_000)) + ">x", id="odd-attributes"),
        pytest.param("<p title='" + "&" * 900_000 + "'>x", id="one-long-value"),
        pytest.param("<" * 900_000, id="less-than"),
        pytest.param("<!--" * 200_000, id="comments-open"),
        pytest.param("<a href='" * 100_000, id="quotes-open"),
        pytest.param("</" * 300_000, id="end-tags-open"),
        pytest.param("<p style='" + "(" * 3_000 + "'>x", id="style-depth"),
        pytest.param("<img srcset='" + "(," * 200_000 + "'>", id="srcset"),
        pytest.param("<img srcset='" + ("a " * 3 + ", ") * 50_000 + "'>", id="srcset-many"),
        pytest.param("&#" * 300_000, id="references"),
        pytest.param("<pre>" + "\n" * 900_000, id="line-breaks"),
        pytest.param("<style>" + "a{" * 50_000 + "</style>", id="css-depth"),
        pytest.param("<style>" + "a:not(" * 20_000 + "</style>", id="selector-depth"),
        pytest.param("x" * 5_000_000, id="length"),
    ],
)
def test_time_and_depth_are_bounded(page: str) -> None:
    began = time.process_time()
    try:
        found, _given = shown(page)
    except TooLarge:
        found = None
    assert time.process_time() - began < MOST_SECONDS
    assert found is None or found.html.count("<") <= 2 * page.count("<") + 1_000


def test_what_lies_too_deep_keeps_its_text() -> None:
    found, given = shown("<div>" * 500 + "innerst" + "</div>" * 500 + "<p>etter")
    assert found.html.count("<div>") == 200
    assert "innerst" in found.html
    assert found.html.endswith("<p>etter</p>")
    assert_clean(found, given)
