"""What goes out: the same for everybody, byte for byte."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_platform.adapters.upstream import HttpsUpstream, Page, Voice
from dask_platform.adapters.upstream.request import outgoing
from dask_platform.kernel.errors import UpstreamAddressRefused
from dask_platform.kernel.ports import UpstreamRequest
from tests.adapters.upstream.conftest import HOST, VOICE, Setting
from tests.adapters.upstream.servers import honest

FIXED = (
    b"Host: site.example\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: */*\r\n"
    b"Accept-Language: nb\r\nAccept-Encoding: "
)


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        (
            UpstreamRequest(f"https://{HOST}/a/b%C3%A5?q=1&r=a%26b"),
            b"GET /a/b%C3%A5?q=1&r=a%26b HTTP/1.1\r\n" + FIXED + b"gzip\r\n\r\n",
        ),
        (
            UpstreamRequest(f"https://{HOST}/", method="HEAD"),
            b"HEAD / HTTP/1.1\r\n" + FIXED + b"identity\r\n\r\n",
        ),
        (
            UpstreamRequest(f"https://{HOST}/v", span=(0, None)),
            b"GET /v HTTP/1.1\r\n" + FIXED + b"identity\r\nRange: bytes=0-\r\n\r\n",
        ),
        (
            UpstreamRequest(f"https://{HOST}/", cookie="a=1; b=2", etag='W/"x"'),
            b"GET / HTTP/1.1\r\n"
            + FIXED
            + b'gzip\r\nIf-None-Match: W/"x"\r\nCookie: a=1; b=2\r\n\r\n',
        ),
        (
            UpstreamRequest(f"https://{HOST}/s", method="POST", form=b"q=a+b"),
            b"POST /s HTTP/1.1\r\n"
            + FIXED
            + b"gzip\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 5"
            + b"\r\n\r\nq=a+b",
        ),
    ],
)
def test_the_very_bytes(
    setting: Setting, upstream: HttpsUpstream, asked: UpstreamRequest, sent: bytes
) -> None:
    setting.web.answer = honest({})
    upstream.fetch(asked, largest=100, seconds=5).close()
    assert setting.web.requests == [sent]


@given(
    url=st.one_of(
        st.text(max_size=30).map(lambda text: f"https://{HOST}/{text}"),
        st.text(alphabet="/.%0dDaA\r\n\t :?&=;#\\", max_size=20).map(
            lambda text: f"https://{HOST}/{text}"
        ),
    ),
    cookie=st.none() | st.text(max_size=20),
    etag=st.none() | st.text(max_size=10),
    form=st.none() | st.binary(max_size=20),
)
def test_nothing_makes_a_second_line(
    url: str, cookie: str | None, etag: str | None, form: bytes | None
) -> None:
    method = "GET" if form is None else "POST"
    asked = UpstreamRequest(url, method=method, cookie=cookie, etag=etag, form=form)  # type: ignore[arg-type]
    try:
        made = outgoing(asked, VOICE)
    except (UpstreamAddressRefused, ValueError):
        return
    head, _, body = made.data.partition(b"\r\n\r\n")
    assert body == (form or b"")
    lines = head.split(b"\r\n")
    assert lines[0] == f"{method} {url.removeprefix(f'https://{HOST}')} HTTP/1.1".encode()
    names = [line.split(b":")[0] for line in lines[1:]]
    assert names[:5] == [b"Host", b"User-Agent", b"Accept", b"Accept-Language", b"Accept-Encoding"]
    assert len(names) == 5 + (etag is not None) + (cookie is not None) + 2 * (form is not None)
    assert not any(byte in head.replace(b"\r\n", b"") for byte in (0, 10, 13))


@pytest.mark.parametrize("text", ["", "a\r\nX: b", "blåbær", "a\0"])
def test_a_voice_that_cannot_stand_in_a_header(text: str) -> None:
    with pytest.raises(ValueError, match="header"):
        Voice(text)
    with pytest.raises(ValueError, match="header"):
        Voice("a", text)


@pytest.mark.parametrize(
    ("etag", "passes"),
    [('"a"', True), ('W/"a-b"', True), ("a", False), ('"a', False), ('"a b"', False)],
)
def test_an_etag_that_could_not_be_sent_back_does_not_pass(
    setting: Setting, upstream: HttpsUpstream, etag: str, passes: bool
) -> None:
    setting.web.answer = honest({"/": Page(b"x", headers={"etag": etag})})
    with upstream.fetch(UpstreamRequest(f"https://{HOST}/"), largest=9, seconds=5) as answer:
        assert ("etag" in answer.headers) is passes


def test_a_packed_length_does_not_pass(setting: Setting, upstream: HttpsUpstream) -> None:
    packed = gzip.compress(b"words")
    setting.web.answer = honest({"/": Page(packed, headers={"Content-Encoding": "gzip"})})
    with upstream.fetch(UpstreamRequest(f"https://{HOST}/"), largest=99, seconds=5) as answer:
        assert b"".join(answer.body) == b"words"
        assert "content-length" not in answer.headers
