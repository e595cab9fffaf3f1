"""What the pages say: states, grades, kinds of file, and errors with their places filled in.

An edge: it speaks the reader's language.
"""

from __future__ import annotations

from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from dask_platform.features.handins.models import AttemptState, ScanState
from dask_platform.features.handins.scanning import MISSING
from dask_platform.kernel.errors import DaskError, StorageUnavailable
from dask_platform.security.filetypes import Family
from dask_platform.web.i18n import filesize

KINDS = {
    Family.AUDIO: _l("sound recording"),
    Family.IMAGE: _l("picture"),
    Family.OFFICE: _l("office document (Word, Excel, PowerPoint, LibreOffice)"),
    Family.PDF: _l("PDF"),
    Family.TEXT: _l("plain text"),
    Family.VIDEO: _l("video"),
}
GRADE_WORDS = {"passed": _l("Passed"), "failed": _l("Not passed")}

# (word, colour) of a tag. The word carries the meaning.
STATES = {
    AttemptState.DRAFT: (_l("Draft"), "warning"),
    AttemptState.HANDED_IN: (_l("Handed in"), "info"),
    AttemptState.RETURNED: (_l("Returned"), "success"),
}
SCANS = {
    ScanState.PENDING: (_l("Being checked"), "info"),
    ScanState.CLEAN: (_l("Checked"), "success"),
    ScanState.INFECTED: (_l("Stopped"), "danger"),
    ScanState.REFUSED: (_l("Stopped"), "danger"),
}

FIRST_ISOLATE, END_ISOLATE = "\u2068", "\u2069"


def say(error: DaskError) -> str:
    """An error in the reader's language, with sizes, kinds and file names as people read them."""
    if isinstance(error, StorageUnavailable):
        return str(
            _(
                "The file could not be stored just now. Your text is saved. Wait a minute, then "
                "add the file once more."
            )
        )
    places = dict(error.params)
    if "limit_bytes" in places:
        places["limit"] = filesize(places["limit_bytes"])
    if "families" in places:
        places["kinds"] = kinds(places["families"])
    if "file" in places:
        # A name in another direction must not turn the sentence around it.
        places["file"] = f"{FIRST_ISOLATE}{places['file']}{END_ISOLATE}"
    return str(_(error.message, **places))


def kinds(families: Any) -> str:
    """«PDF, picture»: the kinds of file an assignment takes."""
    known = [Family(one) for one in families if one in set(Family)]
    return ", ".join(str(KINDS[one]) for one in known if one in KINDS)


def grade(value: str | None) -> str:
    """«5», «Passed», or that none was given."""
    if value is None:
        return str(_("No grade"))
    return str(GRADE_WORDS.get(value, value))


def state_tag(state: str) -> tuple[str, str]:
    word, color = STATES[AttemptState(state)]
    return str(word), color


def scan_tag(state: str) -> tuple[str, str]:
    word, color = SCANS[ScanState(state)]
    return str(word), color


def stopped_why(state: str, finding: str | None) -> str:
    """Why a student's file was stopped, plainly and without the scanner's own words."""
    if finding == MISSING:
        return str(_("This file was lost. Add it once more. It is not your fault."))
    if state == ScanState.INFECTED:
        return str(
            _(
                "The virus check found something harmful in this file, so it was stopped. Your "
                "teacher does not get it. Hand in another file, made anew."
            )
        )
    return str(
        _(
            "This file could not be checked for viruses, so it was stopped. Your teacher does not "
            "get it. Save it again in another way, for example as PDF, and add that file."
        )
    )


def for_templates() -> dict[str, Any]:
    return {
        "file_kinds": kinds,
        "grade_words": grade,
        "scan_tag": scan_tag,
        "state_tag": state_tag,
        "stopped_why": stopped_why,
    }
