"""One conversation with one directory server. The only file that touches ldap3.

ldap3 2.9.1 is used for the wire and little else. What it would do by itself and must not:

- *Certificates.* Its own host name check runs after the handshake, on code that Python has
  deprecated; ``_CheckedTls`` gives the host to OpenSSL, which checks it during the handshake.
- *Passwords.* It runs text passwords through SASLprep, which refuses some that a directory takes,
  changes others, and drops invisible characters. Passwords go as UTF-8 bytes, untouched.
- *Referrals* are off: following one would hand the service password to a host nobody approved.
- *Schema* reading is off, and with it every interpretation of names and values.
- *Errors.* It lets anything escape on a malformed answer; all of it becomes ``ServerProblem``.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Literal

import ldap3
from ldap3.core.exceptions import LDAPCommunicationError, LDAPStartTLSError
from ldap3.core.results import (
    RESULT_CONSTRAINT_VIOLATION,
    RESULT_INAPPROPRIATE_AUTHENTICATION,
    RESULT_INSUFFICIENT_ACCESS_RIGHTS,
    RESULT_INVALID_CREDENTIALS,
    RESULT_NO_SUCH_OBJECT,
    RESULT_SIZE_LIMIT_EXCEEDED,
    RESULT_SUCCESS,
    RESULT_UNWILLING_TO_PERFORM,
)

from dask_platform.adapters.directory.answers import BindAnswer, Entry, ServerProblem
from dask_platform.adapters.directory.settings import LdapSettings

_POLICY_CONTROL = "1.3.6.1.4.1.42.2.27.8.5.1"
_PAGING_CONTROL = "1.2.840.113556.1.4.319"

# Answers to a bind that speak of the account (no password set, account not for binding, …). Every
# other one speaks of the server: busy, shutting down, wanting TLS.
_REFUSALS = frozenset(
    {
        RESULT_CONSTRAINT_VIOLATION,
        RESULT_INAPPROPRIATE_AUTHENTICATION,
        RESULT_INSUFFICIENT_ACCESS_RIGHTS,
        RESULT_INVALID_CREDENTIALS,
        RESULT_NO_SUCH_OBJECT,
        RESULT_UNWILLING_TO_PERFORM,
    }
)


class _CheckedTls(ldap3.Tls):
    """TLS in which OpenSSL checks chain, dates and host name before a byte of LDAP is said."""

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(validate=ssl.CERT_REQUIRED)
        self._context = context

    def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:
        connection.socket = self._context.wrap_socket(
            connection.socket, server_hostname=connection.server.host
        )


def tls_context(settings: LdapSettings) -> ssl.SSLContext:
    """Chain and host name verified, TLS 1.2 or later. Reading the authorities is slow: keep it."""
    return ssl.create_default_context(
        cafile=str(settings.ca_file) if settings.ca_file is not None else None
    )


@contextmanager
def _reported(doing: str) -> Iterator[None]:
    """Turn whatever ldap3 raises into ``ServerProblem``.

    Only texts about the connection itself are passed on: others quote what the server sent, which
    can be a person's name.
    """
    try:
        yield
    except ServerProblem:
        raise
    except (LDAPCommunicationError, LDAPStartTLSError, OSError) as error:
        raise ServerProblem(f"{doing}: {error}") from error
    except Exception as error:
        # The decoder raises anything from IndexError to struct.error on an answer out of form.
        raise ServerProblem(f"{doing}: {type(error).__name__}") from error


class Session:
    """An open connection, with TLS where the settings ask for it. Use as a context manager.

    Every method raises ``ServerProblem`` when this server cannot be used.
    """

    def __init__(self, settings: LdapSettings, url: str, tls: ssl.SSLContext) -> None:
        self._settings = settings
        self._url = url
        self._tls = tls
        self._connection = self._open()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close(self._connection)

    def bind_service(self) -> None:
        """Bind as the platform's own account."""
        settings = self._settings
        answer = self._bind(self._connection, settings.bind_dn, settings.bind_password)
        if not answer.accepted:
            raise ServerProblem("the server refuses the service account's name or password")

    def try_password(self, dn: str, password: str) -> BindAnswer:
        """Bind as ``dn`` on a connection of its own, and end it.

        Of its own, so that this session stays bound as the service account whatever comes.
        """
        connection = self._open()
        try:
            return self._bind(connection, dn, password)
        finally:
            self._close(connection)

    def find(self, base: str, search_filter: str, attributes: Sequence[str]) -> list[Entry]:
        """At most two entries below ``base``: enough to know that one hit is the only one."""
        return self._search(base, search_filter, attributes, scope="SUBTREE", size_limit=2)

    def read(self, dn: str, search_filter: str, attributes: Sequence[str]) -> Entry | None:
        """The entry ``dn`` if it is there and passes the filter."""
        found = self._search(dn, search_filter, attributes, scope="BASE")
        return found[0] if found else None

    def pages(self, base: str, search_filter: str, attributes: Sequence[str]) -> Iterator[Entry]:
        """All entries below ``base``, fetched page by page.

        An incomplete list is never taken for a complete one: a server that cuts off by its own
        limit is a ``ServerProblem``, and so is a base that is not there.
        """
        cookie: bytes | None = None
        while True:
            yield from self._search(
                base,
                search_filter,
                attributes,
                scope="SUBTREE",
                paged_size=self._settings.page_size,
                paged_criticality=True,
                paged_cookie=cookie,
            )
            control = self._connection.result.get("controls", {}).get(_PAGING_CONTROL)
            cookie = control["value"]["cookie"] if control else None
            if not cookie:
                return

    def _open(self) -> ldap3.Connection:
        settings = self._settings
        secure = self._url.startswith("ldaps://")
        with _reported("connecting"):
            server = ldap3.Server(
                self._url,
                get_info=ldap3.NONE,
                tls=_CheckedTls(self._tls) if secure or settings.starttls else None,
                connect_timeout=settings.connect_timeout,
                allowed_referral_hosts=[],
            )
            connection = ldap3.Connection(
                server,
                auto_referrals=False,
                check_names=False,
                auto_escape=False,
                return_empty_attributes=False,
                receive_timeout=settings.receive_timeout,
            )
            try:
                connection.open(read_server_info=False)
                if settings.starttls and not secure:
                    connection.start_tls(read_server_info=False)
                encrypted = isinstance(connection.socket, ssl.SSLSocket)
                if not encrypted and not settings.allow_plain:
                    raise ServerProblem("the connection is not encrypted")
            except BaseException:
                self._close(connection)
                raise
        return connection

    @staticmethod
    def _close(connection: ldap3.Connection) -> None:
        socket = connection.socket
        with suppress(Exception):  # the work is done; a broken farewell changes nothing
            connection.unbind()
        if socket is not None:
            socket.close()  # ldap3 leaves the socket of a failed connection open

    @staticmethod
    def _bind(connection: ldap3.Connection, dn: str, password: str) -> BindAnswer:
        connection.user = dn
        connection.password = password.encode()
        connection.authentication = ldap3.SIMPLE
        with _reported("binding"):
            connection.bind(read_server_info=False, controls=[(_POLICY_CONTROL, False, None)])
            result = connection.result
            connection.password = None
            if result["result"] != RESULT_SUCCESS and result["result"] not in _REFUSALS:
                raise ServerProblem(f"binding: the server answers {result['description']}")
            policy = (result.get("controls") or {}).get(_POLICY_CONTROL, {})
            return BindAnswer(
                accepted=result["result"] == RESULT_SUCCESS,
                diagnostic=result["message"] or "",
                policy=policy.get("value") or b"",
            )

    def _search(
        self,
        base: str,
        search_filter: str,
        attributes: Sequence[str],
        *,
        scope: Literal["BASE", "SUBTREE"],
        size_limit: int = 0,
        **paging: Any,
    ) -> list[Entry]:
        connection = self._connection
        with _reported("searching"):
            connection.search(
                base,
                search_filter,
                search_scope=scope,
                dereference_aliases=ldap3.DEREF_NEVER,
                attributes=list(attributes),
                size_limit=size_limit,
                time_limit=self._settings.receive_timeout,
                **paging,
            )
            expected = {RESULT_SUCCESS}
            if scope == "BASE":
                expected.add(RESULT_NO_SUCH_OBJECT)
            if size_limit:
                expected.add(RESULT_SIZE_LIMIT_EXCEEDED)
            if connection.result["result"] not in expected:
                answer = connection.result["description"]
                raise ServerProblem(f"searching: the server answers {answer}")
            return [
                Entry.of(found["dn"], found["raw_attributes"])
                for found in connection.response or ()
                if found["type"] == "searchResEntry"  # and not a pointer to some other server
            ]
