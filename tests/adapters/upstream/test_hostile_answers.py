"""Answers that break a rule of HTTP are refused, each by name; none is repaired."""

from __future__ import annotations

import gzip
import ssl
import zlib

import pytest

from dask_platform.adapters.upstream import HttpsUpstream
from dask_platform.kernel.errors import (
    UpstreamAnswerRefused,
    UpstreamError,
    UpstreamTooLarge,
    UpstreamUnavailable,
)
from dask_platform.kernel.ports import UpstreamRequest
from tests.adapters.upstream.conftest import HOST, Setting
from tests.adapters.upstream.servers import saying

MIB = 1024 * 1024
PAGE = UpstreamRequest(f"https://{HOST}/")
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def body_of(
    upstream: HttpsUpstream, asked: UpstreamRequest = PAGE, largest: int = 4 * MIB
) -> bytes:
    with upstream.fetch(asked, largest=largest, seconds=5) as answer:
        return b"".join(answer.body)


GOOD = {
    "length": OK + b"Content-Length: 5\r\n\r\nhello",
    "no reason phrase": b"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello",
    "a reason in Norwegian": "HTTP/1.1 200 Gjør det\r\n".encode()
    + b"Content-Length: 5\r\n\r\nhello",
    "until closed": OK + b"\r\nhello",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\nhello",
    "chunked": CHUNKED + b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
    "chunked with capitals": OK
    + b"TRANSFER-ENCODING: Chunked\r\n\r\n00000002\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
    "a trailer": CHUNKED + b"5\r\nhello\r\n0\r\nServer-Timing: a;dur=1\r\n\r\n",
    "blanks around a value": OK + b"Content-Length: \t 5 \t\r\n\r\nhello",
    "an empty header": OK + b"X-Empty:\r\nContent-Length: 5\r\n\r\nhello",
    "announcements": b"HTTP/1.1 103 Early\r\nLink: <x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
    + OK
    + b"Content-Length: 5\r\n\r\nhello",
    "gzip": OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"hello"),
    "deflate": OK + b"Content-Encoding: deflate\r\n\r\n" + zlib.compress(b"hello"),
    "identity": OK + b"Content-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello",
}


@pytest.mark.parametrize("name", GOOD)
def test_what_is_right_passes(setting: Setting, upstream: HttpsUpstream, name: str) -> None:
    setting.web.answer = saying(GOOD[name])
    assert body_of(upstream) == b"hello"


