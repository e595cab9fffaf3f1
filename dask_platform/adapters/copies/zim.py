"""A copy in a ZIM file, as Kiwix and zimit make them."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Final, Literal
from urllib.parse import quote, unquote_plus

from libzim.reader import (  # type: ignore[import-untyped]
    Archive,
    Entry,
    Item,
    set_cluster_cache_max_size,
)
from libzim.search import Query, Searcher  # type: ignore[import-untyped]
from libzim.suggestion import SuggestionSearcher  # type: ignore[import-untyped]

from dask_platform.adapters.copies.common import (
    BROKEN,
    CHUNK,
    FIRST,
    MOST_STEPS,
    WHOLE_SENTENCE,
    answer_of,
    content_type,
    is_page,
    most_unpacked,
    nothing,
    one_line,
    reach,
)
from dask_platform.kernel.errors import CopyBroken
from dask_platform.kernel.messages import N_
from dask_platform.kernel.ports import CopyAnswer, CopyFacts, CopyFile, CopyPage
from dask_platform.security.weburl import BadAddress, WebAddress, is_host, parse

#: Unpacked parts that a process keeps, in bytes, over all its copies.
KEPT_UNPACKED: Final = 32 * 1024 * 1024
_ANYWHERE: Final = "site.example"
#: What stands in the path of an address as it is; all else is escaped.
_SAFE: Final = "/!$&'()*+,:=@-._~"

set_cluster_cache_max_size(KEPT_UNPACKED)


class ZimCopy:
    """See :class:`dask_platform.kernel.ports.SiteCopy`.

    A file of Kiwix has its pages under paths of its own (``Hammer``); one that zimit made has them
    under their hosts (``site.no/hammer?id=2``, decoded). Both are tried, in this order; so a link
    that climbs out of its host's folder, as zimit writes links to other hosts, is found as well.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._archive = Archive(path)
        except RuntimeError:
            raise CopyBroken(BROKEN) from None

    @property
    def searchable(self) -> bool:
        return bool(self._archive.has_fulltext_index or self._archive.has_title_index)

    def get(
        self, url: str, *, home: str, span: tuple[int, int | None] | None = None
    ) -> CopyAnswer | None:
        try:
            address = parse(url)
        except BadAddress:
            return None
        entry = self._entry(address, home)
        if entry is None:
            return None
        last = _followed(entry)
        if last is None:
            return None
        if last.path != entry.path or not _stands_at(last, address, home):
            # Sent on, so that what the page links to is looked for beside its own address.
            location = address_of(last.path, home)
            return CopyAnswer(302, "", 0, nothing(), location=location) if location else None
        item = last.get_item()
        first, end = reach(span, item.size) or (0, -1)
        body = _read(item, first, end - first + 1)
        return answer_of(content_type(item.mimetype), item.size, span, body)

    def search(self, words: str, *, home: str, most: int) -> list[CopyPage]:
        found = []
        for path in self._paths_for(words, most):
            with suppress(KeyError):
                entry = self._archive.get_entry_by_path(path)
                address = address_of(path, home)
                if address is not None:
                    found.append(CopyPage(address, one_line(entry.title) or path))
        return found

    def files(self) -> Iterator[CopyFile]:
        for entry in self._entries(self._archive.entry_count):
            if not entry.is_redirect:
                item = entry.get_item()
                body = _read(item, 0, item.size)
                yield CopyFile(entry.path, content_type(item.mimetype), item.size, body)

    def facts(self) -> CopyFacts:
        """Read all of the file, every entry to its last byte. Raises ``CopyBroken``."""
        archive = self._archive
        if not archive.check():
            raise CopyBroken(BROKEN)
        main = _followed(archive.main_entry) if archive.has_main_entry else None
        begin = _listed(main) if main else None
        if main is None or begin is None:
            raise CopyBroken(N_("The ZIM file has no first page."))
        looked = _Looked(most_unpacked(archive.filesize))
        for number, entry in enumerate(self._entries(archive.all_entry_count)):
            looked.take(entry, shown=number < archive.entry_count)
        first = (begin, *(one for one in looked.first if one != begin))
        self.search("a", home=_ANYWHERE, most=1)
        return CopyFacts(
            kind="zim",
            title=self._said("Title") or one_line(main.title) or main.path,
            language=self._said("Language"),
            made_on=_day(self._said("Date")),
            main=begin.address,
            hosts=tuple(sorted(looked.hosts))[:FIRST],
            pages=looked.pages,
            files=looked.files,
            unpacked=looked.unpacked,
            search=self._index(),
            first=first[:FIRST],
            left_out=sum(looked.left_out.values()),
            findings=tuple(looked.left_out),
        )

    def _entry(self, address: WebAddress, home: str) -> Entry | None:
        for path in _names(address, home):
            with suppress(KeyError):
                return self._archive.get_entry_by_path(path)
        if address.text == f"https://{home}/" and self._archive.has_main_entry:
            return self._archive.main_entry
        return None

    def _entries(self, count: int) -> Iterator[Entry]:
        for number in range(count):
            yield self._archive._get_entry_by_id(number)

    def _paths_for(self, words: str, most: int) -> Iterable[str]:
        # A searcher is not to be shared between threads.
        if self._archive.has_fulltext_index:
            found = Searcher(self._archive).search(Query().set_query(words)).getResults(0, most)
            return list(found)
        if self._archive.has_title_index:
            return list(SuggestionSearcher(self._archive).suggest(words).getResults(0, most))
        return []

    def _index(self) -> Literal["nothing", "text", "titles"]:
        if self._archive.has_fulltext_index:
            return "text"
        return "titles" if self._archive.has_title_index else "nothing"

    def _said(self, name: str) -> str:
        if name not in self._archive.metadata_keys:
            return ""
        return one_line(self._archive.get_metadata(name)[:2000].decode("utf-8", "replace"))


