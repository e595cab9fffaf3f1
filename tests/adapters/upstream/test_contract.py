"""The real adapter, over TLS and DNS, and the fake keep one contract."""

from __future__ import annotations

import pytest

from dask_platform.adapters.upstream import HttpsUpstream, MemoryUpstream, Page
from dask_platform.kernel.errors import UpstreamTimeout
from dask_platform.kernel.ports import Upstream, UpstreamRequest
from tests.adapters.upstream.conftest import Setting
from tests.adapters.upstream.servers import honest
from tests.contracts.upstream_contract import MIB, SITE, Put, UpstreamContract


class TestHttps(UpstreamContract):
    @pytest.fixture
    def upstream(self, upstream: HttpsUpstream) -> Upstream:
        return upstream

    @pytest.fixture
    def put(self, setting: Setting) -> Put:
        pages: dict[str, Page] = {}
        setting.web.answer = honest(pages)
        return lambda url, page: pages.__setitem__(url.removeprefix(SITE), page)


class TestMemory(UpstreamContract):
    @pytest.fixture
    def upstream(self) -> MemoryUpstream:
        return MemoryUpstream()

    @pytest.fixture
    def put(self, upstream: MemoryUpstream) -> Put:
        return upstream.pages.__setitem__


def test_the_fake_can_be_ill_and_remembers_what_was_asked() -> None:
    upstream = MemoryUpstream({f"{SITE}/": Page(b"x")})
    asked = UpstreamRequest(f"{SITE}/", cookie="a=1")
    upstream.fetch(asked, largest=MIB, seconds=1).close()
    assert upstream.requests == [asked]
    upstream.ill["site.example"] = UpstreamTimeout("hangs")
    with pytest.raises(UpstreamTimeout):
        upstream.fetch(asked, largest=MIB, seconds=1)
    assert upstream.requests == [asked]