BAD = {
    # Two readers, two ends of the body.
    "CL.TE": OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "TE.CL": OK + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "TE.TE": OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "TE of two": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "TE identity": OK + b"Transfer-Encoding: identity\r\n\r\nhello",
    "TE with a vertical tab": OK + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "TE quoted": OK + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "TE with a blank before the colon": OK + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "TE in HTTP/1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "TE with 204": b"HTTP/1.1 204 None\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "CL with 204": b"HTTP/1.1 204 None\r\nContent-Length: 5\r\n\r\nhello",
    "two lengths": OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "two equal lengths": OK + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "a list of lengths": OK + b"Content-Length: 5, 5\r\n\r\nhello",
    "a signed length": OK + b"Content-Length: +5\r\n\r\nhello",
    "a negative length": OK + b"Content-Length: -5\r\n\r\nhello",
    "a length in hex": OK + b"Content-Length: 0x5\r\n\r\nhello",
    "an underscored length": OK + b"Content-Length: 1_0\r\n\r\nhellohello",
    "an empty length": OK + b"Content-Length:\r\n\r\nhello",
    "a length past counting": OK + b"Content-Length: 99999999999999999999\r\n\r\nhello",
    "bytes behind the length": OK + b"Content-Length: 5\r\n\r\nhello" + OK + b"\r\n",
    "bytes behind the last chunk": CHUNKED + b"5\r\nhello\r\n0\r\n\r\n" + OK + b"\r\n",
    "bytes behind a 304": b"HTTP/1.1 304 Same\r\n\r\nhello",
    # Lines.
    "bare LF": b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
    "bare LF in one header": OK + b"X-A: b\nContent-Length: 5\r\n\r\nhello",
    "bare LF in the empty line": OK + b"Content-Length: 5\r\n\nhello",
    "bare CR in a header": OK + b"X-A: b\rSet-Cookie: a=1\r\nContent-Length: 5\r\n\r\nhello",
    "CR CR LF": OK + b"Content-Length: 5\r\r\n\r\nhello",
    "NUL in a header": OK + b"X-A: b\0c\r\nContent-Length: 5\r\n\r\nhello",
    "obs-fold": OK + b"X-A: b\r\n c\r\nContent-Length: 5\r\n\r\nhello",
    "obs-fold with a tab": OK + b"X-A: b\r\n\tc\r\nContent-Length: 5\r\n\r\nhello",
    "obs-fold at the beginning": OK + b" X-A: b\r\nContent-Length: 5\r\n\r\nhello",
    "a header without colon": OK + b"Content-Length 5\r\n\r\nhello",
    "a header without name": OK + b": 5\r\n\r\nhello",
    "a name with a blank": OK + b"Content Length: 5\r\n\r\nhello",
    "a name that is no token": OK + b"X(A): 5\r\n\r\nhello",
    "a name in UTF-8": OK + "X-Å: 5\r\n\r\nhello".encode(),
    "a control character in a value": OK + b"X-A: \x1b[31m\r\n\r\nhello",
    # Status lines.
    "an empty line first": b"\r\n" + OK + b"\r\nhello",
    "no status line": b"hello\r\n\r\n",
    "HTTP/0.9": b"<html>hello</html>\r\n\r\n",
    "HTTP/2": b"HTTP/2 200 OK\r\n\r\nhello",
    "HTTP/1.2": b"HTTP/1.2 200 OK\r\n\r\nhello",
    "http in small letters": b"http/1.1 200 OK\r\n\r\nhello",
    "two blanks": b"HTTP/1.1  200 OK\r\n\r\nhello",
    "a status of two digits": b"HTTP/1.1 20 OK\r\n\r\nhello",
    "a status of four digits": b"HTTP/1.1 2000 OK\r\n\r\nhello",
    "a status out of range": b"HTTP/1.1 999 OK\r\n\r\nhello",
    "another protocol": b"SSH-2.0-OpenSSH_9.9\r\n\r\n",
    # Chunks.
    "a chunk size that is none": CHUNKED + b"x\r\nhello\r\n0\r\n\r\n",
    "an empty chunk size": CHUNKED + b"\r\nhello\r\n0\r\n\r\n",
    "a chunk size with 0x": CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n",
    "a negative chunk size": CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n",
    "a signed chunk size": CHUNKED + b"+5\r\nhello\r\n0\r\n\r\n",
    "a chunk size past counting": CHUNKED + b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    "a blank before the chunk size": CHUNKED + b" 5\r\nhello\r\n0\r\n\r\n",
    "a blank behind the chunk size": CHUNKED + b"5 \r\nhello\r\n0\r\n\r\n",
    "a chunk extension": CHUNKED + b"5;a=b\r\nhello\r\n0\r\n\r\n",
    "a bare LF behind the chunk size": CHUNKED + b"5\nhello\r\n0\r\n\r\n",
    "a bare CR in the chunk size": CHUNKED + b"5\r5\r\nhello\r\n0\r\n\r\n",
    "a chunk longer than its size": CHUNKED + b"4\r\nhello\r\n0\r\n\r\n",
    "a chunk shorter than its size": CHUNKED + b"6\r\nhello\r\n0\r\n\r\n",
    "a chunk without its end": CHUNKED + b"5\r\nhello0\r\n\r\n",
    "a bare LF behind a chunk": CHUNKED + b"5\r\nhello\n0\r\n\r\n",
    "a folded trailer": CHUNKED + b"5\r\nhello\r\n0\r\nA: b\r\n c\r\n\r\n",
    "a bare LF in a trailer": CHUNKED + b"5\r\nhello\r\n0\r\nA: b\n\n",
    "a trailer without colon": CHUNKED + b"5\r\nhello\r\n0\r\nA\r\n\r\n",
    "an endless trailer": CHUNKED + b"5\r\nhello\r\n0\r\n" + b"A: b\r\n" * 5000,
    "one long trailer": CHUNKED + b"5\r\nhello\r\n0\r\nA: " + b"b" * 20_000,
    # What a header could bring in.
    "two places to go": b"HTTP/1.1 302 There\r\nLocation: https://a.example/\r\n"
    b"Location: https://b.example/\r\nContent-Length: 0\r\n\r\n",
    "two types": OK + b"Content-Type: text/plain\r\nContent-Type: text/html\r\n\r\nhello",
    # Too much before the beginning.
    "too many headers": OK + b"".join(b"X-%d: y\r\n" % n for n in range(101)) + b"\r\nhello",
    "a header too long": OK + b"X-A: " + b"b" * 17_000 + b"\r\n\r\nhello",
    "a name too long": OK + b"X" * 300 + b": b\r\n\r\nhello",
    "a status line too long": b"HTTP/1.1 200 " + b"O" * 17_000 + b"\r\n\r\nhello",
    "a head too long": OK
    + b"".join(b"X-%d: %s\r\n" % (n, b"y" * 900) for n in range(90))
    + b"\r\n",
    "endless headers": OK + b"X-A: b\r\n" * 20_000,
    "one endless header": OK + b"X-A: " + b"b" * 200_000,
    "a flood of 1xx": b"HTTP/1.1 103 Early\r\n\r\n" * 5 + OK + b"\r\nhello",
    "switching protocols": b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n",
    # Packing.
    "packed twice": OK
    + b"Content-Encoding: gzip, gzip\r\n\r\n"
    + gzip.compress(gzip.compress(b"x")),
    "packed twice in two headers": OK
    + b"Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n\r\n"
    + gzip.compress(gzip.compress(b"x")),
    "brotli": OK + b"Content-Encoding: br\r\n\r\nhello",
    "an unknown packing": OK + b"Content-Encoding: aes128gcm\r\n\r\nhello",
    "an empty packing": OK + b"Content-Encoding:\r\n\r\nhello",
    "not packed at all": OK + b"Content-Encoding: gzip\r\n\r\nhello",
    "raw deflate": OK + b"Content-Encoding: deflate\r\n\r\n" + zlib.compress(b"hello")[2:-4],
    "a second packed stream": OK
    + b"Content-Encoding: gzip\r\n\r\n"
    + gzip.compress(b"hello")
    + gzip.compress(b"hello"),
    "a wrong checksum": OK
    + b"Content-Encoding: gzip\r\n\r\n"
    + gzip.compress(b"hello")[:-8]
    + bytes(8),
    # Parts.
    "a part that nobody asked for": b"HTTP/1.1 206 Part\r\nContent-Range: bytes 0-4/9\r\n"
    b"Content-Length: 5\r\n\r\nhello",
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_refused(setting: Setting, upstream: HttpsUpstream, name: str) -> None:
    setting.web.answer = saying(BAD[name])
    with pytest.raises(UpstreamAnswerRefused):
        body_of(upstream)
    setting.web.answer = saying(GOOD["length"])
    assert body_of(upstream) == b"hello"
    assert setting.web.accepted == 2, "a connection that misbehaved was used again"


CUT = {
    "nothing": b"",
    "half a status line": b"HTTP/1.1 20",
    "half a head": OK + b"Content-Le",
    "shorter than its length": OK + b"Content-Length: 5\r\n\r\nhell",
    "no last chunk": CHUNKED + b"5\r\nhello\r\n",
    "half a chunk": CHUNKED + b"5\r\nhel",
    "no end of the trailer": CHUNKED + b"5\r\nhello\r\n0\r\n",
}


@pytest.mark.parametrize("name", CUT)
def test_what_breaks_off_is_not_whole(setting: Setting, upstream: HttpsUpstream, name: str) -> None:
    setting.web.answer = saying(CUT[name])
    with pytest.raises(UpstreamUnavailable):
        body_of(upstream)


def test_a_packed_body_that_breaks_off(setting: Setting, upstream: HttpsUpstream) -> None:
    packed = gzip.compress(b"hello")[:-4]
    head = OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    setting.web.answer = saying(head + packed)
    with pytest.raises(UpstreamAnswerRefused):
        body_of(upstream)


def test_a_body_cut_without_the_end_of_tls(setting: Setting, upstream: HttpsUpstream) -> None:
    """Without a length, only TLS says that all has come: else anybody on the way could cut."""

    def cut(line: ssl.SSLSocket, request: bytes) -> bool:
        line.sendall(OK + b"\r\nhel")
        raise ConnectionAbortedError

    setting.web.answer = cut
    with pytest.raises(UpstreamUnavailable):
        body_of(upstream)


ASKED = UpstreamRequest(f"https://{HOST}/", span=(10, 19))
PART = b"HTTP/1.1 206 Part\r\nContent-Length: %d\r\nContent-Range: %s\r\n\r\n"


def test_the_part_that_was_asked_for(setting: Setting, upstream: HttpsUpstream) -> None:
    setting.web.answer = saying(PART % (10, b"bytes 10-19/100") + b"0123456789")
    assert body_of(upstream, ASKED) == b"0123456789"


@pytest.mark.parametrize(
    "answer",
    [
        PART % (10, b"bytes 0-9/100") + b"0123456789",
        PART % (11, b"bytes 10-20/100") + b"0123456789a",
        PART % (9, b"bytes 10-19/100") + b"012345678",
        PART % (10, b"bytes 10-19/15") + b"0123456789",
        PART % (10, b"bytes 19-10/100") + b"0123456789",
        PART % (10, b"items 10-19/100") + b"0123456789",
        PART % (10, b"bytes 10-19/100, bytes 30-39/100") + b"0123456789",
        b"HTTP/1.1 206 Part\r\nContent-Type: multipart/byteranges; boundary=x\r\n\r\n--x--",
        b"HTTP/1.1 206 Part\r\nContent-Range: bytes 10-19/100\r\nContent-Encoding: gzip\r\n\r\n",
    ],
)
def test_another_part_is_refused(setting: Setting, upstream: HttpsUpstream, answer: bytes) -> None:
    setting.web.answer = saying(answer)
    with pytest.raises(UpstreamAnswerRefused):
        body_of(upstream, ASKED)


# --- too much ------------------------------------------------------------------------------------


def packed(data: bytes) -> bytes:
    return OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(data, 9)


def read_until_refused(upstream: HttpsUpstream, largest: int) -> int:
    """How many bytes came before it was found to be too much."""
    came: list[int] = []
    with upstream.fetch(PAGE, largest=largest, seconds=10) as answer:
        sizes = map(len, answer.body)
        with pytest.raises(UpstreamTooLarge):
            came.extend(sizes)
    return sum(came)


def test_a_page_that_packs_well_passes(setting: Setting, upstream: HttpsUpstream) -> None:
    setting.web.answer = saying(packed(b"a" * MIB))
    assert body_of(upstream) == b"a" * MIB


def test_a_bomb_is_refused_by_its_ratio(setting: Setting, upstream: HttpsUpstream) -> None:
    setting.web.answer = saying(packed(bytes(50 * MIB)))
    assert read_until_refused(upstream, largest=1000 * MIB) < 5 * MIB


def test_unpacked_over_the_limit(setting: Setting, upstream: HttpsUpstream) -> None:
    setting.web.answer = saying(packed(b"a" * 100_001))
    with pytest.raises(UpstreamTooLarge):
        body_of(upstream, largest=100_000)


def test_a_packed_stream_of_nothing_without_end(setting: Setting, upstream: HttpsUpstream) -> None:
    empty_blocks = b"\x00\x00\x00\xff\xff" * 40_000
    setting.web.answer = saying(OK + b"Content-Encoding: deflate\r\n\r\n\x78\x9c" + empty_blocks)
    with pytest.raises(UpstreamTooLarge):
        body_of(upstream, largest=1000)


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"Content-Length: 1001\r\n\r\n" + b"x" * 1001,
        OK + b"\r\n" + b"x" * 1001,
        CHUNKED + b"1f5\r\n" + b"x" * 501 + b"\r\n1f5\r\n" + b"x" * 501 + b"\r\n0\r\n\r\n",
    ],
)
def test_over_the_limit_however_it_is_framed(
    setting: Setting, upstream: HttpsUpstream, answer: bytes
) -> None:
    setting.web.answer = saying(answer)
    with pytest.raises(UpstreamTooLarge):
        body_of(upstream, largest=1000)


def test_an_endless_body_is_read_to_the_limit_only(
    setting: Setting, upstream: HttpsUpstream
) -> None:
    def flood(line: ssl.SSLSocket, request: bytes) -> bool:
        line.sendall(OK + b"\r\n")
        while True:
            line.sendall(bytes(65536))

    setting.web.answer = flood
    assert read_until_refused(upstream, largest=2 * MIB) <= 2 * MIB


def test_the_reason_is_for_the_log_and_not_for_the_page(
    setting: Setting, upstream: HttpsUpstream
) -> None:
    setting.web.answer = saying(b"HTTP/1.1 200 OK\r\nX-Secret 1\r\n\r\n")
    with pytest.raises(UpstreamError) as caught:
        body_of(upstream)
    assert "X-Secret" in caught.value.reason
    assert "X-Secret" not in str(caught.value)