class _Looked:
    """What was seen on the way through all entries."""

    def __init__(self, most: int) -> None:
        self.first: list[CopyPage] = []
        self.hosts: set[str] = set()
        self.left_out: Counter[str] = Counter()
        self.pages = self.files = self.unpacked = 0
        self._most = most

    def take(self, entry: Entry, *, shown: bool) -> None:
        if entry.is_redirect:
            if _followed(entry) is None:
                self.left_out[N_("Redirects that lead nowhere are left out.")] += 1
            return
        item = entry.get_item()
        self.unpacked += item.size
        if self.unpacked > self._most:
            raise CopyBroken(WHOLE_SENTENCE)
        for chunk in _read(item, 0, item.size):
            zlib.crc32(chunk)
        if not shown:
            return
        self.files += 1
        host, slash, _rest = entry.path.partition("/")
        if slash and is_host(host):
            self.hosts.add(host)
        listed = _listed(entry)
        if listed is None:
            self.left_out[N_("Files at addresses that cannot be asked for are left out.")] += 1
        elif is_page(content_type(item.mimetype)):
            self.pages += 1
            if len(self.first) < FIRST:
                self.first.append(listed)


def address_of(path: str, home: str) -> str | None:
    """The canonical address of what lies at ``path`` in a file; None where it can have none."""
    inside = path.removeprefix(f"{home}/")
    address = f"https://{home}/{quote(inside, safe=_SAFE)}"
    try:
        return parse(address).text
    except BadAddress:
        return None


def _listed(entry: Entry) -> CopyPage | None:
    """The entry as the facts name it: its target on whichever host the copy will stand for."""
    address = address_of(entry.path, _ANYWHERE)
    if address is None:
        return None
    return CopyPage(address.removeprefix(f"https://{_ANYWHERE}"), one_line(entry.title))


def _names(address: WebAddress, home: str) -> Iterator[str]:
    """The paths at which a file may have what is at ``address``."""
    inside = address.path.removeprefix("/")
    _before, question, query = address.text.partition("?")
    named = [f"{inside}?{query}", f"{inside}?{unquote_plus(query)}"] if question else [inside]
    if address.host == home:
        yield from (one for one in named if one)
    yield from (f"{address.host}/{one}" for one in named)


def _stands_at(entry: Entry, address: WebAddress, home: str) -> bool:
    return entry.path in _names(address, home)


def _followed(entry: Entry) -> Entry | None:
    """Where a redirect ends; None where it never does."""
    for _step in range(MOST_STEPS):
        if not entry.is_redirect:
            return entry
        try:
            entry = entry.get_redirect_entry()
        except (RuntimeError, KeyError):
            return None
    return None


def _read(item: Item, first: int, count: int) -> Generator[bytes, None, None]:
    """``count`` bytes of the item from ``first`` on. What lies unpacked in the file is mapped and
    not read into memory; what is packed is unpacked whole, which the examination has bounded."""
    if count <= 0:
        return
    content = item.content
    for at in range(first, first + count, CHUNK):
        yield bytes(content[at : min(at + CHUNK, first + count)])


def _day(said: str) -> date | None:
    try:
        return date.fromisoformat(said)
    except ValueError:
        return None
