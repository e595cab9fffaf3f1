"""The approved sites outside: the port ``Upstream``.

- :class:`~.https.HttpsUpstream`: the real thing. ``names`` resolves, ``line`` connects and keeps
  time, ``request`` writes what goes out, ``wire`` reads HTTP strictly, ``packing`` unpacks within
  limits, ``answer`` puts them together while the body runs, ``pool`` keeps connections.
- :class:`~.memory.MemoryUpstream`: an honest fake for tests of features.

Both pass ``tests/contracts/upstream_contract.py``. Start reading at ``https``.
"""

from dask_platform.adapters.upstream.https import HttpsUpstream, Patience
from dask_platform.adapters.upstream.line import tls_context
from dask_platform.adapters.upstream.memory import MemoryUpstream, Page
from dask_platform.adapters.upstream.names import DnsNames, FixedNames, Names
from dask_platform.adapters.upstream.request import Voice

__all__ = [
    "DnsNames",
    "FixedNames",
    "HttpsUpstream",
    "MemoryUpstream",
    "Names",
    "Page",
    "Patience",
    "Voice",
    "tls_context",
]
