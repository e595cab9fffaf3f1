"""The catalogues: one folder a feature, one for the shared pages, in bokmål and nynorsk.

English needs none: a sentence in the code is its own English. ``N_`` marks sentences that services
say and pages translate.

    translations.py update    bring the catalogues in step with the sentences in the code
    translations.py check     fail where a sentence lacks its translation, or its places differ
    translations.py compile   make the files that the platform reads
"""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "dask_platform"
LANGUAGES = {"nb": "bokmål", "nn": "nynorsk"}
METHODS = [("**/static/**", "ignore"), ("**.py", "python"), ("**/templates/**.html", "jinja2")]
OPTIONS = {"**/templates/**.html": {"trimmed": "true", "newstyle_gettext": "true"}}
KEYWORDS = {
    "_": None, "_l": None, "N_": None, "gettext": None, "lazy_gettext": None,
    "ngettext": (1, 2), "lazy_ngettext": (1, 2),
}  # fmt: skip
HEADER = """\
# DASK platform: what {owner} says, in {words}. Kept in step by tools/translations.py.
msgid ""
msgstr ""
"Project-Id-Version: DASK platform\\n"
"Language: {language}\\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"

"""
_PLACE = re.compile(r"%\((\w+)\)[sd]")


def owners() -> list[Path]:
    """The folders that keep catalogues: each feature, and ``web`` for everything else."""
    features = PACKAGE / "features"
    return [PACKAGE / "web", *sorted(p for p in features.iterdir() if (p / "models.py").exists()
                                     or (p / "views.py").exists())]  # fmt: skip


def sources(owner: Path) -> list[Path]:
    """``web`` answers for all code that belongs to no feature."""
    if owner.name != "web":
        return [owner]
    return [PACKAGE / name for name in ("web", "kernel", "security", "adapters", "entry", "db")]


def extract(owner: Path) -> Catalog:
    catalog = Catalog(charset="utf-8", project="dask-platform")
    for folder in sources(owner):
        for name, _line, message, _comments, context in extract_from_dir(
            str(folder), method_map=METHODS, options_map=OPTIONS, keywords=KEYWORDS
        ):
            # File names without lines: otherwise every edit of code would change the catalogues.
            catalog.add(message, locations=[(f"{folder.name}/{name}", 0)], context=context)
    return catalog


def po_path(owner: Path, language: str) -> Path:
    return owner / "translations" / language / "LC_MESSAGES" / "messages.po"


def read(owner: Path, language: str) -> Catalog:
    path = po_path(owner, language)
    if not path.exists():
        return Catalog(locale=language, charset="utf-8")
    with path.open("rb") as file:
        return read_po(file, locale=language)


def update() -> int:
    for owner in owners():
        template = extract(owner)
        for language in LANGUAGES:
            catalog = read(owner, language)
            catalog.update(template, no_fuzzy_matching=True)
            catalog.obsolete.clear()
            written = io.BytesIO()
            write_po(
                written, catalog, width=100, sort_output=True, no_location=True, omit_header=True
            )
            path = po_path(owner, language)
            path.parent.mkdir(parents=True, exist_ok=True)
            text = header(owner, language) + written.getvalue().decode("utf-8")
            path.write_text(text, encoding="utf-8")
    return 0


def header(owner: Path, language: str) -> str:
    """The head of a catalogue. Babel's own has dates, which would change with every run, and places
    for people and addresses that are nobody's."""
    return HEADER.format(owner=owner.name, language=language, words=LANGUAGES[language])


def check() -> int:
    problems = []
    for owner in owners():
        wanted = extract(owner)
        for language in LANGUAGES:
            known = read(owner, language)
            path = po_path(owner, language)
            where = path.relative_to(ROOT)
            if path.exists() and not path.read_text("utf-8").startswith(header(owner, language)):
                problems.append(f"{where}: another head than the tool writes")
            for message in wanted:
                if message.id:
                    problems += [f"{where}: {why}" for why in _faults(message, known)]
    problems += _disagreements()
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        print(
            f"{len(problems)} faults. Remedy: make translations, then fill in what is empty.",
            file=sys.stderr,
        )
    return 1 if problems else 0


def _disagreements() -> list[str]:
    """The running platform has one catalogue a language: a sentence that two folders translate
    differently would show either's words in both."""
    problems = []
    for language in LANGUAGES:
        first: dict[object, tuple[object, str]] = {}
        for owner in owners():
            for message in read(owner, language):
                known = first.setdefault(message.id, (message.string, owner.name))
                if message.id and known[0] != message.string:
                    problems.append(
                        f"{language}: {owner.name} and {known[1]} differ over {message.id!r}."
                        " Write the same words, or another sentence in one of them."
                    )
    return problems


def _faults(message: Message, known: Catalog) -> list[str]:
    key = message.id
    shown = key if isinstance(key, str) else key[0]
    found = known.get(key)
    said = found.string if found is not None else None
    texts = [said] if isinstance(said, str) else list(said or ())
    if not texts or not all(texts):
        return [f"no translation of {shown!r}"]
    if found is not None and found.fuzzy:
        return [f"the translation of {shown!r} is marked fuzzy"]
    places = set(_PLACE.findall(shown if isinstance(key, str) else key[1]))
    if any(set(_PLACE.findall(text)) - places for text in texts) or (
        isinstance(key, str) and set(_PLACE.findall(texts[0])) != places
    ):
        return [f"the translation of {shown!r} has other places than {sorted(places)}"]
    return []


def compile_all() -> int:
    for owner in owners():
        for language in LANGUAGES:
            path = po_path(owner, language)
            target = path.with_suffix(".mo")
            if path.exists() and (
                not target.exists() or target.stat().st_mtime < path.stat().st_mtime
            ):
                written = io.BytesIO()
                write_mo(written, read(owner, language))
                target.write_bytes(written.getvalue())
    return 0


COMMANDS = {"update": update, "check": check, "compile": compile_all}

if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in COMMANDS:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    sys.exit(COMMANDS[sys.argv[1]]())
