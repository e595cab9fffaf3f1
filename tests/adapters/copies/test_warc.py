"""WARC files: the contract over what we write and what others do, and what is wrong with some."""

from __future__ import annotations

import gzip
import io
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from warcio.archiveiterator import ArchiveIterator

from dask_platform.adapters.copies import LocalCopies
from dask_platform.adapters.copies.writing import write
from dask_platform.kernel.errors import CopyBroken, Invalid
from dask_platform.kernel.ports import Captured, SiteCopy
from tests.contracts.copies_contract import FILES, HOME, SITE, CopyContract
from tests.copies import AT, captured, http, make_warc, page, warc_record

SECONDS = 60.0
ADDRESSES = ("/start", "/tool", "/mappe/%C3%A6%20%C3%B8", "/list?side=2", "/bilde.png",
             "/film.webm", "/tom.txt")  # fmt: skip
PAGE = page("", "Side", "<p>Hei</p>").body


def answers() -> list[Captured]:
    found = [
        captured(SITE + target, file.body, file.mime)
        for target, file in zip(ADDRESSES, FILES, strict=True)
    ]
    return [*found, captured(f"{SITE}/old", b"", status=301, location="/tool")]


def opened(path: Path) -> SiteCopy:
    LocalCopies().examine(path, seconds=SECONDS)
    return LocalCopies().open(path, "warc")


def whole(copy: SiteCopy, target: str) -> bytes:
    found = copy.get(SITE + target, home=HOME)
    assert found is not None
    return b"".join(found.body)


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> SiteCopy:
    return opened(make_warc(tmp_path_factory.mktemp("warc") / "a.warc", answers()))


@pytest.fixture(scope="module")
def of_others(tmp_path_factory: pytest.TempPathFactory) -> SiteCopy:
    path = tmp_path_factory.mktemp("warc") / "a.warc.gz"
    data = b""
    for target, file in zip(ADDRESSES, FILES, strict=True):
        packed = gzip.compress(file.body)
        body = b"".join(
            b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (packed[:7], packed[7:]) if piece
        )
        head = (
            f"HTTP/1.1 200 OK\r\nContent-Type: {file.mime}\r\nContent-Encoding: gzip\r\n"
            "Transfer-Encoding: chunked\r\n\r\n"
        )
        record = warc_record(SITE + target, head.encode() + body + b"0\r\n\r\n")
        data += gzip.compress(record)
    moved = http(b"", "Location: /tool", status="302 Found")
    path.write_bytes(data + gzip.compress(warc_record(f"{SITE}/old", moved)))
    return opened(path)


class TestWarc(CopyContract):
    @pytest.fixture
    def copy(self, ours: SiteCopy) -> SiteCopy:
        return ours


class TestWarcOfOthers(CopyContract):
    """Each record packed, bodies in chunks and packed once more, as crawlers write them."""

    @pytest.fixture
    def copy(self, of_others: SiteCopy) -> SiteCopy:
        return of_others


# -- writing --------------------------------------------------------------------------------------


def test_others_can_read_what_is_written(tmp_path: Path) -> None:
    path = make_warc(tmp_path / "a.warc", answers(), title="Leksikon")
    with path.open("rb") as file:
        records = [
            (one.rec_type, one.rec_headers.get_header("WARC-Target-URI"),
             one.content_stream().read(), one.digest_checker.passed)
            for one in ArchiveIterator(file, check_digests=True)
        ]  # fmt: skip
    assert records[0][0] == "warcinfo"
    assert "title: Leksikon" in records[0][2].decode()
    assert [one[2] for one in records[1:-1]] == [file.body for file in FILES]
    assert all(passed is not False for *_rest, passed in records)


def test_what_is_written_says_nothing_of_who_asked_or_where() -> None:
    stream = io.BytesIO()
    sent = Captured(
        f"{SITE}/a", AT, 200,
        {"content-type": "text/html", "set-cookie": "hemmelig=1", "x-client": "10.0.0.9"}, [b"x"],
    )  # fmt: skip
    write(stream, [sent])
    said = stream.getvalue().decode().lower()
    for word in ("hemmelig", "10.0.0.9", "hostname", "cookie", "ip-address"):
        assert word not in said


@pytest.mark.parametrize(
    "url", [f"{SITE}/a#b", "http://site.example/", f"{SITE}", f"{SITE}/a b", f"{SITE}/\r\nX: y"]
)
def test_an_address_that_cannot_be_looked_up_is_not_written(url: str) -> None:
    with pytest.raises(Invalid):
        write(io.BytesIO(), [captured(url)])


@given(st.lists(st.tuples(st.integers(0, 5), st.binary(max_size=3000)), min_size=1, max_size=8))
@settings(max_examples=12, deadline=None)
def test_what_is_written_comes_back_and_the_later_one_holds(
    pairs: list[tuple[int, bytes]],
) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.warc"
        made = [captured(f"{SITE}/s{number}", body) for number, body in pairs]
        copy = opened(make_warc(path, made))
        for number, body in dict(pairs).items():
            assert whole(copy, f"/s{number}") == body


def test_bodies_are_taken_as_they_come(tmp_path: Path) -> None:
    taken: list[int] = []

    def chunks() -> Any:
        for number in range(40):
            taken.append(number)
            yield bytes([number]) * 100_000

    path = tmp_path / "a.warc"
    with path.open("wb") as stream:
        one = Captured(f"{SITE}/f", datetime.now(UTC), 200, {"content-type": "video/mp4"}, chunks())
        assert LocalCopies().write(stream, [captured(f"{SITE}/"), one], title="F") == 2
    assert taken == list(range(40))
    assert len(whole(opened(path), "/f")) == 4_000_000


