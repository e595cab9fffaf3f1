"""Files under keys: the port ``FileStore``.

- :class:`~.filesystem.FilesystemStore`: a folder, the default.
- :class:`~.s3.S3Store`: any S3 that honours ``If-None-Match: *`` on PUT.
- :class:`~.memory.MemoryStore`: an honest fake for tests of features.

What they share (keys, checking a stream, checking what is read) is in ``common``. All three pass
``tests/contracts/store_contract.py``.
"""

from dask_platform.adapters.storage.filesystem import FilesystemStore
from dask_platform.adapters.storage.memory import MemoryStore
from dask_platform.adapters.storage.s3 import S3Address, S3Store

__all__ = ["FilesystemStore", "MemoryStore", "S3Address", "S3Store"]
