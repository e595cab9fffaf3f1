"""Pages as an encyclopedia has them: the load of the broker's benchmark, made and not borrowed.

A page of 48 KB has a head with metadata, styles and scripts, a bar of links, a table of facts, text
with many links and some pictures, notes, and a foot. Half of it is markup, as on real ones.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Final

PAGE: Final = 48 * 1024
PICTURES: Final = 8
FILE: Final = 50 * 1024 * 1024
_VOCABULARY: Final = """
fjorden landet byen elva skogen havet isen fjellet kysten bygda dalen broen havna skipet fisken
vinteren sommeren været nordlyset bonden kongen sagaen kirken skolen boka språket ordet tingene
gammel lang dyp bred høy kald varm stille viktig kjent eldre nyere ble var er har hadde ligger
og i på med til fra ved under over mellom etter før siden som der denne flere mange noen
"""
_WORDS: Final = _VOCABULARY.split()
_HEAD: Final = """<!DOCTYPE html>
<html lang="nb" class="no-js" prefix="og: https://ogp.me/ns#">
<head>
<meta charset="utf-8"><title>{title} – Leksikon</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="description" content="{title} er en artikkel i leksikonet.">
<meta property="og:title" content="{title}"><meta property="og:type" content="article">
<link rel="canonical" href="https://leksikon.no/artikkel/{number}">
<link rel="stylesheet" href="/stil/felles.css"><link rel="preload" as="script" href="/s/main.js">
<script>window.settings = {{"id": {number}, "ads": true}};</script>
<script async src="https://maaling.example/collect.js"></script>
<script type="application/ld+json">{{"@type": "Article", "name": "{title}"}}</script>
</head>
<body class="artikkel" onload="ready()">
<a class="skip" href="#innhold">Hopp til innhold</a>
<header role="banner"><a href="/"><img src="/bilde/logo.png" alt="Leksikon" width="120"></a>
<form action="/sok" method="get"><input name="q" type="search" aria-label="Søk"></form>
<nav><ul>{menu}</ul></nav></header>
<main id="innhold"><article><h1>{title}</h1>
<table class="fakta"><caption>Fakta</caption>{facts}</table>
"""
_FOOT: Final = """<h2>Noter</h2><ol class="noter">{notes}</ol></article>
<aside><h2>Les mer</h2><ul>{more}</ul><iframe src="https://video.example/1"></iframe></aside></main>
<footer><p>Sist endret 3. mai. <a href="/om">Om oss</a> <a href="mailto:post@leksikon.no">Skriv</a>
<a href="https://facebook.com/leksikon" onclick="track()">Følg oss</a></p></footer>
<script src="/s/main.js"></script></body></html>
"""


def page(number: int, size: int = PAGE) -> str:
    """Page ``number``, the same each time, of just under ``size`` bytes."""
    dice = random.Random(number)  # noqa: S311 - nothing secret
    title = f"{dice.choice(_WORDS).title()} {number}"
    whole = [
        _HEAD.format(
            title=title,
            number=number,
            menu="".join(f'<li><a href="/emne/{at}">Emne {at}</a></li>' for at in range(12)),
            facts="".join(
                f"<tr><th scope=row>{dice.choice(_WORDS)}</th><td>{_text(dice, 4)}</td></tr>"
                for _ in range(12)
            ),
        )
    ]
    foot = _FOOT.format(
        notes="".join(
            f'<li id="n{at}"><cite>{_text(dice, 6)}</cite> <a href="#r{at}">↑</a></li>'
            for at in range(15)
        ),
        more="".join(
            f'<li><a href="/artikkel/{dice.randrange(200)}">{_text(dice, 3)}</a></li>'
            for _ in range(15)
        ),
    )
    left = size - len(foot.encode()) - len(whole[0].encode())
    count = 0
    while left > 0:
        part = _part(dice, number, count)
        count += 1
        left -= len(part.encode())
        if left > 0:
            whole.append(part)
    return "".join([*whole, foot])


def _part(dice: random.Random, number: int, count: int) -> str:
    if count % 7 == 0:
        return f'<h2 id="d{count}">{_text(dice, 3).title()}</h2>\n'
    if count % 7 == 3 and count // 7 < PICTURES:
        name = f"/bilde/{number % 200}-{count // 7}.png"
        return (
            f'<figure><a href="{name}"><img src="{name}" srcset="{name} 1x" alt="{_text(dice, 4)}"'
            f' loading="lazy" width="320" height="240"></a><figcaption>{_text(dice, 8)}. '
            "<em>Falt i det fri.</em></figcaption></figure>\n"
        )
    linked = "".join(
        f'{_text(dice, 7)} <a href="/artikkel/{dice.randrange(200)}" class="lenke" '
        f'title="{_text(dice, 2)}">{_text(dice, 2)}</a> '
        for _ in range(4)
    )
    return (
        f'<p style="margin:0">{linked}{_text(dice, 12)}'
        f'<sup id="r{count % 15}"><a href="#n{count % 15}">[{count % 15 + 1}]</a></sup>.</p>\n'
    )


def _text(dice: random.Random, words: int) -> str:
    return " ".join(dice.choices(_WORDS, k=words))


def write(folder: Path, pages: int = 200) -> None:
    """A whole site in ``folder``: pages, their pictures of 1 to 30 KB, a style, a large file."""
    for name in ("artikkel", "bilde", "stil", "fil"):
        (folder / name).mkdir(parents=True)
    dice = random.Random(0)  # noqa: S311 - nothing secret
    for number in range(pages):
        (folder / "artikkel" / str(number)).write_text(page(number), encoding="utf-8")
        for at in range(PICTURES):
            data = b"\x89PNG\r\n\x1a\n" + dice.randbytes(dice.randrange(1, 30) * 1024)
            (folder / "bilde" / f"{number}-{at}.png").write_bytes(data)
    (folder / "bilde" / "logo.png").write_bytes(b"\x89PNG\r\n\x1a\n" + dice.randbytes(1016))
    (folder / "stil" / "felles.css").write_text(
        "".join(f".k{at} {{ color: #{at:03d}; margin: {at}px }}\n" for at in range(400)),
        encoding="utf-8",
    )
    with (folder / "fil" / "film.webm").open("wb") as file:
        for _ in range(FILE // (1024 * 1024)):
            file.write(dice.randbytes(1024 * 1024))
