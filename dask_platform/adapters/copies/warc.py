"""A copy made of captured answers, in a WARC file."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

from warcio.archiveiterator import ArchiveIterator  # type: ignore[import-untyped]
from warcio.exceptions import ArchiveLoadFailed  # type: ignore[import-untyped]

from dask_platform.adapters.copies import warc_index
from dask_platform.adapters.copies.common import (
    CHUNK,
    answer_of,
    cut,
    nothing,
    reach,
)
from dask_platform.adapters.copies.decoding import UNREADABLE, decoded
from dask_platform.adapters.copies.warc_index import Place
from dask_platform.kernel.errors import CopyBroken
from dask_platform.kernel.ports import CopyAnswer, CopyFile, CopyPage


class WarcCopy:
    """See :class:`dask_platform.kernel.ports.SiteCopy`. ``index`` is what ``warc_index`` made."""

    searchable = False

    def __init__(self, path: Path, index: Path) -> None:
        self._path = path
        self._index = index

    def get(
        self, url: str, *, home: str, span: tuple[int, int | None] | None = None
    ) -> CopyAnswer | None:
        place = warc_index.find(self._index, url)
        if place is None:
            if url != f"https://{home}/":
                return None
            # The front page was not among what was captured: begin where the capture began.
            main = warc_index.main_page(self._index, home)
            return CopyAnswer(302, "", 0, nothing(), location=main) if main else None
        if place.location is not None:
            return CopyAnswer(302, "", 0, nothing(), location=place.location)
        first, last = reach(span, place.size) or (0, -1)
        body = self._read(place, first, last - first + 1)
        return answer_of(place.content_type, place.size, span, body)

    def search(self, words: str, *, home: str, most: int) -> list[CopyPage]:
        return []

    def files(self) -> Iterator[CopyFile]:
        for url, place in warc_index.all_answers(self._index):
            yield CopyFile(url, place.content_type, place.size, self._read(place, 0, place.size))

    def _read(self, place: Place, first: int, count: int) -> Generator[bytes, None, None]:
        """``count`` bytes of a body from ``first`` on. Of a packed record, what comes before is
        unpacked and dropped."""
        with self._path.open("rb") as file:
            if place.start is not None:
                file.seek(place.start + first)
                while count > 0 and (chunk := file.read(min(count, CHUNK))):
                    count -= len(chunk)
                    yield chunk
                return
            file.seek(place.offset)
            try:
                record = next(iter(ArchiveIterator(file, block_size=16 * 1024)))
            except (ArchiveLoadFailed, StopIteration):
                raise CopyBroken(UNREADABLE) from None
            chunked, packing = warc_index.coding(record)
            whole = decoded(record.raw_stream, chunked=chunked, packing=packing, most=place.size)
            yield from cut(whole, first, count)
