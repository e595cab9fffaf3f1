"""What the operator states about the directory, and what is refused before the first log-in."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal
from urllib.parse import urlsplit

from dask_platform.adapters.directory.names import dn_key

NAME_PLACE = "{username}"

ACTIVE_DIRECTORY: Mapping[str, str] = MappingProxyType(
    {
        "user_filter": "(&(objectCategory=person)(objectClass=user)(sAMAccountName={username}))",
        "key_attribute": "objectGUID",
        "username_attribute": "sAMAccountName",
        "name_attribute": "displayName",
        "group_filter": "(objectClass=group)",
    }
)
"""The values that differ on Active Directory: ``LdapSettings(..., **ACTIVE_DIRECTORY)``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LdapSettings:
    """How to reach the directory and how to read it. Times are in seconds.

    ``servers`` are ``ldaps://host[:port]`` or ``ldap://host[:port]`` in order of preference; the
    host is checked against the certificate. With ``starttls`` every ``ldap://`` server is asked for
    TLS before anything else is said. ``allow_plain`` is for tests and development.

    ``user_filter`` finds one person and has ``{username}`` once; the same filter with ``*`` there
    lists everybody. ``membership`` says where a group membership is read: on the person
    (``memberof``) or on the group (``search``); ``nested`` whether groups inside groups count:
    ``ad`` lets Active Directory work it out, ``walk`` follows them step by step.

    ``lockout_minutes`` is how long the directory's own lock-out lasts, for the listing of people on
    OpenLDAP; None means until somebody lifts it. ``refusal_seconds`` is the least time a refused
    log-in takes, see ``LdapDirectory``.
    """

    servers: tuple[str, ...]
    base_dn: str
    bind_dn: str
    bind_password: str = field(repr=False)
    mapping_file: Path
    starttls: bool = False
    allow_plain: bool = False
    ca_file: Path | None = None

    user_filter: str = "(&(objectClass=person)(uid={username}))"
    key_attribute: str = "entryUUID"
    username_attribute: str = "uid"
    name_attribute: str = "cn"

    membership: Literal["memberof", "search"] = "memberof"
    nested: Literal["none", "ad", "walk"] = "none"
    group_base_dn: str | None = None
    group_filter: str = "(objectClass=groupOfNames)"
    member_attribute: str = "member"
    memberof_attribute: str = "memberOf"

    lockout_minutes: int | None = None
    connect_timeout: int = 3
    receive_timeout: int = 5
    retry_after: int = 30
    page_size: int = 500
    refusal_seconds: float = 0.3

    @property
    def group_base(self) -> str:
        """Where groups are searched for."""
        return self.group_base_dn or self.base_dn

    @property
    def listing_filter(self) -> str:
        """The filter that every person passes."""
        return self.user_filter.replace(NAME_PLACE, "*")

    def problems(self) -> list[str]:
        """Everything that is wrong, each in a sentence for the operator. Empty when usable."""
        return [*self._server_problems(), *self._name_problems(), *self._reading_problems()]

    def _server_problems(self) -> Iterator[str]:
        if not self.servers:
            yield "No directory server is given. Give at least one, such as ldaps://dc1.example.no."
        for url in self.servers:
            yield from self._url_problems(url)
        if self.ca_file is not None:
            try:
                ssl.create_default_context(cafile=str(self.ca_file))
            except OSError:
                yield (
                    f"The certificate authorities in {self.ca_file} cannot be read. "
                    "Give a PEM file that the server process may read."
                )

    def _url_problems(self, url: str) -> Iterator[str]:
        try:
            parts = urlsplit(url)
            host, _port = parts.hostname, parts.port
        except ValueError:
            yield f"{url} is not a server address. Write ldaps://host or ldaps://host:port."
            return
        if parts.scheme not in {"ldap", "ldaps"} or not host or parts.path.strip("/"):
            yield f"{url} is not a server address. Write ldaps://host or ldaps://host:port."
        elif parts.username or parts.password or parts.query or parts.fragment:
            yield f"The address of {host} holds more than a host and a port. Remove the rest."
        elif parts.scheme == "ldap" and not self.starttls and not self.allow_plain:
            yield f"{url} would send passwords in the clear. Use ldaps://, or turn StartTLS on."

    def _name_problems(self) -> Iterator[str]:
        for label, dn in (("base DN", self.base_dn), ("group base DN", self.group_base)):
            try:
                dn_key(dn)
            except ValueError as error:
                yield f"The {label} {dn!r} is not a distinguished name: {error}."
        # Not parsed as a DN: Active Directory also takes user@domain and DOMAIN\user here.
        if not self.bind_dn.strip():
            yield "No service account is given. Give the DN that the platform binds as."
        if not self.bind_password.strip():
            yield "The service account has no password; a bind without one proves nothing."

    def _reading_problems(self) -> Iterator[str]:
        if self.user_filter.count(NAME_PLACE) != 1 or "=" + NAME_PLACE not in self.user_filter:
            yield f"The user filter needs ={NAME_PLACE} exactly once, such as (uid={NAME_PLACE})."
        for label, text in (("user", self.listing_filter), ("group", self.group_filter)):
            if not _balanced(text):
                yield f"The {label} filter {text!r} does not open and close its brackets."
        if (self.membership, self.nested) in {("memberof", "walk"), ("search", "ad")}:
            yield (
                "Nested groups: 'ad' goes with membership 'memberof', "
                "and 'walk' goes with membership 'search'."
            )
        numbers = (self.connect_timeout, self.receive_timeout, self.page_size)
        if min(numbers) < 1 or self.retry_after < 0 or self.refusal_seconds < 0:
            yield "The directory's timeouts and page size must be at least 1."


def _balanced(text: str) -> bool:
    """Whether ``text`` is one bracketed whole, such as ``(&(a=1)(b=2))``."""
    depth = 0
    for position, character in enumerate(text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth <= 0 and position < len(text) - 1:
            return False
    return depth == 0 and text.startswith("(")
