"""Passwords of local accounts: one's own, and the one an operator hands out for once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from itsdangerous import BadData, URLSafeSerializer
from sqlalchemy import func, select, update

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.audit import service as audit
from dask_platform.features.audit.kinds import EventKind
from dask_platform.features.identity import queries
from dask_platform.features.identity.models import LocalCredential, Person
from dask_platform.features.identity.queries import Account
from dask_platform.features.identity.service import sessions, throttle
from dask_platform.kernel.actor import Actor
from dask_platform.kernel.errors import Invalid, NotAllowed, NotAuthenticated
from dask_platform.kernel.messages import N_
from dask_platform.kernel.settings import Settings
from dask_platform.security.passwords import PasswordHasher, check_new_password

TICKET_LASTS: Final = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Ticket:
    """An opened ticket: the right to choose a new password and then enter."""

    account: Account
    username: str


def store_hash(uow: UnitOfWork, person_id: UUID, hashed: str, *, must_change: bool = False) -> None:
    """Replace the stored hash. Policies allow it for oneself, and for an operator's reset."""
    uow.execute(
        update(LocalCredential)
        .where(LocalCredential.person_id == person_id)
        .values(password_hash=hashed, must_change=must_change, changed_at=func.now())
    )


def make_ticket(settings: Settings, account: Account, now: datetime) -> str:
    """A signed note that this account's one-time password was right a moment ago.

    It goes into the page with the new password's form, so that there is no session before the
    password is changed. It is bound to the present hash: once that is replaced it is worthless.
    """
    until = int((now + TICKET_LASTS).timestamp())
    return _signer(settings).dumps([str(account.person_id), until, _fingerprint(account)])


def open_ticket(uow: UnitOfWork, settings: Settings, ticket: str, now: datetime) -> Ticket:
    """What ``make_ticket`` wrote. Raises ``NotAuthenticated`` for an old or used one.

    The person is the actor of the transaction afterwards.
    """
    too_old = NotAuthenticated(
        N_("You took too long. Log in again with the password you were given.")
    )
    try:
        person, until, fingerprint = _signer(settings).loads(ticket)
        person_id = UUID(person)
    except (BadData, ValueError, TypeError, AttributeError):
        raise too_old from None
    if now.timestamp() > until:
        raise too_old
    uow.act_as(person_id)
    username = uow.scalar(select(Person.username).where(Person.id == person_id))
    account = queries.account_named(uow, username) if username else None
    if username is None or account is None or _fingerprint(account) != fingerprint:
        raise too_old
    if not account.active or not account.must_change:
        raise too_old
    return Ticket(account, username)


def _signer(settings: Settings) -> URLSafeSerializer:
    return URLSafeSerializer(
        settings.secret(),
        salt="identity.new-password",
        signer_kwargs={"digest_method": hashlib.sha256},
    )


def _fingerprint(account: Account) -> str:
    return hashlib.sha256((account.password_hash or "").encode()).hexdigest()[:16]


def choose_first(
    uow: UnitOfWork, hasher: PasswordHasher, ticket: Ticket, new: str, now: datetime
) -> None:
    """Replace the one-time password. Raises ``Invalid`` for a weak one, or the same one."""
    account = ticket.account
    check_new_password(new, ticket.username, staff=account.kind == "staff")
    if hasher.verify_password(account.password_hash, new):
        raise Invalid(N_("Choose another password than the one you were given."), field="password")
    store_hash(uow, account.person_id, hasher.hash_password(new))
    sessions.end_of_person(uow, account.person_id, now, sessions.EndReason.PASSWORD)
    actor = queries.describe_self(uow, account.person_id, account.unit_id)
    audit.record(uow, actor, EventKind.PASSWORD_CHANGED, subject_id=account.person_id)


def change_own(
    uow: UnitOfWork,
    actor: Actor,
    settings: Settings,
    hasher: PasswordHasher,
    present: str,
    new: str,
    now: datetime,
) -> Invalid | throttle.Wait | None:
    """Change one's own password; the actor's other sessions end. None when it is done.

    What is wrong comes back as an answer, so that the counted try is kept. Raises ``NotAllowed``
    for a person of the directory.
    """
    counter = throttle.own_counter(settings, "password", actor.person_id)
    wait = throttle.count_try(uow, settings, now, counter)
    uow.act_as(actor.person_id)
    if wait is not None:
        return wait
    account = queries.account_named(uow, actor.username)
    if account is None or account.directory_key is not None:
        raise NotAllowed(N_("Your password is kept by the county. Change it there."))
    if not hasher.verify_password(account.password_hash, present):
        audit.record(
            uow,
            actor,
            EventKind.LOGIN_FAILED,
            subject_id=actor.person_id,
            reason="present_password",
        )
        return Invalid(N_("This is not your present password."), field="present")
    throttle.clear(uow, counter)
    try:
        check_new_password(new, actor.username, staff=not actor.is_student)
        if present == new:
            raise Invalid(
                N_("The new password is the same as the old one. Choose another."), field="password"
            )
    except Invalid as error:
        return error
    store_hash(uow, actor.person_id, hasher.hash_password(new))
    sessions.end_of_person(
        uow, actor.person_id, now, sessions.EndReason.PASSWORD, keep=actor.session_id
    )
    audit.record(uow, actor, EventKind.PASSWORD_CHANGED, subject_id=actor.person_id)
    return None
