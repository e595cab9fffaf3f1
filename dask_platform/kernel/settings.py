"""Settings, from ``DASK_*`` variables and nowhere else.

``load_settings`` reports every problem at once; each names the variable and the remedy.
``docs/operations.md`` and ``infra/dask-platform.env.example`` explain them to an operator.
"""

from __future__ import annotations

import ipaddress
import os
import re
import secrets
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from dask_platform.kernel.errors import ConfigurationError
from dask_platform.kernel.settings_broker import BrokerSettings, resources_problems

MIB = 1024 * 1024
MIN_SECRET_LENGTH = 32
# As SQLAlchemy reads it: a password may hold anything but an @.
_DATABASE_URL = re.compile(
    r"postgresql(?:\+psycopg)?://(?:[^:/]*(?::[^@]*)?@)?(?P<hosts>[^/?]*)(?:/[^?]*)?"
    r"(?:\?(?P<query>.*))?"
)
_PLACEHOLDERS = ("change", "secret", "password", "example", "default")


class Environment(StrEnum):
    DEMO = "demo"
    TEST = "test"
    PRODUCTION = "production"


class StoreKind(StrEnum):
    FOLDER = "folder"
    S3 = "s3"


class ScannerKind(StrEnum):
    """``eicar`` knows one test signature only; it is for the demo and refused in production."""

    CLAMD = "clamd"
    EICAR = "eicar"


class DirectoryKind(StrEnum):
    LOCAL = "local"
    LDAP = "ldap"


