"""A small quiz that the demo's website answers itself: a form that is sent with POST."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Final

PATH: Final = "/ordprove/svar"
#: Each question's field, with its right answer.
RIGHT: Final = {"bre": "sno", "fjord": "hav"}


def answered(fields: Mapping[str, list[str]]) -> str:
    """The page that says how many were right, and gives the sentence back."""
    right = sum(fields.get(name, [""])[0] == answer for name, answer in RIGHT.items())
    sentence = fields.get("setning", [""])[0].strip()
    said = f"<p>Du skrev: {html.escape(sentence)}</p>" if sentence else ""
    more = "Bra!" if right == len(RIGHT) else "Les artiklene og prøv en gang til."
    return (
        '<!doctype html><html lang="nb"><head><meta charset="utf-8">'
        "<title>Svar – Fjordleksikon</title>"
        '<link rel="stylesheet" href="/stil.css"></head><body><h1>Ordprøve: svar</h1>'
        f"<p>{right} av {len(RIGHT)} er riktige. {more}</p>{said}"
        '<p><a href="/ordprove">Prøv igjen</a> eller gå <a href="/">til forsiden</a>.</p>'
        "</body></html>"
    )
