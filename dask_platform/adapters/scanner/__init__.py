"""The virus scanner: the port ``Scanner``.

- :class:`~.clamav.ClamdScanner`: ClamAV's daemon, over TCP or a unix socket.
- :class:`~.fake.FakeScanner`: an honest fake for tests of features.

Both pass ``tests/contracts/scanner_contract.py``.
"""

from dask_platform.adapters.scanner.clamav import ClamdScanner
from dask_platform.adapters.scanner.fake import FakeScanner

__all__ = ["ClamdScanner", "FakeScanner"]
