"""From what a recording kept to a copy of the site, and to a rule that names it."""

from __future__ import annotations

import json
from dataclasses import replace
from tempfile import TemporaryFile
from typing import BinaryIO, cast
from uuid import UUID

from sqlalchemy import update

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.recorder import keeping
from dask_platform.features.recorder.models import Recording
from dask_platform.features.recorder.proposing import Draft
from dask_platform.features.recorder.queries import load
from dask_platform.features.recorder.service.recordings import end
from dask_platform.features.whitelists.queries import body_of
from dask_platform.features.whitelists.rules import Profile, Rule
from dask_platform.features.whitelists.service import copies
from dask_platform.kernel.actor import Actor
from dask_platform.kernel.errors import CopyBroken, Invalid, ScanRefused
from dask_platform.kernel.messages import N_
from dask_platform.web.platform import Platform

NOTHING_KEPT = N_("This recording kept nothing to make a copy of.")


def freeze(
    uow: UnitOfWork, actor: Actor, platform: Platform, recording_id: UUID, draft: Draft
) -> Draft:
    """``draft`` as a rule that shows the copy of this recording. The recording ends with it: what
    is approved is what was kept.

    The copy is made once. Raises ``Invalid`` where nothing was kept, or it cannot be a copy,
    ``ScannerUnavailable``.
    """
    sha256 = load(uow, actor, recording_id).copy_sha256
    if sha256 is None:
        sha256 = _made(uow, actor, platform, recording_id, draft.rule.title.nb)
    body = body_of(draft.rule) | {
        "profile": str(Profile.FROZEN), "copy": {"sha256": sha256, "kind": "warc"}
    }  # fmt: skip
    return replace(draft, rule=Rule.model_validate_json(json.dumps(body)))


def _made(uow: UnitOfWork, actor: Actor, platform: Platform, recording_id: UUID, title: str) -> str:
    now = platform.clock.now()
    if not keeping.kept(uow, recording_id).answers:
        raise Invalid(NOTHING_KEPT, "profile")
    end(uow, actor, recording_id, now)
    answers = keeping.captured(uow, platform.files, recording_id)
    # Reading it through takes longer than a transaction may stay idle.
    uow.commit()
    try:
        with TemporaryFile() as file:
            stream = cast(BinaryIO, file)
            copies.copies_of(platform).write(stream, answers, title=title)
            stream.seek(0)
            with copies.examined(platform, stream, seconds=copies.ON_A_PAGE) as new:
                uow.act_as(actor.person_id)
                sha256 = copies.add(uow, actor, platform.files, new, now)
    except (CopyBroken, ScanRefused) as error:
        raise Invalid(error.message, "profile", **error.params) from None
    finally:
        uow.act_as(actor.person_id)
    uow.execute(
        update(Recording)
        .where(Recording.id == recording_id)
        .values(copy_sha256=sha256)
        .execution_options(synchronize_session=False)
    )
    return sha256
