"""The directory of the county, over LDAP."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from datetime import timedelta
from typing import TypeVar

from dask_platform.adapters.directory import state
from dask_platform.adapters.directory.answers import Entry, ServerProblem
from dask_platform.adapters.directory.groups import Membership
from dask_platform.adapters.directory.mapping import Grant, load_mapping
from dask_platform.adapters.directory.names import (
    escape,
    is_sendable_name,
    is_sendable_password,
    tidy,
)
from dask_platform.adapters.directory.servers import Servers
from dask_platform.adapters.directory.session import Session, tls_context
from dask_platform.adapters.directory.settings import NAME_PLACE, LdapSettings
from dask_platform.kernel.clock import SystemClock
from dask_platform.kernel.errors import (
    AccountRefused,
    BadCredentials,
    ConfigurationError,
    DirectoryUnavailable,
)
from dask_platform.kernel.messages import N_
from dask_platform.kernel.ports import Clock, DirectoryPerson

T = TypeVar("T")

LONGEST_NAME = 256
LONGEST_PASSWORD = 1024

WRONG = N_("The user name or the password is wrong.")
SILENT = N_("The school's user directory does not answer. Wait a little and try again.")

_log = logging.getLogger(__name__)


class LdapDirectory:
    """Active Directory or OpenLDAP behind the port ``Directory``.

    Every call opens its own connection and closes it: a log-in is rare beside the pages that follow
    it, and a connection that is never kept is never stale. Instances are shared by threads.

    *Unknown names.* For a name that is not there a bind is made all the same, with a DN that cannot
    exist, so both refusals cost the same questions to the server. What remains is the server's own
    time for hashing, which it spends only on a real password, and which no client can imitate.
    Therefore no refusal is given sooner than ``refusal_seconds`` after the question began. As long
    as the directory answers well within that time, nothing can be read from it; when it does not,
    the difference is the server's hashing time, behind the throttling of log-ins.

    *Locked accounts.* ``AccountRefused`` normally means that the password was right. A locked
    account is the exception: no server tests its password. Whoever shows the answer to the person
    must show both refusals alike, or the answer tells that an account exists.
    """

    def __init__(
        self,
        settings: LdapSettings,
        *,
        known_units: AbstractSet[str] | None = None,
        clock: Clock | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Check the settings and the mapping file; nothing is sent yet.

        ``known_units`` are the slugs of the units, where they are known. Raises
        ``ConfigurationError`` with every problem of both.
        """
        problems = settings.problems()
        try:
            mapping = load_mapping(settings.mapping_file, known_units)
        except ConfigurationError as error:
            problems += error.problems
        if problems:
            raise ConfigurationError(problems)
        self._settings = settings
        self._tls = tls_context(settings)
        self._membership = Membership(settings, mapping)
        self._servers = Servers(
            settings.servers, retry_after=settings.retry_after, monotonic=monotonic
        )
        self._clock = clock or SystemClock()
        self._monotonic = monotonic
        self._sleep = sleep
        self._lockout = (
            None
            if settings.lockout_minutes is None
            else timedelta(minutes=settings.lockout_minutes)
        )
        self._attributes = (
            settings.key_attribute,
            settings.username_attribute,
            settings.name_attribute,
            *state.STATE_ATTRIBUTES,
            *self._membership.attributes,
        )

    def authenticate(self, username: str, password: str) -> DirectoryPerson:
        """See the port. A person without any mapped group comes back with no grants."""
        if not is_sendable_name(username, LONGEST_NAME):
            raise BadCredentials(WRONG)
        if not is_sendable_password(password, LONGEST_PASSWORD):
            raise BadCredentials(WRONG)
        began = self._monotonic()
        try:
            return self._ask(lambda session: self._log_in(session, username, password))
        except (BadCredentials, AccountRefused):
            left = self._settings.refusal_seconds - (self._monotonic() - began)
            if left > 0:
                self._sleep(left)
            raise

    def people(self) -> Iterator[DirectoryPerson]:
        """See the port. Disabled and locked people are among them, as not active.

        The whole list is read before the first person is given: a server that dies half-way raises
        ``DirectoryUnavailable`` (or the list is read anew from the next server), and never gives a
        short list by which a sync would deactivate the rest. Raises ``ConfigurationError`` when a
        mapped group cannot be seen.
        """
        yield from self._ask(self._everyone)

    def check(self) -> None:
        """See the port."""
        self._ask(lambda session: None)

    def _ask(self, question: Callable[[Session], T]) -> T:
        """Put ``question`` to the first server that serves; each is tried at most once.

        A server that breaks off while a password is being tried can count that try although the
        next server is asked again. That costs a person with a wrong password one try too many, and
        is the price of logging in while a server dies.
        """
        problem: ServerProblem | None = None
        for url in self._servers.order():
            try:
                with Session(self._settings, url, self._tls) as session:
                    session.bind_service()
                    answer = question(session)
            except ServerProblem as error:
                problem = error
                level = logging.WARNING if self._servers.failed(url) else logging.INFO
                _log.log(level, "directory server %s failed: %s", url, error)
            except (BadCredentials, AccountRefused, ConfigurationError):
                self._answered(url)
                raise
            else:
                self._answered(url)
                return answer
        raise DirectoryUnavailable(SILENT) from problem

    def _answered(self, url: str) -> None:
        if self._servers.answered(url):
            _log.warning("directory server %s answers again", url)

    def _log_in(self, session: Session, username: str, password: str) -> DirectoryPerson:
        settings = self._settings
        hits = session.find(
            settings.base_dn,
            settings.user_filter.replace(NAME_PLACE, escape(username)),
            self._attributes,
        )
        if len(hits) != 1:
            if hits:
                _log.warning("a user name finds more than one entry; the user filter is too wide")
            session.try_password(f"cn={uuid.uuid4().hex},{settings.base_dn}", password)
            raise BadCredentials(WRONG)
        entry = hits[0]
        answer = session.try_password(entry.dn, password)
        now = self._clock.now()
        if answer.accepted:
            refusal = state.bind_refusal(answer) or state.lasting_refusal(entry, now)
        else:
            # The entry first: it tells a lock from a validity that has ended, the answer does not.
            refusal = state.lock_refusal(entry, now, self._lockout) or state.bind_refusal(answer)
        if refusal:
            raise AccountRefused(refusal)
        if not answer.accepted:
            raise BadCredentials(WRONG)
        return self._person(entry, self._membership.grants_of(session, entry), None)

    def _everyone(self, session: Session) -> list[DirectoryPerson]:
        now = self._clock.now()
        entries: dict[str, Entry] = {}
        grants: dict[str, frozenset[Grant]] = {}
        for entry, given in self._membership.everyone(session, self._attributes):
            key = self._key(entry)
            entries[key] = entry
            grants[key] = grants.get(key, frozenset()) | given
        people = []
        for key, entry in entries.items():
            refusal = state.lasting_refusal(entry, now)
            refusal = refusal or state.lock_refusal(entry, now, self._lockout)
            people.append(self._person(entry, grants[key], refusal))
        return people

    def _person(
        self, entry: Entry, grants: frozenset[Grant], reason: str | None
    ) -> DirectoryPerson:
        username = tidy(entry.text(self._settings.username_attribute) or "")
        if not username:
            raise ServerProblem(
                f"an entry has no {self._settings.username_attribute}: check the name of the "
                "attribute and the rights of the service account"
            )
        return DirectoryPerson(
            key=self._key(entry),
            username=username,
            display_name=tidy(entry.text(self._settings.name_attribute) or "") or username,
            grants=grants,
            active=reason is None,
            reason=reason,
            locked_out=reason == state.LOCKED and not state.locked_for_good(entry),
        )

    def _key(self, entry: Entry) -> str:
        """The identifier that outlives a rename: a UUID as text, or the attribute as it is."""
        name = self._settings.key_attribute
        value = next(iter(entry.values(name)), b"")
        if name.lower() == "objectguid" and len(value) == 16:
            # Active Directory stores the first three fields of the GUID little-endian.
            return str(uuid.UUID(bytes_le=value))
        key = value.decode("utf-8", "replace").strip()
        if not key:
            raise ServerProblem(
                f"an entry has no {name}: check the name of the attribute and the rights of the "
                "service account"
            )
        return key