class Settings(BrokerSettings, BaseSettings):
    """Everything an installation decides. Sizes in bytes, times in minutes or hours as named.

    What belongs to approved sites stands in ``settings_broker``.
    """

    model_config = SettingsConfigDict(env_prefix="DASK_", extra="ignore", frozen=True)

    env: Environment = Environment.DEMO
    home: Path = Path(".dask")
    debug: bool = False
    secret_key: SecretStr = SecretStr("")
    public_url: str = "http://localhost:8000"
    proxy_hops: int = Field(default=0, ge=0, le=5)
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")

    bind: str = "127.0.0.1:8000"
    health_bind: str = "127.0.0.1:9100"
    workers: int = Field(default=2, ge=1, le=64)
    threads: int = Field(default=4, ge=1, le=64)

    database_url: str | None = None
    database_owner_url: str | None = None
    database_worker_url: str | None = None
    database_pool: int = Field(default=8, ge=1, le=100)

    store: StoreKind = StoreKind.FOLDER
    store_folder: Path | None = None
    store_folder_accepted: bool = False
    store_group_readable: bool = False
    accel_redirect: bool = False
    s3_endpoint: str | None = None
    s3_bucket: str = "dask-files"
    s3_access_key: str | None = None
    s3_secret_key: SecretStr | None = None
    s3_ca_file: Path | None = None

    scanner: ScannerKind = ScannerKind.EICAR
    clamd_address: str = "127.0.0.1:3310"

    directory: DirectoryKind = DirectoryKind.LOCAL
    ldap_servers: str = ""
    ldap_starttls: bool = False
    ldap_ca_file: Path | None = None
    ldap_allow_plain: bool = False
    ldap_bind_dn: str = ""
    ldap_bind_password: SecretStr = SecretStr("")
    ldap_base_dn: str = ""
    ldap_user_filter: str = "(&(objectClass=person)(uid={username}))"
    ldap_attribute_key: str = "entryUUID"
    ldap_attribute_username: str = "uid"
    ldap_attribute_name: str = "cn"
    ldap_membership: str = Field(default="memberof", pattern="^(memberof|search)$")
    ldap_nested: str = Field(default="none", pattern="^(none|ad|walk)$")
    ldap_group_filter: str = "(objectClass=groupOfNames)"
    ldap_group_base_dn: str = ""
    ldap_lockout_minutes: int | None = Field(default=None, ge=1)
    ldap_refusal_seconds: float = Field(default=0.3, ge=0, le=5)
    ldap_timeout_seconds: int = Field(default=5, ge=1, le=60)
    ldap_mapping_file: Path | None = None

    second_factor_required: bool = False
    student_idle_minutes: int = Field(default=30, ge=1, le=240)
    student_session_hours: int = Field(default=6, ge=1, le=24)
    staff_idle_minutes: int = Field(default=30, ge=1, le=240)
    staff_session_hours: int = Field(default=10, ge=1, le=24)
    operator_idle_minutes: int = Field(default=15, ge=1, le=240)
    operator_session_hours: int = Field(default=8, ge=1, le=24)
    throttle_account_tries: int = Field(default=8, ge=3, le=100)
    throttle_address_tries: int = Field(default=40, ge=3, le=1000)
    throttle_minutes: int = Field(default=10, ge=1, le=1440)

    upload_max_bytes: int = Field(default=256 * MIB, ge=MIB, le=2048 * MIB)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # ``load_settings`` reads the environment itself, so that tests need not change theirs.
        return (init_settings,)

    @property
    def production(self) -> bool:
        return self.env is Environment.PRODUCTION

    @property
    def embedded_database(self) -> bool:
        return self.database_url is None

    @property
    def https(self) -> bool:
        return self.public_url.startswith("https://")

    @property
    def host(self) -> str:
        """Public host with port, as a browser sends it in ``Host``."""
        return urlsplit(self.public_url).netloc

    @property
    def files_folder(self) -> Path:
        return self.store_folder or self.home / "files"

    def secret(self) -> str:
        return self.secret_key.get_secret_value()

    def idle_limit(self, *, student: bool, operator: bool) -> timedelta:
        if student:
            return timedelta(minutes=self.student_idle_minutes)
        return timedelta(
            minutes=self.operator_idle_minutes if operator else self.staff_idle_minutes
        )

    def absolute_limit(self, *, student: bool, operator: bool) -> timedelta:
        if student:
            return timedelta(hours=self.student_session_hours)
        return timedelta(
            hours=self.operator_session_hours if operator else self.staff_session_hours
        )


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read and check the settings; raise ``ConfigurationError`` with every problem found.

    Outside production a missing secret is made once and kept in ``DASK_HOME/secret-key``.
    """
    environ = os.environ if environ is None else environ
    given: dict[str, Any] = {}
    problems = []
    for name, value in environ.items():
        if not name.startswith("DASK_"):
            continue
        field = name.removeprefix("DASK_").lower()
        if field not in Settings.model_fields:
            problems.append(f"{name}: no such setting. Remove it, or look for a slip of the pen.")
        elif value != "":
            given[field] = value
    try:
        settings = Settings(**given)
    except ValidationError as error:
        for detail in error.errors():
            field = str(detail["loc"][0])
            problems.append(f"DASK_{field.upper()}: {detail['msg']}. Got {given.get(field)!r}.")
            given.pop(field, None)
        settings = Settings(**given)
    problems += _problems(settings)
    if settings.production:
        problems += _production_problems(settings)
    if problems:
        raise ConfigurationError(problems)
    if not settings.secret():
        settings = settings.model_copy(
            update={"secret_key": SecretStr(_kept_secret(settings.home))}
        )
    return settings


def _problems(settings: Settings) -> list[str]:
    found = []
    url = urlsplit(settings.public_url)
    if url.scheme not in ("http", "https") or not url.netloc or url.path not in ("", "/"):
        found.append("DASK_PUBLIC_URL: write scheme and host alone, such as https://skole.example.")
    for name in ("BIND", "HEALTH_BIND", "RESOURCES_BIND", "RESOURCES_HEALTH_BIND"):
        bind = getattr(settings, name.lower())
        if not _is_bind(bind) or ("HEALTH" in name and bind.startswith("unix:")):
            found.append(f"DASK_{name}: write address:port or unix:/path. Got {bind!r}.")
    found += resources_problems(settings, settings.public_url)
    if settings.store is StoreKind.S3:
        for name in ("s3_endpoint", "s3_access_key", "s3_secret_key"):
            if not getattr(settings, name):
                found.append(f"DASK_{name.upper()}: needed when DASK_STORE=s3. Set it.")
        endpoint = settings.s3_endpoint or ""
        if endpoint and not endpoint.startswith(("https://", "http://")):
            found.append("DASK_S3_ENDPOINT: write it with its scheme: https://host:port.")
    if settings.directory is DirectoryKind.LDAP:
        for name in ("ldap_servers", "ldap_bind_dn", "ldap_base_dn", "ldap_mapping_file"):
            if not getattr(settings, name):
                found.append(f"DASK_{name.upper()}: needed when DASK_DIRECTORY=ldap. Set it.")
        if "{username}" not in settings.ldap_user_filter:
            found.append("DASK_LDAP_USER_FILTER: must hold {username} where the name goes.")
    return found


def _production_problems(settings: Settings) -> list[str]:
    found = []
    secret = settings.secret()
    if len(secret) < MIN_SECRET_LENGTH or len(set(secret)) < 12:
        found.append(
            f"DASK_SECRET_KEY: missing or weak. Make one of at least {MIN_SECRET_LENGTH} random "
            "characters: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'."
        )
    elif any(word in secret.lower() for word in _PLACEHOLDERS):
        found.append("DASK_SECRET_KEY: looks like a placeholder. Make a random one.")
    if settings.proxy_hops < 1:
        found.append("DASK_PROXY_HOPS: production stands behind nginx. Set it to 1, or to as many.")
    by_nginx = settings.store is StoreKind.FOLDER and settings.accel_redirect
    if by_nginx and not settings.store_group_readable:
        found.append("DASK_STORE_GROUP_READABLE: nginx must read the files. Set it to true.")
    if settings.debug:
        found.append("DASK_DEBUG: shows the inside to students. Unset it.")
    if not settings.https:
        found.append("DASK_PUBLIC_URL: must begin with https:// in production.")
    if settings.embedded_database:
        found.append("DASK_DATABASE_URL: the embedded database is for the demo. Name a server.")
    else:
        for name in ("database_owner_url", "database_worker_url"):
            if not getattr(settings, name):
                found.append(f"DASK_{name.upper()}: needed beside DASK_DATABASE_URL. Set it.")
        for name in ("database_url", "database_owner_url", "database_worker_url"):
            if getattr(settings, name) and not _stays_private(getattr(settings, name)):
                found.append(
                    f"DASK_{name.upper()}: the database could be anybody, and read by anybody on "
                    "the way. Add ?sslmode=verify-full&sslrootcert=FILE with the CA that signed "
                    "its certificate, or use a unix socket (?host=/run/postgresql)."
                )
    if settings.scanner is not ScannerKind.CLAMD:
        found.append("DASK_SCANNER: files must be scanned. Set it to clamd.")
    if settings.store is StoreKind.FOLDER and not settings.store_folder_accepted:
        found.append(
            "DASK_STORE: a folder has no copies of its own. Use s3, or set "
            "DASK_STORE_FOLDER_ACCEPTED=true when the folder is backed up and large enough."
        )
    if (settings.s3_endpoint or "").startswith("http://"):
        found.append("DASK_S3_ENDPOINT: files would cross the network in clear. Use https://.")
    if settings.directory is DirectoryKind.LDAP:
        servers = settings.ldap_servers.replace(",", " ").split()
        encrypted = settings.ldap_starttls or all(s.startswith("ldaps://") for s in servers)
        if not encrypted or settings.ldap_allow_plain:
            found.append(
                "DASK_LDAP_SERVERS: passwords would cross the network in clear. Use ldaps:// or "
                "DASK_LDAP_STARTTLS=true, and unset DASK_LDAP_ALLOW_PLAIN."
            )
        if settings.ldap_ca_file is None:
            found.append("DASK_LDAP_CA_FILE: name the CA that signed the directory's certificate.")
    if settings.upstream_fixed:
        found.append("DASK_UPSTREAM_FIXED: is for the demo and for tests. Unset it.")
    if not settings.second_factor_required:
        found.append("DASK_SECOND_FACTOR_REQUIRED: compulsory for staff. Set it to true.")
    return found


def _stays_private(database_url: str) -> bool:
    """Whether the connection stays on this machine, or is encrypted to a server that is verified.

    A weaker mode (``require``, ``verify-ca``) takes any server that answers in the name of another.
    What cannot be read is not private.
    """
    found = _DATABASE_URL.fullmatch(database_url)
    if found is None:
        return False
    query = parse_qs(found["query"] or "", keep_blank_values=True)
    if query.get("sslmode") == ["verify-full"]:
        return True
    # A service file may name any host.
    if "service" in query:
        return False
    places = [found["hosts"], *query.get("host", ()), *query.get("hostaddr", ())]
    return all(_is_here(unquote(host)) for place in places for host in place.split(","))


def _is_here(host: str) -> bool:
    """Whether ``host``, perhaps with a port, is a unix socket (none given: the usual one) or
    loopback."""
    if host == "" or host.startswith(("/", "@")):
        return True
    if host.startswith("["):
        address = host[1:].partition("]")[0]
    else:
        address = host if host.count(":") > 1 else host.partition(":")[0]
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address.lower() == "localhost"


def _is_bind(value: str) -> bool:
    if value.startswith("unix:"):
        return len(value) > len("unix:")
    host, _, port = value.rpartition(":")
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        if host != "localhost":
            return False
    return port.isdigit() and int(port) < 65536


def _kept_secret(home: Path) -> str:
    path = home / "secret-key"
    home.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text(encoding="ascii")
    with os.fdopen(handle, "w", encoding="ascii") as file:
        secret = secrets.token_urlsafe(48)
        file.write(secret)
    return secret
