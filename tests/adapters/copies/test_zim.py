"""ZIM files: the contract, what zimit makes, and what is wrong with some."""

from __future__ import annotations

from pathlib import Path

import pytest

from dask_platform.adapters.copies import LocalCopies
from dask_platform.kernel.errors import CopyBroken
from dask_platform.kernel.ports import SiteCopy
from tests.contracts.copies_contract import FILES, HOME, SITE, CopyContract
from tests.copies import PNG, File, make_zim, page

SECONDS = 60.0


@pytest.fixture(scope="module")
def of_kiwix(tmp_path_factory: pytest.TempPathFactory) -> SiteCopy:
    path = tmp_path_factory.mktemp("zim") / "a.zim"
    make_zim(path, FILES, main="start", redirects=[("old", "tool")])
    return LocalCopies().open(path, "zim")


@pytest.fixture(scope="module")
def of_zimit(tmp_path_factory: pytest.TempPathFactory) -> SiteCopy:
    path = tmp_path_factory.mktemp("zim") / "a.zim"
    files = [File(f"{HOME}/{one.path}", one.body, one.mime, one.title) for one in FILES]
    make_zim(path, files, main=f"{HOME}/start", redirects=[(f"{HOME}/old", f"{HOME}/tool")])
    return LocalCopies().open(path, "zim")


class TestZim(CopyContract):
    @pytest.fixture
    def copy(self, of_kiwix: SiteCopy) -> SiteCopy:
        return of_kiwix


class TestZimOfZimit(CopyContract):
    """Everything lies under the name of its host."""

    @pytest.fixture
    def copy(self, of_zimit: SiteCopy) -> SiteCopy:
        return of_zimit


def test_a_zim_file_without_an_index_is_searched_by_its_titles(tmp_path: Path) -> None:
    make_zim(tmp_path / "a.zim", FILES, main="start", index=False)
    copy = LocalCopies().open(tmp_path / "a.zim", "zim")
    hits = copy.search("Verk", home=HOME, most=5)
    assert [one.address for one in hits] == ([f"{SITE}/tool"] if copy.searchable else [])


def test_what_zimit_makes_is_found_under_its_hosts(tmp_path: Path) -> None:
    make_zim(
        tmp_path / "a.zim",
        [
            page(f"{HOME}/", "Forsiden", "<p>Velkommen</p>"),
            page(f"{HOME}/om/oss", "Om oss", "<p>Hei</p>"),
            page(f"{HOME}/sok?q=å b", "Søk", "<p>Treff</p>"),
            File("bilder.example/x.png", PNG, "image/png"),
        ],
        main=f"{HOME}/",
    )
    copy = LocalCopies().open(tmp_path / "a.zim", "zim")
    front = copy.get(f"{SITE}/", home=HOME)
    assert front is not None
    assert front.status == 200, "the front page is there as itself"
    front.body.close()
    for url in (
        f"{SITE}/om/oss",
        f"{SITE}/sok?q=%C3%A5+b",
        f"{SITE}/sok%3Fq=%C3%A5%20b",
        # A link of zimit's climbs out of the folder of its own host.
        f"{SITE}/bilder.example/x.png",
        "https://bilder.example/x.png",
    ):
        found = copy.get(url, home=HOME)
        assert found is not None, url
        assert found.status == 200
        found.body.close()
    facts = LocalCopies().examine(tmp_path / "a.zim", seconds=SECONDS)
    assert facts.hosts == ("bilder.example", HOME)


def test_the_facts(tmp_path: Path) -> None:
    make_zim(tmp_path / "a.zim", FILES, main="start", redirects=[("old", "tool")])
    facts = LocalCopies().examine(tmp_path / "a.zim", seconds=SECONDS)
    assert (facts.kind, facts.title, facts.language, facts.search) == (
        "zim", "Verktøy", "nob", "text",
    )  # fmt: skip
    assert str(facts.made_on) == "2026-11-20"
    assert (facts.pages, facts.files, facts.main) == (4, 7, "/start")
    assert facts.first[0].title == "Begynn"
    assert {one.address for one in facts.first} == {
        "/start", "/tool", "/mappe/%C3%A6%20%C3%B8", "/list%3Fside=2",
    }  # fmt: skip
    assert facts.left_out == 0


def test_files_that_no_address_leads_to_are_counted(tmp_path: Path) -> None:
    strange = [page("a;b", "Semikolon", ""), page("x//y", "Tomt ledd", "")]
    make_zim(tmp_path / "a.zim", [*FILES, *strange], main="start")
    facts = LocalCopies().examine(tmp_path / "a.zim", seconds=SECONDS)
    assert facts.left_out == 2
    assert len(facts.findings) == 1


@pytest.mark.parametrize("at", [80, 200, 600, -100, -20])
def test_a_single_changed_byte_is_noticed(tmp_path: Path, at: int) -> None:
    path = make_zim(tmp_path / "a.zim", FILES, main="start")
    data = bytearray(path.read_bytes())
    data[at] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(CopyBroken):
        LocalCopies().examine(path, seconds=SECONDS)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
def test_a_file_that_was_cut_off_is_noticed(tmp_path: Path, part: float) -> None:
    path = make_zim(tmp_path / "a.zim", FILES, main="start")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(CopyBroken):
        LocalCopies().examine(path, seconds=SECONDS)


def test_a_file_that_unpacks_to_far_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    bomb = File("bombe.html", b"\0" * (120 * 1024 * 1024), "text/html", "B")
    path = make_zim(tmp_path / "a.zim", [*FILES, bomb], main="start")
    assert path.stat().st_size < 1024 * 1024
    with pytest.raises(CopyBroken, match=r"far more|memory"):
        LocalCopies().examine(path, seconds=SECONDS)


def test_a_file_without_a_first_page_is_refused(tmp_path: Path) -> None:
    path = make_zim(tmp_path / "a.zim", FILES, main="er-ikke-der")
    with pytest.raises(CopyBroken, match="first page"):
        LocalCopies().examine(path, seconds=SECONDS)


def test_what_takes_too_long_is_ended(tmp_path: Path) -> None:
    path = make_zim(tmp_path / "a.zim", FILES, main="start")
    with pytest.raises(CopyBroken, match="longer"):
        LocalCopies().examine(path, seconds=0.01)
