"""Markdown to a page, and what is said about what is wrong with it."""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dask_platform.kernel.errors import TooLarge
from dask_platform.security.markdown import MAX_CHARS, Rendered, render_markdown
from dask_platform.security.problems import Problem
from tests.security.test_html import assert_harmless

MEDIA = "/media/0123456789abcdef/"


def image(address: str) -> str | None:
    return MEDIA + address if address in {"sag.svg", "bilde-1.png"} else None


def page(address: str) -> str | None:
    return "/courses/hms/2" if address == "neste.md" else None


def render(source: str) -> Rendered:
    return render_markdown(source, resolve_image=image, resolve_link=page)


def lines(source: str) -> list[tuple[int, str]]:
    return [(problem.line, str(problem).partition(": ")[2]) for problem in render(source).problems]


def test_a_page_as_a_teacher_writes_it() -> None:
    source = (
        "## Vern\n\nBruk *alltid* **hørselsvern**.\n\n![En sag](sag.svg)\n\n"
        "1. Les\n2. Gå til [neste side](neste.md)\n\n"
        "| Mål | Enhet |\n|-----|------:|\n| 3 | m |\n\n```python\nif a < b: pass\n```\n"
    )
    rendered = render(source)
    assert rendered.problems == []
    assert rendered.html == (
        "<h2>Vern</h2>\n<p>Bruk <em>alltid</em> <strong>hørselsvern</strong>.</p>\n"
        f'<p><img src="{MEDIA}sag.svg" alt="En sag"></p>\n'
        '<ol>\n<li>Les</li>\n<li>Gå til <a href="/courses/hms/2">neste side</a></li>\n</ol>\n'
        '<table>\n<thead>\n<tr>\n<th scope="col">Mål</th>\n<th scope="col">Enhet</th>\n</tr>\n'
        "</thead>\n<tbody>\n<tr>\n<td>3</td>\n<td>m</td>\n</tr>\n</tbody>\n</table>\n"
        "<pre><code>if a &lt; b: pass\n</code></pre>\n"
    )


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x\n\n<div>\ny\n</div>\n", [(3, "HTML is not used here: <div> y </div>.")]),
        (
            "x\ny <b>z</b>",
            [(2, "HTML is not used here: <b>."), (2, "HTML is not used here: </b>.")],
        ),
        ("x\n<!-- hidden -->", [(2, "HTML is not used here: <!-- hidden -->.")]),
        ("# Top", [(1, "Start with ## here.")]),
        ("x\n\nTop\n===", [(3, "Start with ## here.")]),
        ("###### Deep", [(1, "This heading is too deep.")]),
        ("![](sag.svg)", [(1, "This picture has no description: sag.svg.")]),
        ("\n\n![x](borte.svg)", [(3, "There is no such picture: borte.svg.")]),
        ("x\ny\n[z](borte.md)", [(3, "There is no such page: borte.md.")]),
        ("[x]()", [(1, "There is no such page: ().")]),
        ("| a |\n|---|\n| [x](http://e.no) |", [(3, "This link leads out of the platform: http")]),
        ("- a\n- <https://e.no>", [(2, "This link leads out of the platform: https://e.no.")]),
        ("![x](//e.no/x.png)", [(1, "This picture lies outside the platform: //e.no/x.png.")]),
        ("[x](/\\e.no)", [(1, "This link leads out of the platform: /\\e.no.")]),
        ("[x](\\\\\\\\e.no)", [(1, "This link leads out of the platform: \\\\e.no.")]),
        ("[x](javascript:attack())", [(1, "This link leads out of the platform: javascript:")]),
        ("[x](JAVASCRIPT&#58;attack())", [(1, "This link leads out of the platform: JAVASCRIPT:")]),
        ("![x](data:image/png;base64,AA)", [(1, "This picture lies outside the platform: data:")]),
        ("[x]\n\n[x]: https://e.no", [(1, "This link leads out of the platform: https://e.no.")]),
        ("[x](<java\u200bscript:a>)", [(1, "There is no such page: java\u200bscript:a.")]),
        ("> " * 25 + "x", [(1, "Lists or quotations lie too deep inside one another.")]),
    ],
)
def test_problems_have_their_line_and_their_words(
    source: str, expected: list[tuple[int, str]]
) -> None:
    found = lines(source)
    assert [line for line, _ in found] == [line for line, _ in expected]
    for (_, text), (_, beginning) in zip(found, expected, strict=True):
        assert text.startswith(beginning)
    cleaned = render(source).html
    assert "href" not in cleaned
    assert_harmless(cleaned)


def test_deepest_nesting_that_is_rendered_is_no_problem() -> None:
    rendered = render("> " * 19 + "x")
    assert rendered.problems == []
    assert "x" in rendered.html


def test_a_bare_address_is_text() -> None:
    assert render("Se www.nrk.no eller https://nrk.no").html == (
        "<p>Se www.nrk.no eller https://nrk.no</p>\n"
    )


def test_the_words_are_a_key_with_places() -> None:
    (problem,) = render("[x](http://e.no/%s)").problems
    assert problem == Problem(
        1, "This link leads out of the platform: %(address)s. Remove it.",
        {"address": "http://e.no/%s"},
    )  # fmt: skip
    assert str(problem) == "line 1: This link leads out of the platform: http://e.no/%s. Remove it."


@pytest.mark.parametrize("path", ["//e.no", "https://e.no", "javascript:x", "/a/../b", "x", ""])
def test_a_resolver_cannot_let_a_strange_path_through(path: str) -> None:
    rendered = render_markdown(
        "[x](a) ![y](b)", resolve_image=lambda _: path, resolve_link=lambda _: path
    )
    assert rendered.html == '<p><a>x</a> <img alt="y"></p>\n'
    assert len(rendered.problems) == 2


def test_a_path_is_allowed_only_where_it_was_resolved() -> None:
    rendered = render_markdown(
        "[x](a) ![y](b)", resolve_image=lambda _: None, resolve_link=lambda _: "/courses/1"
    )
    assert rendered.html == '<p><a href="/courses/1">x</a> <img alt="y"></p>\n'


def test_over_the_limit_is_refused() -> None:
    assert "x" in render("x" * MAX_CHARS).html
    with pytest.raises(TooLarge, match=str(MAX_CHARS)):
        render("x" * (MAX_CHARS + 1))


@pytest.mark.parametrize(
    "piece", ["[", "![", "**a*", "[a][", "` ``", "<a ", "> ", "- ", "&", "*_", "|", "\\", "[a](b "]
)
def test_knotted_markdown_takes_seconds_at_the_most(piece: str) -> None:
    began = time.process_time()
    with contextlib.suppress(TooLarge):
        render(piece * (20_000 // len(piece)))
    assert time.process_time() - began < 20


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.sampled_from(
                ["[", "]", "(", ")", "!", "<", ">", "*", "_", "`", "#", "\n", "\n\n", "- ", "1. ",
                 "|", "|-|\n", "> ", "    ", "&lt;", "&#58;", "\\", "http://e.no", "sag.svg",
                 "neste.md", "<script>", "</p>", "![a](sag.svg)", "[a](neste.md)", "\x00", "```"]
            ),
            st.text(max_size=3),
        ),
        max_size=30,
    ).map("".join)
)  # fmt: skip
def test_any_source_becomes_a_harmless_page(source: str) -> None:
    rendered = render(source)
    assert_harmless(rendered.html)
    last = source.count("\n") + source.count("\r") + 1
    assert all(1 <= problem.line <= last for problem in rendered.problems)
