"""The second factor of staff: a time-based code (RFC 6238), and codes for a lost telephone.

The secret is stored encrypted with a key made from the installation's own secret and the person's
id: a copy of the table is of no use, and a secret moved to another person's row does not open.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import pyotp
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.audit import service as audit
from dask_platform.features.audit.kinds import EventKind
from dask_platform.features.identity.models import LoginSession, RecoveryCode, TotpSecret
from dask_platform.features.identity.service import sessions, throttle
from dask_platform.kernel.actor import Actor
from dask_platform.kernel.errors import Invalid, NotAllowed, NotVisible, SecondFactorNeeded
from dask_platform.kernel.ids import new_code, new_id, new_token
from dask_platform.kernel.messages import N_
from dask_platform.kernel.settings import Settings

STEP_SECONDS: Final = 30
DRIFT_STEPS: Final = 1
RECOVERY_CODES: Final = 10
ISSUER: Final = "DASK"

NOTHING_TO_SET_UP = N_("There is no second factor to set up here. Go to your account.")
WRONG_CODE = N_("The code is not right. Wait for the next code in the app, and write that one.")


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The code was right. ``token`` is the session's new one; ``codes`` are shown once, after a
    set-up."""

    token: str
    codes: tuple[str, ...] = ()


Answer = Confirmed | throttle.Wait | Invalid


def provisioning_uri(uow: UnitOfWork, actor: Actor, settings: Settings) -> str:
    """``otpauth://…`` for the QR code of a set-up that is not finished yet. Raises ``NotVisible``
    when there is none: a finished secret is never shown again."""
    secret = _secret(uow, actor, settings, confirmed=False)
    return pyotp.TOTP(secret).provisioning_uri(name=actor.username, issuer_name=ISSUER)


def pending_secret(uow: UnitOfWork, actor: Actor, settings: Settings) -> str:
    """The secret of an unfinished set-up, in groups of four, for typing by hand."""
    secret = _secret(uow, actor, settings, confirmed=False)
    return " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))


def begin(uow: UnitOfWork, actor: Actor, settings: Settings) -> None:
    """Offer this session its secret to set up. Raises ``NotAllowed`` for students and for those who
    have a second factor.

    The secret belongs to the session: somebody with a stolen password who looked at a set-up page
    first must not know what the owner sets up afterwards.
    """
    _may_set_up(actor)
    sealed = _box(settings, actor.person_id).encrypt(_offered(uow, actor, settings).encode())
    row = upsert(TotpSecret).values(person_id=actor.person_id, secret=sealed, last_step=0)
    uow.execute(
        row.on_conflict_do_update(
            index_elements=[TotpSecret.person_id],
            set_={"secret": row.excluded.secret, "last_step": 0},
            where=TotpSecret.confirmed_at.is_(None),
        )
    )


def finish(uow: UnitOfWork, actor: Actor, settings: Settings, code: str, now: datetime) -> Answer:
    """The first code from the app: from now on the second factor is asked for. Gives the recovery
    codes; ends the actor's other sessions, which never showed one."""
    _may_set_up(actor)
    wait = _count(uow, actor, settings, now)
    if wait is not None:
        return wait
    begin(uow, actor, settings)
    secret = _secret(uow, actor, settings, confirmed=False)
    if not _use(uow, actor, secret, code, now):
        return _failed(uow, actor)
    uow.execute(
        update(TotpSecret).where(TotpSecret.person_id == actor.person_id).values(confirmed_at=now)
    )
    codes = _new_codes(uow, actor, settings)
    sessions.end_of_person(
        uow, actor.person_id, now, sessions.EndReason.SECOND_FACTOR, keep=actor.session_id
    )
    _done(uow, actor, settings)
    audit.record(uow, actor, EventKind.SECOND_FACTOR_ADDED, subject_id=actor.person_id)
    return Confirmed(_mark_session(uow, actor, now), codes)


def confirm(uow: UnitOfWork, actor: Actor, settings: Settings, code: str, now: datetime) -> Answer:
    """Log-in's second step: a code from the app, or a recovery code."""
    wait = _count(uow, actor, settings, now)
    if wait is not None:
        return wait
    if not _check(uow, actor, settings, code, now):
        return _failed(uow, actor)
    _done(uow, actor, settings)
    audit.record(uow, actor, EventKind.SECOND_FACTOR_PASSED, subject_id=actor.person_id)
    return Confirmed(_mark_session(uow, actor, now))


