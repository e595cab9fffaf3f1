"""What several pages do with an error that belongs to a field."""

from __future__ import annotations

from flask_babel import gettext as _

from dask_platform.kernel.errors import DaskError
from dask_platform.web.errors import status_of


def show_error(form: object, error: DaskError, otherwise: str) -> int:
    """Put ``error`` at its field, or at the field ``otherwise``; the status of the answer."""
    field = getattr(form, getattr(error, "field", None) or otherwise, None)
    if field is None:
        field = getattr(form, otherwise)
    field.errors = (_(error.message, **error.params),)
    return status_of(error)
