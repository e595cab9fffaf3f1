"""From a user name and a password to a session.

Everything that is refused before the password is known to be right looks the same: no such
account, a wrong password, a closed account, one that the directory refuses. The same statements
run, one hash is computed, and where there is a directory it is asked once. What is refused after
that (the room, no place at a unit) is told plainly, for the person has shown who they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

import structlog

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.audit import service as audit
from dask_platform.features.audit.kinds import EventKind
from dask_platform.features.identity import queries
from dask_platform.features.identity.queries import Account
from dask_platform.features.identity.service import credentials, sessions, throttle
from dask_platform.features.identity.service.directory import sync_person
from dask_platform.features.identity.service.names import USERNAME_MOST, normal_username
from dask_platform.kernel.actor import Actor
from dask_platform.kernel.errors import (
    AccountRefused,
    BadCredentials,
    DaskError,
    DirectoryUnavailable,
    NotAllowed,
    Throttled,
)
from dask_platform.kernel.ids import new_token
from dask_platform.kernel.messages import N_
from dask_platform.kernel.ports import Directory
from dask_platform.kernel.settings import Settings
from dask_platform.security.addresses import RoomMap
from dask_platform.security.passwords import PasswordHasher

WRONG = N_("Check the user name and the password. If it still does not work, ask your school.")
WAIT = N_("Too many tries. Wait %(minutes)s minutes, then try again.")
WAIT_ONE = N_("Too many tries. Wait one minute, then try again.")
WRONG_ROOM = N_("You can only log in from a classroom of your unit. Speak to your teacher.")
NO_PLACE = N_("You have no place at a unit now. Speak to your school.")
NO_ROLE = N_("Your account has no role now. Speak to the operator of the platform.")

log = structlog.get_logger("dask.login")


@dataclass(frozen=True, slots=True)
class Desk:
    """What stands at the entrance: the settings, the hasher, the directory and the room map."""

    settings: Settings
    hasher: PasswordHasher
    directory: Directory | None
    rooms: RoomMap


@dataclass(frozen=True, slots=True)
class Entered:
    """Logged in. ``token`` goes to the browser."""

    actor: Actor
    token: str


@dataclass(frozen=True, slots=True)
class MustChange:
    """The password is right and was good for once: choose another to go on. See
    ``credentials.open_ticket``."""

    ticket: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Not logged in. An answer and not an exception, because the try and its event must be kept."""

    error: DaskError


Outcome = Entered | MustChange | Refused


