"""What a student does with a text: save it, hand it in, try again. Files are in ``filing.py``.

Each verb takes the assignment as ``courses.queries.class_assignment`` found it for this actor:
who does not attend the class never gets one.

``Attempt.version`` counts the versions of the *text*: files come and go without it, so that adding
a file in one window does not make the text in another look old.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from uuid import UUID

from sqlalchemy import select

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.audit.kinds import EventKind
from dask_platform.features.audit.service import record
from dask_platform.features.courses.queries import AssignmentView
from dask_platform.features.handins.drafts import (
    is_closed,
    is_late,
    locked_draft,
    open_draft,
    own_rows,
)
from dask_platform.features.handins.models import Attempt, AttemptState
from dask_platform.features.handins.policy import STOPPED
from dask_platform.features.handins.queries import fingerprint
from dask_platform.kernel.actor import Actor
from dask_platform.kernel.errors import Closed, Conflict, Invalid, NotVisible
from dask_platform.kernel.ids import new_code
from dask_platform.kernel.messages import N_
from dask_platform.security.names import clean_text
from dask_platform.security.permissions import Permission
from dask_platform.security.policy import authorise

TEXT_MOST = 100_000  # characters: some forty pages

CLOSED = N_(
    "The time to hand in is over. Your text is kept as a draft. Ask your teacher what you "
    "can do now."
)
OTHER_WINDOW = N_(
    "This text was changed in another window after you opened it here. Nothing was overwritten. "
    "Compare the two texts below, then save the one you want."
)
CHANGED_SINCE = N_(
    "Your draft was changed after you opened this page. Nothing was handed in. Look at it once "
    "more, then hand it in."
)
NOTHING_TO_HAND_IN = N_("There is nothing to hand in yet. Write a text or add a file first.")


def save(
    uow: UnitOfWork,
    actor: Actor,
    assignment: AssignmentView,
    *,
    text: str,
    version: int,
    now: datetime,
) -> Attempt:
    """Keep the text as the draft, also after the cut-off: what was written is never lost.

    ``version`` is that of the draft the text was written upon, 0 for none. Raises ``Conflict``
    when another window saved a different text since, ``Closed`` when it is handed in already,
    ``TooLarge`` and ``Invalid`` for the text itself.
    """
    text = clean_text(text, TEXT_MOST) if assignment.text_wanted else ""
    draft = open_draft(uow, actor, assignment, now)
    if draft.text == text:
        return draft
    if draft.version != version and draft.text:
        raise Conflict(OTHER_WINDOW)
    draft.text = text
    draft.saved_at = now
    uow.flush()
    record(
        uow, actor, EventKind.ATTEMPT_SAVED, unit_id=assignment.unit_id,
        thing=("attempt", draft.id), subject_id=actor.person_id, characters=len(text),
    )  # fmt: skip
    return draft


def hand_in(
    uow: UnitOfWork,
    actor: Actor,
    assignment: AssignmentView,
    *,
    attempt_id: UUID,
    shown: str,
    now: datetime,
) -> Attempt:
    """Make the draft final and give it a receipt.

    ``shown`` is the fingerprint of what the student was shown: if the draft is another one by now,
    ``Conflict``. Sent again (two clicks, the Back button) it answers with the same receipt. Raises
    ``Closed`` past the cut-off and ``Invalid`` when there is nothing to hand in; the draft stays.
    """
    draft = locked_draft(uow, actor, assignment, Attempt.id == attempt_id)
    if draft is None:
        return _handed_in(uow, actor, assignment, attempt_id)
    authorise(actor, Permission.ATTEMPT_WRITE, draft)
    if is_closed(assignment, now):
        raise Closed(CLOSED)
    if fingerprint(draft.version, (file.id for file in draft.files)) != shown:
        raise Conflict(CHANGED_SINCE)
    if not draft.text.strip() and all(file.scan_state in STOPPED for file in draft.files):
        raise Invalid(NOTHING_TO_HAND_IN)
    draft.state = AttemptState.HANDED_IN
    draft.text_sha256 = hashlib.sha256(draft.text.encode()).hexdigest()
    draft.receipt = new_code()
    draft.handed_in_at = now
    draft.late = is_late(assignment, now)
    draft.file_count = len(draft.files)
    uow.flush()
    record(
        uow, actor, EventKind.ATTEMPT_HANDED_IN, unit_id=assignment.unit_id,
        thing=("attempt", draft.id), subject_id=actor.person_id, number=draft.number,
        receipt=draft.receipt, late=draft.late, text_sha256=draft.text_sha256,
        files=[file.sha256 for file in draft.files],
    )  # fmt: skip
    return draft


def start_again(
    uow: UnitOfWork, actor: Actor, assignment: AssignmentView, now: datetime
) -> Attempt:
    """A new draft after a return, beginning with a copy of the text. Asked twice, it is one."""
    if is_closed(assignment, now):
        raise Closed(CLOSED)
    return open_draft(uow, actor, assignment, now, again=True)


def _handed_in(
    uow: UnitOfWork, actor: Actor, assignment: AssignmentView, attempt_id: UUID
) -> Attempt:
    found = uow.scalars(
        select(Attempt)
        .where(*own_rows(actor, assignment), Attempt.id == attempt_id)
        .execution_options(populate_existing=True)
    ).one_or_none()
    if found is None or found.state == AttemptState.DRAFT:
        raise NotVisible("There is nothing here.")
    return found
