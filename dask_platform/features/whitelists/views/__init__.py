"""The pages of the whitelists, on one blueprint.

``overview`` shows security the rules and their history, ``proposals`` and ``drafts`` change them,
``copies`` are what frozen rules show, ``stops`` close and reopen, ``wishes`` answer. ``sites`` is
what teachers and students meet.
"""

from __future__ import annotations

from dask_platform.features.whitelists.views import (
    copies,
    drafts,
    overview,
    proposals,
    sites,
    stops,
    wishes,
)
from dask_platform.features.whitelists.views.blueprint import whitelists

__all__ = ["copies", "drafts", "overview", "proposals", "sites", "stops", "whitelists", "wishes"]