def remove_own(
    uow: UnitOfWork, actor: Actor, settings: Settings, code: str, now: datetime
) -> Answer:
    """Take one's own second factor away, with a code of it: to set up another telephone. Where it
    is compulsory, the next page asks for a new one."""
    wait = _count(uow, actor, settings, now)
    if wait is not None:
        return wait
    if not _check(uow, actor, settings, code, now):
        return _failed(uow, actor)
    _done(uow, actor, settings)
    remove(uow, actor.person_id)
    uow.execute(
        update(LoginSession)
        .where(LoginSession.id == actor.session_id)
        .values(second_factor_at=None)
    )
    audit.record(uow, actor, EventKind.SECOND_FACTOR_REMOVED, subject_id=actor.person_id)
    return Confirmed(_rotate(uow, actor))


def renew_codes(
    uow: UnitOfWork, actor: Actor, settings: Settings, code: str, now: datetime
) -> Answer:
    """Ten new recovery codes; the old ones stop working."""
    wait = _count(uow, actor, settings, now)
    if wait is not None:
        return wait
    if not _check(uow, actor, settings, code, now):
        return _failed(uow, actor)
    _done(uow, actor, settings)
    audit.record(
        uow, actor, EventKind.SECOND_FACTOR_ADDED, subject_id=actor.person_id, what="codes"
    )
    return Confirmed(_rotate(uow, actor), _new_codes(uow, actor, settings))


def codes_left(uow: UnitOfWork, actor: Actor) -> int:
    """How many recovery codes the actor has not used."""
    return (
        uow.scalar(
            select(func.count())
            .select_from(RecoveryCode)
            .where(RecoveryCode.person_id == actor.person_id, RecoveryCode.used_at.is_(None))
        )
        or 0
    )


def remove(uow: UnitOfWork, person_id: UUID) -> bool:
    """Delete secret and codes; whether there was a secret. The caller authorises and records."""
    uow.execute(delete(RecoveryCode).where(RecoveryCode.person_id == person_id))
    gone = uow.execute(
        delete(TotpSecret).where(TotpSecret.person_id == person_id).returning(TotpSecret.person_id)
    )
    return gone.first() is not None


def _may_set_up(actor: Actor) -> None:
    if actor.is_student:
        raise NotAllowed(N_("Students log in with the password alone."))
    if actor.has_second_factor:
        if not actor.second_factor:
            raise SecondFactorNeeded(N_("Confirm with your second factor."))
        raise NotAllowed(N_("You have a second factor. Remove it first to set up another."))


def _count(
    uow: UnitOfWork, actor: Actor, settings: Settings, now: datetime
) -> throttle.Wait | None:
    counter = throttle.own_counter(settings, "second-factor", actor.person_id)
    wait = throttle.count_try(uow, settings, now, counter)
    uow.act_as(actor.person_id)
    if wait is not None:
        audit.record(uow, actor, EventKind.LOGIN_THROTTLED, scope=wait.scope)
    return wait


def _done(uow: UnitOfWork, actor: Actor, settings: Settings) -> None:
    throttle.clear(uow, throttle.own_counter(settings, "second-factor", actor.person_id))


def _failed(uow: UnitOfWork, actor: Actor) -> Invalid:
    audit.record(uow, actor, EventKind.SECOND_FACTOR_FAILED, subject_id=actor.person_id)
    return Invalid(WRONG_CODE, field="code")


def _check(uow: UnitOfWork, actor: Actor, settings: Settings, code: str, now: datetime) -> bool:
    plain = "".join(code.split())
    if plain.isascii() and plain.isdigit() and len(plain) == 6:
        return _use(uow, actor, _secret(uow, actor, settings, confirmed=True), plain, now)
    return _use_recovery(uow, actor, settings, code, now)


def _use(uow: UnitOfWork, actor: Actor, secret: str, code: str, now: datetime) -> bool:
    """Whether ``code`` is right now, give or take one step, and was not used before.

    The update decides, so that two requests with one code cannot both pass.
    """
    plain = "".join(code.split())
    totp = pyotp.TOTP(secret, interval=STEP_SECONDS)
    present = int(now.timestamp()) // STEP_SECONDS
    for step in range(present - DRIFT_STEPS, present + DRIFT_STEPS + 1):
        if hmac.compare_digest(totp.generate_otp(step).encode(), plain.encode()):
            used = uow.execute(
                update(TotpSecret)
                .where(TotpSecret.person_id == actor.person_id, TotpSecret.last_step < step)
                .values(last_step=step)
                .returning(TotpSecret.person_id)
            )
            return used.first() is not None
    return False