# -- what others write ----------------------------------------------------------------------------


def records(tmp_path: Path, *more: bytes) -> Path:
    path = tmp_path / "a.warc"
    path.write_bytes(warc_record(f"{SITE}/start", http(PAGE)) + b"".join(more))
    return path


def test_what_is_not_a_whole_answer_is_left_out_and_counted(tmp_path: Path) -> None:
    path = records(
        tmp_path,
        warc_record(f"{SITE}/feil", http(PAGE, status="500 Error")),
        warc_record(f"{SITE}/del", http(PAGE, "Content-Range: bytes 0-5/99", status="206 Partial")),
        warc_record(f"{SITE}/br", http(b"x", "Content-Encoding: br")),
        warc_record(f"{SITE}/to", http(b"x", "Content-Encoding: gzip, gzip")),
        warc_record("ftp://site.example/x", http(PAGE)),
        warc_record("https://127.0.0.1/x", http(PAGE)),
        warc_record(f"{SITE}/gammel", http(PAGE), kind="revisit"),
        warc_record(f"{SITE}/start", http(PAGE), kind="request"),
        warc_record(f"{SITE}/til", http(b"", status="302 Found")),
    )
    facts = LocalCopies().examine(path, seconds=SECONDS)
    assert (facts.pages, facts.files, facts.left_out) == (1, 1, 7)
    copy = LocalCopies().open(path, "warc")
    for name in ("feil", "del", "br", "to", "gammel", "til"):
        assert copy.get(f"{SITE}/{name}", home=HOME) is None


def test_http_is_read_as_https_and_addresses_as_browsers_write_them(tmp_path: Path) -> None:
    path = records(
        tmp_path,
        warc_record("http://site.example/gammel", http(b"g")),
        warc_record("https://SITE.example:443/a/../b c", http(b"b")),
    )
    copy = opened(path)
    assert whole(copy, "/gammel") == b"g"
    assert whole(copy, "/b%20c") == b"b"


def test_chunks_that_were_put_together_already_are_taken_as_they_are(tmp_path: Path) -> None:
    path = records(
        tmp_path, warc_record(f"{SITE}/x", http(b"<p>hele</p>", "Transfer-Encoding: chunked"))
    )
    assert whole(opened(path), "/x") == b"<p>hele</p>"


def test_a_type_with_a_line_break_in_it_does_not_get_through(tmp_path: Path) -> None:
    odd = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n X-Evil: 1; charset=a\nb\r\n\r\nx"
    copy = opened(records(tmp_path, warc_record(f"{SITE}/x", odd)))
    found = copy.get(f"{SITE}/x", home=HOME)
    assert found is not None
    assert "\n" not in found.content_type
    assert found.content_type.partition(";")[0] in ("text/html", "application/octet-stream")
    found.body.close()


BOMB = gzip.compress(b"\0" * (90 * 1024 * 1024))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(http(BOMB, "Content-Encoding: gzip"), id="packed body"),
        pytest.param(
            http(b"%x\r\n%s\r\n0\r\n\r\n" % (len(BOMB), BOMB), "Content-Encoding: gzip",
                 "Transfer-Encoding: chunked"),
            id="packed body in one chunk",
        ),
        pytest.param(http(b"7fffffff\r\nx", "Transfer-Encoding: chunked"), id="endless chunk"),
        pytest.param(http(b"\x1f\x8b" + b"x" * 50, "Content-Encoding: gzip"), id="not packed"),
        pytest.param(
            http(gzip.compress(b"a" * 900)[:-9], "Content-Encoding: gzip"), id="cut off"
        ),
        pytest.param(http(zlib.compress(b"x") + b"more", "Content-Encoding: deflate"), id="more"),
    ],
)  # fmt: skip
def test_a_body_that_cannot_be_unpacked_within_limits_is_refused(
    tmp_path: Path, data: bytes
) -> None:
    path = records(tmp_path, warc_record(f"{SITE}/x", data))
    with pytest.raises(CopyBroken):
        LocalCopies().examine(path, seconds=SECONDS)


def test_packed_records_that_unpack_to_too_much_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    body = b"\0" * (90 * 1024 * 1024)
    path.write_bytes(gzip.compress(warc_record(f"{SITE}/x", http(body))))
    with pytest.raises(CopyBroken):
        LocalCopies().examine(path, seconds=SECONDS)


def test_a_line_without_an_end_swallows_nothing_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "a.warc.gz"
    packer = zlib.compressobj(level=1, wbits=31)
    with path.open("wb") as file:
        file.write(packer.compress(b"WARC/1.0\r\nWARC-Type: response\r\nX: "))
        for _number in range(700):
            file.write(packer.compress(b"a" * 1024 * 1024))
        file.write(packer.flush())
    with pytest.raises(CopyBroken):
        LocalCopies().examine(path, seconds=SECONDS)


@pytest.mark.parametrize("keep", [40, 200, 400, -3, -30])
def test_a_file_that_was_cut_off_is_noticed(tmp_path: Path, keep: int) -> None:
    path = make_warc(tmp_path / "a.warc", answers())
    data = path.read_bytes()
    path.write_bytes(data[: keep if keep > 0 else len(data) + keep - 300])
    with pytest.raises(CopyBroken):
        LocalCopies().examine(path, seconds=SECONDS)


@given(st.binary(max_size=400))
@settings(max_examples=8, deadline=None)
def test_any_bytes_are_answered_with_a_sentence(data: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.warc"
        path.write_bytes(b"WARC/1.1\r\n" + data)
        with pytest.raises(CopyBroken):
            LocalCopies().examine(path, seconds=SECONDS)
