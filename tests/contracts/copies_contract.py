"""The contract of ``SiteCopy``. Subclass it, give the fixture ``copy``, and every test runs.

The copy stands for ``site.example`` and holds ``FILES``, with a redirect from ``/old`` to
``/tool``; its first page is ``/start``.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dask_platform.kernel.ports import CopyAnswer, SiteCopy
from tests.copies import PNG, File, page

HOME = "site.example"
SITE = f"https://{HOME}"
FILM = bytes(range(256)) * 1024
FILES = (
    page("start", "Begynn", '<a href="tool">Verktøy</a>'),
    page("tool", "Verktøy", "<p>Hammer og sag</p>"),
    page("mappe/æ ø", "Norsk", "<p>Bokstaver</p>"),
    page("list?side=2", "Side to", "<p>To</p>"),
    File("bilde.png", PNG, "image/png"),
    File("film.webm", FILM, "video/webm"),
    File("tom.txt", b"", "text/plain"),
)


def get(copy: SiteCopy, target: str, span: tuple[int, int | None] | None = None) -> CopyAnswer:
    found = copy.get(SITE + target, home=HOME, span=span)
    assert found is not None, target
    return found


class CopyContract:
    @pytest.fixture
    def copy(self) -> SiteCopy:
        raise NotImplementedError("the subclass gives the copy")

    @pytest.mark.parametrize(
        ("target", "file"),
        [("/start", 0), ("/tool", 1), ("/mappe/%C3%A6%20%C3%B8", 2), ("/list?side=2", 3),
         ("/bilde.png", 4), ("/film.webm", 5), ("/tom.txt", 6)],
    )  # fmt: skip
    def test_what_is_in_it_comes_whole(self, copy: SiteCopy, target: str, file: int) -> None:
        found = get(copy, target)
        chunks = list(found.body)
        assert (found.status, found.size) == (200, len(FILES[file].body))
        assert b"".join(chunks) == FILES[file].body
        assert found.content_type.partition(";")[0] == FILES[file].mime
        assert all(0 < len(chunk) <= 64 * 1024 for chunk in chunks)

    @pytest.mark.parametrize(
        "url",
        [f"{SITE}/nei", f"{SITE}/Tool", f"{SITE}/tool/", f"{SITE}/list?side=3", f"{SITE}/list",
         f"{SITE}/start?x=1", "https://andre.example/start", "http://site.example/start", "x", "",
         f"{SITE}/%00", f"{SITE}/../start", f"{SITE}/mappe", f"{SITE}/mappe/"],
    )  # fmt: skip
    def test_what_is_not_in_it_is_none(self, copy: SiteCopy, url: str) -> None:
        assert copy.get(url, home=HOME) is None

    def test_the_front_page_leads_to_the_first_page(self, copy: SiteCopy) -> None:
        found = get(copy, "/")
        assert (found.status, found.location) == (302, f"{SITE}/start")
        assert list(found.body) == []

    def test_a_redirect_is_told_and_not_followed(self, copy: SiteCopy) -> None:
        found = get(copy, "/old")
        assert (found.status, found.location) == (302, f"{SITE}/tool")

    @given(first=st.integers(0, len(FILM) + 10), length=st.none() | st.integers(1, 200_000))
    @settings(
        max_examples=40, deadline=None,
        suppress_health_check=[
            HealthCheck.differing_executors, HealthCheck.function_scoped_fixture,
        ],
    )  # fmt: skip
    def test_a_part_is_just_that_part(self, copy: SiteCopy, first: int, length: int | None) -> None:
        last = None if length is None else first + length - 1
        found = get(copy, "/film.webm", (first, last))
        wanted = FILM[first:] if last is None else FILM[first : last + 1]
        assert b"".join(found.body) == wanted
        assert found.size == len(FILM)
        if wanted:
            assert (found.status, found.span) == (206, (first, first + len(wanted) - 1))
        else:
            assert (found.status, found.span) == (416, None)

    def test_a_body_may_be_left_unread(self, copy: SiteCopy) -> None:
        for _again in range(3):
            found = get(copy, "/film.webm")
            next(found.body)
            found.body.close()
        get(copy, "/film.webm").body.close()

    def test_several_read_at_once(self, copy: SiteCopy) -> None:
        def read(number: int) -> bool:
            file = FILES[number % 2 * 5]
            return b"".join(get(copy, f"/{file.path}").body) == file.body

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(read, range(64)))

    def test_every_file_can_be_looked_through(self, copy: SiteCopy) -> None:
        found = {one.size: b"".join(one.body) for one in copy.files()}
        assert sorted(found.values()) == sorted(file.body for file in FILES)

    def test_searching_names_pages_that_are_there(self, copy: SiteCopy) -> None:
        hits = copy.search("hammer", home=HOME, most=5)
        assert [one.address for one in hits] == ([f"{SITE}/tool"] if copy.searchable else [])
        for words in ("", "*", "AND OR", '"', "å" * 100, "zzz"):
            for one in copy.search(words, home=HOME, most=5):
                assert copy.get(one.address, home=HOME) is not None
