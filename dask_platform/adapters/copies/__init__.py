"""Copies of sites as files: ZIM (Kiwix, made from whole sites) and WARC (what was captured).

``zim`` and ``warc`` open such a file, ``warc_index`` finds an answer in a WARC file, ``writing``
writes one, ``examine`` looks at an unknown file in a process of its own; ``local`` puts them
together as the port ``Copies``.
"""

from __future__ import annotations

from dask_platform.adapters.copies.local import LocalCopies

__all__ = ["LocalCopies"]
