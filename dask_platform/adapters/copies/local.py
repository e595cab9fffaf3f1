"""The port ``Copies`` over files on this machine."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, Final

from dask_platform.kernel.ports import Captured, CopyFacts, CopyKind, SiteCopy

#: For making the index of a WARC file that has been examined before, in seconds.
INDEXING: Final = 600.0
#: The index of a WARC file lies beside it, under its name and this.
INDEX: Final = ".index"


class LocalCopies:
    """See :class:`dask_platform.kernel.ports.Copies`.

    What reads the files is loaded when it is asked for: most processes never open a copy.
    """

    def examine(self, path: Path, *, seconds: float) -> CopyFacts:
        from dask_platform.adapters.copies import child

        return child.examine(path, seconds=seconds, index=path.with_name(path.name + INDEX))

    def open(self, path: Path, kind: CopyKind) -> SiteCopy:
        if kind == "zim":
            from dask_platform.adapters.copies.zim import ZimCopy

            return ZimCopy(path)
        from dask_platform.adapters.copies import child
        from dask_platform.adapters.copies.warc import WarcCopy

        index = path.with_name(path.name + INDEX)
        if not index.exists():
            child.examine(path, seconds=INDEXING, index=index)
        return WarcCopy(path, index)

    def write(self, stream: BinaryIO, answers: Iterable[Captured], *, title: str) -> int:
        from dask_platform.adapters.copies import writing

        return writing.write(stream, answers, title=title)
