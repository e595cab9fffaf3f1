"""An honest fake: it really looks at every byte, and finds the EICAR test file."""

from __future__ import annotations

from collections.abc import Iterator

from dask_platform.kernel.errors import ScannerUnavailable, ScanRefused
from dask_platform.kernel.ports import ScanResult

#: The harmless file that every scanner finds. In two parts, so that none finds this module.
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EI" + rb"CAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"


class FakeScanner:
    """See :class:`dask_platform.kernel.ports.Scanner`.

    ``available`` False makes it silent, ``largest`` is the most it takes, in bytes.
    """

    def __init__(self, *, largest: int = 20 * 1024 * 1024) -> None:
        self.available = True
        self.largest = largest

    def scan(self, chunks: Iterator[bytes]) -> ScanResult:
        self.version()
        size = 0
        tail = b""
        found = False
        for chunk in chunks:
            size += len(chunk)
            if size > self.largest:
                raise ScanRefused("The file is too large for the virus scanner.")
            window = tail + chunk
            found = found or EICAR in window
            tail = window[1 - len(EICAR) :]
        return ScanResult("Eicar-Test-Signature" if found else None)

    def version(self) -> str:
        if not self.available:
            raise ScannerUnavailable("The virus scanner does not answer.")
        return "a scanner for tests"