class _FailedError(Exception):
    """Refused before the password was known to be right; ``reason`` is for the log alone."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def log_in(
    uow: UnitOfWork,
    desk: Desk,
    username: str,
    password: str,
    now: datetime,
    *,
    before: Actor | None = None,
) -> Outcome:
    """Try a user name and a password. ``before`` is who this browser was logged in as.

    Commits the counted try first. Never raises for what a person can do wrong.
    """
    name = normal_username(username)
    account_tries = throttle.account_counter(desk.settings, name)
    address_tries = throttle.address_counter(desk.settings, uow.origin.address)
    wait = throttle.count_try(uow, desk.settings, now, address_tries, account_tries)
    if wait is not None:
        audit.record(uow, None, EventKind.LOGIN_THROTTLED, scope=wait.scope)
        return Refused(too_many(wait))
    account = queries.account_named(uow, name[: USERNAME_MOST + 1])
    # Gives the connection back while a hash is computed and the directory is asked.
    uow.commit()
    try:
        found = _check(uow, desk, account, name, password)
    except _FailedError as failed:
        _record_failure(uow, account, failed.reason)
        return Refused(BadCredentials(WRONG))
    except DirectoryUnavailable as error:
        log.error("directory_unavailable")
        return Refused(error)
    # In the order in which they are counted: otherwise two log-ins could each wait for the other.
    throttle.give_back(uow, address_tries)
    throttle.clear(uow, account_tries)
    if found.must_change:
        return MustChange(credentials.make_ticket(desk.settings, found, now))
    return enter(uow, desk, found, now, before=before)


def too_many(wait: throttle.Wait) -> Throttled:
    minutes = math.ceil(wait.seconds / 60)
    if minutes == 1:
        return Throttled(WAIT_ONE, wait.seconds)
    return Throttled(WAIT, wait.seconds, minutes=minutes)


def _check(
    uow: UnitOfWork, desk: Desk, account: Account | None, name: str, password: str
) -> Account:
    """The account behind a right password; raises ``_FailedError``.

    Costs one hash for everybody, and one question to the directory for everybody who fails: where
    the account is a local one the directory is asked for a name that nobody has. A local account
    with the right password needs no directory, and so works on the day it is down.
    """
    local = account if account is not None and account.directory_key is None else None
    right = desk.hasher.verify_password(local.password_hash if local else None, password)
    if right and local is not None and local.active:
        _rehash(uow, desk.hasher, local, password)
        return local
    if desk.directory is None:
        raise _FailedError("closed" if right else "password" if local else "unknown")
    asked = (new_token(), new_token()) if local is not None else (name, password)
    try:
        person = desk.directory.authenticate(*asked)
        if local is not None:
            raise _FailedError("the directory accepts anything")
        sync_person(uow, person)
    except BadCredentials:
        raise _FailedError("closed" if right else "password") from None
    except AccountRefused as refused:
        raise _FailedError(refused.reason) from None
    # The directory may write the name in another way than it was typed.
    synced = queries.account_named(uow, normal_username(person.username))
    if synced is None:
        raise _FailedError("name_taken")
    return synced


def _rehash(uow: UnitOfWork, hasher: PasswordHasher, account: Account, password: str) -> None:
    if account.password_hash and hasher.needs_rehash(account.password_hash):
        uow.act_as(account.person_id)
        credentials.store_hash(uow, account.person_id, hasher.hash_password(password))


def _record_failure(uow: UnitOfWork, account: Account | None, reason: str) -> None:
    """The name that was typed is not kept: people type passwords into the wrong field."""
    audit.record(
        uow,
        None,
        EventKind.LOGIN_FAILED,
        unit_id=account.unit_id if account else None,
        subject_id=account.person_id if account else None,
        reason=reason,
    )
    # Who it was stands in the audit log, under the same request id.
    log.warning("login_failed", reason=reason)


def enter(
    uow: UnitOfWork,
    desk: Desk,
    account: Account,
    now: datetime,
    *,
    before: Actor | None = None,
) -> Outcome:
    """Let in a person who has shown a password: the room, then the session."""
    person_id, kind = account.person_id, account.kind
    if before is not None:
        uow.act_as(before.person_id)
        sessions.log_out(uow, before, now)
    uow.act_as(person_id)
    actor = queries.describe_self(uow, person_id, account.unit_id)
    if not actor.roles:
        reason = "no_place" if kind == "student" else "no_role"
        audit.record(
            uow, actor, EventKind.LOGIN_FAILED, subject_id=account.person_id, reason=reason
        )
        return Refused(NotAllowed(NO_PLACE if kind == "student" else NO_ROLE))
    address = uow.origin.address
    if actor.unit_id is not None and not desk.rooms.admits(actor.unit_id, address):
        audit.record(uow, actor, EventKind.LOGIN_REFUSED_ROOM, subject_id=person_id)
        return Refused(NotAllowed(WRONG_ROOM))
    place = desk.rooms.room_at(address) if actor.is_student else None
    token, session_id = sessions.start(
        uow, actor, desk.settings, now, place.room_id if place else None
    )
    audit.record(
        uow,
        actor,
        EventKind.LOGIN_SUCCEEDED,
        thing=("session", session_id),
        subject_id=person_id,
        room=place.room_id if place else None,
    )
    return Entered(actor, token)
