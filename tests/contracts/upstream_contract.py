"""The contract of ``Upstream``. Subclass it, give the fixtures ``upstream`` and ``put``, and every
test runs. ``put(url, page)`` has the site ``https://site.example`` serve ``page`` there."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dask_platform.adapters.upstream import Page
from dask_platform.kernel.errors import (
    UpstreamAddressRefused,
    UpstreamNameUnknown,
    UpstreamStopped,
    UpstreamTimeout,
    UpstreamTooLarge,
    UpstreamUnavailable,
)
from dask_platform.kernel.ports import UPSTREAM_HEADERS, Upstream, UpstreamRequest

SITE = "https://site.example"
MIB = 1024 * 1024
LONG = bytes(range(256)) * 4 * 1024

Put = Callable[[str, Page], None]


class UpstreamContract:
    @pytest.fixture
    def upstream(self) -> Upstream:
        raise NotImplementedError("the subclass gives the adapter")

    @pytest.fixture
    def put(self) -> Put:
        raise NotImplementedError("the subclass gives the site")

    def test_a_page_comes_whole(self, upstream: Upstream, put: Put) -> None:
        put(f"{SITE}/a?q=1", Page(b"words", headers={"content-type": "text/plain"}))
        with upstream.fetch(UpstreamRequest(f"{SITE}/a?q=1"), largest=MIB, seconds=10) as answer:
            assert answer.status == 200
            assert answer.headers["content-type"] == "text/plain"
            assert answer.headers["content-length"] == "5"
            assert b"".join(answer.body) == b"words"

    def test_a_long_body_comes_in_small_chunks(self, upstream: Upstream, put: Put) -> None:
        put(f"{SITE}/long", Page(LONG))
        with upstream.fetch(UpstreamRequest(f"{SITE}/long"), largest=MIB, seconds=10) as answer:
            chunks = list(answer.body)
        assert b"".join(chunks) == LONG
        assert all(0 < len(chunk) <= 64 * 1024 for chunk in chunks)

    def test_only_listed_headers_pass(self, upstream: Upstream, put: Put) -> None:
        strange = {
            "content-security-policy": "default-src *",
            "clear-site-data": "*",
            "alt-svc": 'h3=":443"',
            "refresh": "0; url=https://elsewhere.example/",
            "access-control-allow-origin": "*",
        }
        put(f"{SITE}/", Page(b"x", headers={**strange, "etag": '"1"', "cache-control": "no-store"}))
        with upstream.fetch(UpstreamRequest(f"{SITE}/"), largest=MIB, seconds=10) as answer:
            assert set(answer.headers) <= UPSTREAM_HEADERS
            assert answer.headers["etag"] == '"1"'
            assert answer.headers["cache-control"] == "no-store"

    def test_cookies_come_as_a_list(self, upstream: Upstream, put: Put) -> None:
        cookies = ("a=1; Path=/", "b=2; Expires=Sun, 06 Nov 2044 08:49:37 GMT")
        put(f"{SITE}/", Page(b"x", set_cookies=cookies))
        with upstream.fetch(UpstreamRequest(f"{SITE}/"), largest=MIB, seconds=10) as answer:
            assert answer.set_cookies == cookies
            assert "set-cookie" not in answer.headers

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_a_redirect_is_not_followed(self, upstream: Upstream, put: Put, status: int) -> None:
        put(f"{SITE}/old", Page(b"", status, {"location": f"{SITE}/new"}))
        put(f"{SITE}/new", Page(b"new"))
        with upstream.fetch(UpstreamRequest(f"{SITE}/old"), largest=MIB, seconds=10) as answer:
            assert answer.status == status
            assert answer.headers["location"] == f"{SITE}/new"
            assert b"".join(answer.body) == b""

    def test_what_is_not_there_is_an_answer_too(self, upstream: Upstream, put: Put) -> None:
        put(f"{SITE}/", Page(b"x"))
        with upstream.fetch(UpstreamRequest(f"{SITE}/gone"), largest=MIB, seconds=10) as answer:
            assert answer.status == 404

    def test_head_has_no_body(self, upstream: Upstream, put: Put) -> None:
        put(f"{SITE}/long", Page(LONG))
        asked = UpstreamRequest(f"{SITE}/long", method="HEAD")
        with upstream.fetch(asked, largest=10, seconds=10) as answer:
            assert answer.headers["content-length"] == str(len(LONG))
            assert list(answer.body) == []

    @pytest.mark.parametrize(
        ("span", "content_range"),
        [
            ((0, 0), "bytes 0-0/1048576"),
            ((100, 70_000), "bytes 100-70000/1048576"),
            ((1_048_000, None), "bytes 1048000-1048575/1048576"),
            ((1_048_000, 2_000_000), "bytes 1048000-1048575/1048576"),
        ],
    )
    def test_a_part(
        self, upstream: Upstream, put: Put, span: tuple[int, int | None], content_range: str
    ) -> None:
        put(f"{SITE}/long", Page(LONG))
        asked = UpstreamRequest(f"{SITE}/long", span=span)
        with upstream.fetch(asked, largest=MIB, seconds=10) as answer:
            assert answer.status == 206
            assert answer.headers["content-range"] == content_range
            last = len(LONG) if span[1] is None else span[1] + 1
            assert b"".join(answer.body) == LONG[span[0] : last]

    def test_a_part_behind_the_end(self, upstream: Upstream, put: Put) -> None:
        put(f"{SITE}/", Page(b"short"))
        asked = UpstreamRequest(f"{SITE}/", span=(5, None))
        with upstream.fetch(asked, largest=MIB, seconds=10) as answer:
            assert answer.status == 416
            assert answer.headers["content-range"] == "bytes */5"

    def test_unchanged_since(self, upstream: Upstream, put: Put) -> None:
        put(f"{SITE}/", Page(b"x", headers={"etag": '"v1"'}))
        asked = UpstreamRequest(f"{SITE}/", etag='"v1"')
        with upstream.fetch(asked, largest=MIB, seconds=10) as answer:
            assert answer.status == 304
            assert list(answer.body) == []

    def test_over_the_limit(self, upstream: Upstream, put: Put) -> None:
        put(f"{SITE}/long", Page(LONG))
        asked = UpstreamRequest(f"{SITE}/long")
        with pytest.raises(UpstreamTooLarge):
            upstream.fetch(asked, largest=len(LONG) - 1, seconds=10)
        with upstream.fetch(asked, largest=len(LONG), seconds=10) as answer:
            assert len(b"".join(answer.body)) == len(LONG)

    def test_a_stop_cuts_in_the_middle(self, upstream: Upstream, put: Put) -> None:
        put(f"{SITE}/long", Page(LONG))
        stop = False
        asked = UpstreamRequest(f"{SITE}/long")
        answer = upstream.fetch(asked, largest=MIB, seconds=10, stopped=lambda: stop)
        body = answer.body
        assert next(body)
        stop = True
        with pytest.raises(UpstreamStopped):
            next(body)
        answer.close()

    def test_a_stop_before_the_beginning(self, upstream: Upstream, put: Put) -> None:
        put(f"{SITE}/", Page(b"x"))
        with pytest.raises(UpstreamStopped):
            upstream.fetch(
                UpstreamRequest(f"{SITE}/"), largest=MIB, seconds=10, stopped=lambda: True
            )

    def test_no_time_at_all(self, upstream: Upstream, put: Put) -> None:
        put(f"{SITE}/", Page(b"x"))
        with pytest.raises(UpstreamTimeout):
            upstream.fetch(UpstreamRequest(f"{SITE}/"), largest=MIB, seconds=0)

    def test_a_body_that_breaks_off(self, upstream: Upstream, put: Put) -> None:
        put(f"{SITE}/", Page(b"half", breaks=UpstreamUnavailable("broken off")))
        answer = upstream.fetch(UpstreamRequest(f"{SITE}/"), largest=MIB, seconds=10)
        with pytest.raises(UpstreamUnavailable):
            list(answer.body)

    def test_a_name_that_nobody_knows(self, upstream: Upstream, put: Put) -> None:
        with pytest.raises(UpstreamNameUnknown):
            upstream.fetch(UpstreamRequest("https://unknown.example/"), largest=MIB, seconds=10)

    @pytest.mark.parametrize(
        "url",
        [
            "http://site.example/",
            "https://site.example",
            "https://site.example:443/",
            "https://user@site.example/",
            "https://SITE.example/",
            "https://site.example./",
            "https://site.example/#part",
            "https://site.example/a/../b",
            "https://site.example/a b",
            "https://site.example/\r\nX: y",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://2130706433/",
            "https://0x7f.1/",
            "//site.example/",
            "",
        ],
    )
    def test_an_address_in_another_form(self, upstream: Upstream, put: Put, url: str) -> None:
        put(f"{SITE}/", Page(b"x"))
        with pytest.raises(UpstreamAddressRefused):
            upstream.fetch(UpstreamRequest(url), largest=MIB, seconds=10)

    @pytest.mark.parametrize(
        "asked",
        [
            UpstreamRequest(f"{SITE}/", cookie="a=1\r\nX: y"),
            UpstreamRequest(f"{SITE}/", cookie="a=\u00e6"),
            UpstreamRequest(f"{SITE}/", cookie=""),
            UpstreamRequest(f"{SITE}/", cookie="a=" + "x" * 9000),
            UpstreamRequest(f"{SITE}/", etag="v1"),
            UpstreamRequest(f"{SITE}/", etag='"v\n1"'),
            UpstreamRequest(f"{SITE}/", span=(-1, None)),
            UpstreamRequest(f"{SITE}/", span=(5, 4)),
            UpstreamRequest(f"{SITE}/", method="HEAD", span=(0, 1)),
            UpstreamRequest(f"{SITE}/", form=b"a=1"),
            UpstreamRequest(f"{SITE}/", method="HEAD", form=b"a=1"),
            UpstreamRequest(f"{SITE}/", method="POST"),
            UpstreamRequest(f"{SITE}/", method="POST", form=b"a=1\r\n"),
            UpstreamRequest(f"{SITE}/", method="POST", form=b"a=" + b"x" * 70_000),
            UpstreamRequest(f"{SITE}/", method="PUT"),  # type: ignore[arg-type]
        ],
    )
    def test_what_no_caller_may_ask(
        self, upstream: Upstream, put: Put, asked: UpstreamRequest
    ) -> None:
        put(f"{SITE}/", Page(b"x"))
        with pytest.raises(ValueError, match=r".+"):
            upstream.fetch(asked, largest=MIB, seconds=10)

    def test_a_form_is_sent(self, upstream: Upstream, put: Put) -> None:
        put(f"{SITE}/search", Page(b"found"))
        asked = UpstreamRequest(f"{SITE}/search", method="POST", form=b"q=%C3%A6+b")
        with upstream.fetch(asked, largest=MIB, seconds=10) as answer:
            assert b"".join(answer.body) == b"found"

    def test_letting_go_of_what_is_kept_ends_nothing(self, upstream: Upstream, put: Put) -> None:
        put(f"{SITE}/long", Page(LONG))
        answer = upstream.fetch(UpstreamRequest(f"{SITE}/long"), largest=MIB, seconds=10)
        upstream.close()
        upstream.close()
        assert b"".join(answer.body) == LONG
        with upstream.fetch(UpstreamRequest(f"{SITE}/long"), largest=MIB, seconds=10) as again:
            assert b"".join(again.body) == LONG

    def test_closing_twice_and_reading_after(self, upstream: Upstream, put: Put) -> None:
        put(f"{SITE}/long", Page(LONG))
        answer = upstream.fetch(UpstreamRequest(f"{SITE}/long"), largest=MIB, seconds=10)
        next(answer.body)
        answer.close()
        answer.close()
        assert list(answer.body) == []