def _use_recovery(
    uow: UnitOfWork, actor: Actor, settings: Settings, code: str, now: datetime
) -> bool:
    used = uow.execute(
        update(RecoveryCode)
        .where(
            RecoveryCode.person_id == actor.person_id,
            RecoveryCode.code_hash == _code_hash(settings, actor.person_id, code),
            RecoveryCode.used_at.is_(None),
        )
        .values(used_at=now)
        .returning(RecoveryCode.id)
    ).first()
    if used is None:
        return False
    audit.record(
        uow,
        actor,
        EventKind.SECOND_FACTOR_RECOVERY_USED,
        subject_id=actor.person_id,
        left=codes_left(uow, actor),
    )
    return True


def _new_codes(uow: UnitOfWork, actor: Actor, settings: Settings) -> tuple[str, ...]:
    uow.execute(delete(RecoveryCode).where(RecoveryCode.person_id == actor.person_id))
    codes = tuple(new_code() for _ in range(RECOVERY_CODES))
    uow.execute(
        insert(RecoveryCode),
        [
            {
                "id": new_id(),
                "person_id": actor.person_id,
                "code_hash": _code_hash(settings, actor.person_id, code),
            }
            for code in codes
        ],
    )
    return codes


def _mark_session(uow: UnitOfWork, actor: Actor, now: datetime) -> str:
    """The session has shown the second factor. Its token changes with its rights."""
    uow.execute(
        update(LoginSession).where(LoginSession.id == actor.session_id).values(second_factor_at=now)
    )
    return _rotate(uow, actor)


def _rotate(uow: UnitOfWork, actor: Actor) -> str:
    token = new_token()
    uow.execute(
        update(LoginSession)
        .where(LoginSession.id == actor.session_id)
        .values(token_hash=sessions.hash_token(token))
    )
    return token


def _secret(uow: UnitOfWork, actor: Actor, settings: Settings, *, confirmed: bool) -> str:
    sealed = uow.scalar(
        select(TotpSecret.secret).where(
            TotpSecret.person_id == actor.person_id,
            TotpSecret.confirmed_at.is_not(None)
            if confirmed
            else TotpSecret.confirmed_at.is_(None),
        )
    )
    if sealed is None:
        raise NotVisible(NOTHING_TO_SET_UP)
    try:
        secret = _box(settings, actor.person_id).decrypt(sealed).decode()
    except InvalidToken:
        # The installation's secret was changed: nobody's second factor can be read any more.
        raise NotAllowed(
            N_("Your second factor no longer works. Ask the operator to remove it.")
        ) from None
    if not confirmed and secret != _offered(uow, actor, settings):
        # Another session of the same person has begun meanwhile; what it was offered is its own.
        raise NotVisible(NOTHING_TO_SET_UP)
    return secret


def _offered(uow: UnitOfWork, actor: Actor, settings: Settings) -> str:
    """The secret that this session is offered: the same at each look, and another one for each
    token, so that a telephone that was removed never fits again."""
    token_hash = uow.scalar(
        select(LoginSession.token_hash).where(LoginSession.id == actor.session_id)
    )
    if token_hash is None:
        raise NotVisible(NOTHING_TO_SET_UP)
    key = _key(settings, "totp offer", actor.person_id)
    return base64.b32encode(hmac.digest(key, bytes(token_hash), hashlib.sha256)[:20]).decode()


def _key(settings: Settings, purpose: str, person_id: UUID) -> bytes:
    info = f"dask {purpose} {person_id}".encode()
    return HKDF(hashes.SHA256(), 32, salt=None, info=info).derive(settings.secret().encode())


def _box(settings: Settings, person_id: UUID) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(_key(settings, "totp", person_id)))


def _code_hash(settings: Settings, person_id: UUID, code: str) -> bytes:
    """Codes are typed by hand: case, spaces and lines do not matter."""
    plain = "".join(letter for letter in code.upper() if letter.isalnum())
    return hmac.digest(_key(settings, "recovery", person_id), plain.encode(), hashlib.sha256)
