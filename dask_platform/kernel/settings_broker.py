"""The settings of approved sites: where the broker stands, how it goes out, and what is too much.

A part of ``settings.Settings``; read there.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, Field


class BrokerSettings(BaseModel):
    """``DASK_RESOURCES_*``, ``DASK_UPSTREAM_*`` and ``DASK_SITE_*``."""

    resources_url: str | None = None
    resources_bind: str = "127.0.0.1:8001"
    resources_health_bind: str = "127.0.0.1:9101"
    resources_threads: int = Field(default=32, ge=1, le=64)
    # What goes out must not tell where it comes from: the words of a common browser.
    upstream_user_agent: str = (
        "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    )
    upstream_name_servers: str = ""
    upstream_ca_file: Path | None = None
    upstream_own_networks: str = ""
    upstream_fixed: str = ""
    site_visits_days: int = Field(default=90, ge=1, le=3650)
    # Answers kept for others, in the file store; 0 keeps none. See features/broker/caching.py.
    site_answers_bytes: int = Field(default=2048 * 1024 * 1024, ge=0)
    site_answers_days: int = Field(default=7, ge=1, le=90)
    # What one student may ask of sites; see features/broker/limits.py.
    site_requests_at_once: int = Field(default=8, ge=2, le=64)
    site_requests_burst: int = Field(default=60, ge=10, le=1000)
    site_requests_per_second: int = Field(default=10, ge=1, le=200)
    site_texts_per_minute: int = Field(default=20, ge=1, le=600)
    # How many threads of a process may wait for one host that does not answer: one that hangs must
    # not take them all. (A host that answers may hold three quarters of them.)
    site_threads_per_host: int = Field(default=8, ge=1, le=64)


def resources_problems(settings: BrokerSettings, public_url: str) -> list[str]:
    """What is wrong with the settings of the broker, beside a school at ``public_url``."""
    found = []
    if settings.resources_url is not None:
        outside, school = urlsplit(settings.resources_url), urlsplit(public_url)
        if (
            outside.scheme not in ("http", "https")
            or not outside.hostname
            or outside.path not in ("", "/")
        ):
            found.append(
                "DASK_RESOURCES_URL: write scheme and host alone, such as https://ressurs.example."
            )
        elif _related(outside.hostname, school.hostname or ""):
            found.append(
                "DASK_RESOURCES_URL: sites must not share a domain with the school, or its cookies "
                "would be theirs. Use a domain of its own."
            )
        if outside.scheme != school.scheme:
            found.append("DASK_RESOURCES_URL: must have the same scheme as DASK_PUBLIC_URL.")
    for name, read in (
        ("upstream_name_servers", ipaddress.ip_address),
        ("upstream_own_networks", ipaddress.ip_network),
    ):
        for one in getattr(settings, name).replace(",", " ").split():
            try:
                read(one)
            except ValueError:
                found.append(f"DASK_{name.upper()}: {one!r} cannot stand there. Correct it.")
    try:
        fixed_hosts(settings.upstream_fixed)
    except ValueError:
        found.append("DASK_UPSTREAM_FIXED: write host=127.0.0.1:port, several parted by commas.")
    return found


def _related(one: str, other: str) -> bool:
    """Whether one host lies below the other. Two hosts below a third are for the operator to see:
    which names are registered apart is not to be read off a name."""
    return (
        one == other
        or (one.endswith(f".{other}") and other != "localhost")
        or other.endswith(f".{one}")
    )


def fixed_hosts(text: str) -> dict[str, tuple[str, int]]:
    """``host=address:port`` pairs. Raises ``ValueError``."""
    found = {}
    for pair in text.replace(",", " ").split():
        host, _equals, place = pair.partition("=")
        address, _colon, port = place.rpartition(":")
        if not host or not ipaddress.ip_address(address).is_loopback:
            raise ValueError(pair)
        found[host] = (address, int(port))
    return found
