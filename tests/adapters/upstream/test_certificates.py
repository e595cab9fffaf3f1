"""Who cannot prove to be the site gets no request, whatever else it can do."""

from __future__ import annotations

import ssl
from datetime import timedelta
from pathlib import Path

import pytest

from dask_platform.adapters.upstream import tls_context
from dask_platform.kernel.errors import UpstreamCertificateRefused
from dask_platform.kernel.ports import UpstreamRequest
from tests.adapters.upstream.authority import DAY, Authority
from tests.adapters.upstream.conftest import HOST, PUBLIC, Setting

PAGE = UpstreamRequest(f"https://{HOST}/")


def refused(setting: Setting) -> str:
    with pytest.raises(UpstreamCertificateRefused) as caught:
        setting.upstream().fetch(PAGE, largest=1000, seconds=5)
    assert setting.web.requests == []
    return caught.value.reason


@pytest.mark.parametrize(
    "hosts",
    [
        ("other.example",),
        ("example",),
        ("a.site.example", "www.site.example"),
        ("*.site.example",),
        ("*.other.example",),
        ("siteXexample",),
    ],
)
def test_for_another_name(setting: Setting, authority: Authority, hosts: tuple[str, ...]) -> None:
    setting.web.tls = authority.server(*hosts)
    assert "mismatch" in refused(setting)


def test_a_name_in_the_old_place_only(setting: Setting, authority: Authority) -> None:
    setting.web.tls = authority.server(common_name=HOST)
    assert "mismatch" in refused(setting)


def test_expired(setting: Setting, authority: Authority) -> None:
    setting.web.tls = authority.server(HOST, from_now=-2 * DAY, to=timedelta(minutes=-5))
    assert "expired" in refused(setting)


def test_not_valid_yet(setting: Setting, authority: Authority) -> None:
    setting.web.tls = authority.server(HOST, from_now=DAY)
    assert "not yet valid" in refused(setting)


def test_self_signed(setting: Setting, authority: Authority) -> None:
    setting.web.tls = authority.server(HOST, self_signed=True)
    assert "self-signed" in refused(setting)


def test_by_another_authority(setting: Setting, tmp_path: Path) -> None:
    setting.web.tls = Authority(tmp_path, "Another CA").server(HOST)
    assert "issuer" in refused(setting)


def test_by_an_authority_of_the_same_name(setting: Setting, tmp_path: Path) -> None:
    setting.web.tls = Authority(tmp_path).server(HOST)
    assert refused(setting)


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_tls_that_is_too_old(
    setting: Setting, authority: Authority, newest: ssl.TLSVersion
) -> None:
    setting.web.tls = authority.server(HOST, newest=newest)
    assert refused(setting).startswith("TLS: ")


def test_tls_1_2_is_asked_for_whatever_the_library_allows(authority: Authority) -> None:
    assert tls_context(authority.ca_file).minimum_version is ssl.TLSVersion.TLSv1_2


def test_tls_1_2_is_new_enough(setting: Setting, authority: Authority) -> None:
    setting.web.tls = authority.server(HOST, newest=ssl.TLSVersion.TLSv1_2)
    upstream = setting.upstream()
    with upstream.fetch(PAGE, largest=1000, seconds=5) as answer:
        assert b"".join(answer.body) == b"ok"
    upstream.close()


def test_a_wildcard_of_one_level_is_good(setting: Setting, authority: Authority) -> None:
    setting.dns.zone.answers["www.site.example", "A"] = [PUBLIC]
    setting.web.tls = authority.server("*.site.example")
    upstream = setting.upstream()
    asked = UpstreamRequest("https://www.site.example/")
    with upstream.fetch(asked, largest=1000, seconds=5) as answer:
        assert answer.status == 200
    upstream.close()


def test_a_name_with_norwegian_letters(setting: Setting, authority: Authority) -> None:
    host = "xn--tilbakefring-5jb.example"
    setting.dns.zone.answers[host, "A"] = [PUBLIC]
    setting.web.tls = authority.server(host)
    upstream = setting.upstream()
    upstream.fetch(UpstreamRequest(f"https://{host}/"), largest=1000, seconds=5).close()
    upstream.close()
    assert f"Host: {host}".encode() in setting.web.requests[0]


def test_the_name_is_said_to_the_server(setting: Setting, authority: Authority) -> None:
    said: list[str | None] = []
    context = authority.server(HOST)
    context.sni_callback = lambda _sock, name, _context: said.append(name)
    setting.web.tls = context
    upstream = setting.upstream()
    upstream.fetch(PAGE, largest=1000, seconds=5).close()
    assert said == [HOST]


def test_the_environment_changes_nothing(
    setting: Setting, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Authority(tmp_path, "Another CA")
    keys = tmp_path / "keys"
    monkeypatch.setenv("SSL_CERT_FILE", str(other.ca_file))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    monkeypatch.setenv("SSLKEYLOGFILE", str(keys))
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    upstream = setting.upstream()
    with upstream.fetch(PAGE, largest=1000, seconds=5) as answer:
        assert b"".join(answer.body) == b"ok"
    upstream.close()
    assert not keys.exists()
    setting.web.tls = other.server(HOST)
    setting.web.requests.clear()
    assert refused(setting)


def test_a_ca_file_that_is_none(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")
    with pytest.raises(ssl.SSLError):
        tls_context(empty)
    with pytest.raises(FileNotFoundError):
        tls_context(tmp_path / "missing.pem")
