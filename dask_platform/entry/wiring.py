"""From settings to a platform: choose each adapter, once."""

from __future__ import annotations

import ipaddress
import logging
import sys
from pathlib import Path
from typing import Literal, cast
from urllib.parse import urlsplit

import certifi
import structlog

from dask_platform.adapters.copies import LocalCopies
from dask_platform.adapters.directory.ldap import LdapDirectory
from dask_platform.adapters.directory.settings import LdapSettings
from dask_platform.adapters.scanner import ClamdScanner, FakeScanner
from dask_platform.adapters.storage import FilesystemStore, S3Address, S3Store
from dask_platform.adapters.upstream import (
    DnsNames,
    FixedNames,
    HttpsUpstream,
    Names,
    Voice,
    tls_context,
)
from dask_platform.db.embedded import EmbeddedPostgres
from dask_platform.db.unit_of_work import Database
from dask_platform.features import all_models
from dask_platform.kernel.clock import SystemClock
from dask_platform.kernel.errors import ConfigurationError
from dask_platform.kernel.ports import Clock, Directory, FileStore, Scanner, Upstream
from dask_platform.kernel.settings import (
    DirectoryKind,
    ScannerKind,
    Settings,
    StoreKind,
)
from dask_platform.kernel.settings_broker import fixed_hosts
from dask_platform.security.addresses import Outside
from dask_platform.web.platform import Platform

ACCEL_FILES = "/_files/"
ACCEL_S3 = "/_s3/"


def configure_logging(settings: Settings) -> None:
    """JSON lines on standard error, with the request id, without personal data."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[settings.log_level]
        ),
        # One write a line: those of two processes must not run into each other.
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(name)s: %(message)s")


def database_url(settings: Settings, role: str) -> str:
    """The URL to connect with as ``web``, ``worker`` or ``owner``."""
    if settings.embedded_database:
        return EmbeddedPostgres(settings.home).url(f"dask_{role}")
    urls = {
        "web": settings.database_url,
        "worker": settings.database_worker_url,
        "owner": settings.database_owner_url,
    }
    found = urls[role]
    if not found:
        variable = "DASK_DATABASE_URL" if role == "web" else f"DASK_DATABASE_{role.upper()}_URL"
        raise ConfigurationError([f"{variable}: needed for this. Set it."])
    return found


def build_files(settings: Settings) -> FileStore:
    if settings.store is StoreKind.S3:
        endpoint = urlsplit(settings.s3_endpoint or "")
        return S3Store(
            S3Address(
                endpoint=endpoint.netloc,
                bucket=settings.s3_bucket,
                access_key=settings.s3_access_key or "",
                secret_key=settings.s3_secret_key.get_secret_value()
                if settings.s3_secret_key
                else "",
                secure=endpoint.scheme == "https",
                ca_file=str(settings.s3_ca_file) if settings.s3_ca_file else None,
            ),
            accel_prefix=ACCEL_S3 if settings.accel_redirect else None,
        )
    return FilesystemStore(
        settings.files_folder,
        accel_prefix=ACCEL_FILES if settings.accel_redirect else None,
        group_readable=settings.store_group_readable,
    )


def prepare_files(store: FileStore) -> None:
    """Make the folder or the bucket. Set-up alone does this: at any other time a store that is not
    there is a fault, not an empty store."""
    if isinstance(store, S3Store):
        store.ensure_bucket()
    elif isinstance(store, FilesystemStore):
        store.ensure_folder()


def build_scanner(settings: Settings) -> Scanner:
    if settings.scanner is ScannerKind.CLAMD:
        return ClamdScanner(settings.clamd_address)
    return FakeScanner(largest=settings.upload_max_bytes)


def build_directory(settings: Settings) -> Directory | None:
    if settings.directory is not DirectoryKind.LDAP:
        return None
    assert settings.ldap_mapping_file is not None  # noqa: S101 - the settings were checked
    return LdapDirectory(
        LdapSettings(
            servers=tuple(settings.ldap_servers.replace(",", " ").split()),
            starttls=settings.ldap_starttls,
            ca_file=settings.ldap_ca_file,
            allow_plain=settings.ldap_allow_plain,
            bind_dn=settings.ldap_bind_dn,
            bind_password=settings.ldap_bind_password.get_secret_value(),
            base_dn=settings.ldap_base_dn,
            user_filter=settings.ldap_user_filter,
            key_attribute=settings.ldap_attribute_key,
            username_attribute=settings.ldap_attribute_username,
            name_attribute=settings.ldap_attribute_name,
            membership=cast(Literal["memberof", "search"], settings.ldap_membership),
            nested=cast(Literal["none", "ad", "walk"], settings.ldap_nested),
            group_filter=settings.ldap_group_filter,
            group_base_dn=settings.ldap_group_base_dn or None,
            lockout_minutes=settings.ldap_lockout_minutes,
            refusal_seconds=settings.ldap_refusal_seconds,
            connect_timeout=settings.ldap_timeout_seconds,
            receive_timeout=settings.ldap_timeout_seconds,
            mapping_file=settings.ldap_mapping_file,
        )
    )


def build_upstream(settings: Settings) -> Upstream | None:
    """The way to approved sites; None where the broker is not set up."""
    if settings.resources_url is None:
        return None
    fixed = fixed_hosts(settings.upstream_fixed)
    # Each host of the demo has an address that nobody has, which stands for a socket here.
    stands_for = {
        host: ipaddress.ip_address("203.0.113.0") + number
        for number, host in enumerate(fixed, start=1)
    }
    names: Names = DnsNames(settings.upstream_name_servers.replace(",", " ").split())
    if fixed:
        names = FixedNames({host: str(address) for host, address in stands_for.items()}, names)
    return HttpsUpstream(
        names=names,
        outside=Outside(
            own=settings.upstream_own_networks.replace(",", " ").split(),
            opened=[str(address) for address in stands_for.values()],
        ),
        tls=tls_context(settings.upstream_ca_file or Path(certifi.where())),
        voice=Voice(settings.upstream_user_agent),
        places={stands_for[host]: place for host, place in fixed.items()},
    )


def build_platform(
    settings: Settings, *, role: str = "web", clock: Clock | None = None
) -> Platform:
    """The platform as this process sees it: its database role decides what it can ever see."""
    all_models()  # tables refer to one another; a command that loads one feature needs them all
    return Platform(
        settings=settings,
        database=Database(database_url(settings, role), pool=settings.database_pool),
        clock=clock or SystemClock(),
        files=build_files(settings),
        scanner=build_scanner(settings),
        directory=build_directory(settings),
        upstream=build_upstream(settings),
        copies=LocalCopies(),
    )
