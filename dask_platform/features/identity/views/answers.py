"""What several pages do with an error that belongs to a field of their form."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flask_babel import gettext as _

from dask_platform.kernel.errors import DaskError
from dask_platform.web.context import uow
from dask_platform.web.errors import status_of


@contextmanager
def whole_or_nothing() -> Iterator[None]:
    """Around a verb whose refusal the page shows in its own form: the request is committed all the
    same, so what the verb wrote before it refused is taken back here."""
    with uow().begin_nested():
        yield


def show_error(form: object, error: DaskError, otherwise: str) -> int:
    """Put ``error`` at its field, or at the field ``otherwise``; the status of the answer."""
    field = getattr(form, getattr(error, "field", None) or otherwise, None)
    if field is None:
        field = getattr(form, otherwise)
    field.errors = (_(error.message, **error.params),)
    return status_of(error)
