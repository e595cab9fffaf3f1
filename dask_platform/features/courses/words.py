"""Times in plain words. An edge: it speaks the reader's language."""

from __future__ import annotations

from datetime import datetime

from flask_babel import gettext as _

from dask_platform.web.i18n import oslo_datetime


def deadline_words(due_at: datetime | None, cutoff_at: datetime | None, now: datetime) -> str:
    """«Frist: fredag 4. desember 2026 kl. 12.00. Du kan levere for sent fram til …»

    Due is when the work should be there; until the cut-off it is taken, but late. Empty without
    either.
    """
    if cutoff_at is not None and now > cutoff_at:
        return str(
            _("The assignment is closed. It closed on %(when)s.", when=oslo_datetime(cutoff_at))
        )
    if due_at is not None and now > due_at:
        passed = _("The deadline has passed. It was %(when)s.", when=oslo_datetime(due_at))
        if cutoff_at is None:
            still = _("You can still hand in late.")
            return f"{passed} {still}"
        until = _("You can hand in late until %(when)s.", when=oslo_datetime(cutoff_at))
        return f"{passed} {until}"
    if due_at is not None:
        words = _("Deadline: %(when)s.", when=oslo_datetime(due_at))
        if cutoff_at is None or cutoff_at == due_at:
            return str(words)
        until = _("You can hand in late until %(when)s.", when=oslo_datetime(cutoff_at))
        return f"{words} {until}"
    if cutoff_at is not None:
        return str(_("You can hand in until %(when)s.", when=oslo_datetime(cutoff_at)))
    return ""
