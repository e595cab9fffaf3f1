"""The blueprint with all its pages on it: what the application registers."""

from __future__ import annotations

from dask_platform.features.handins import staff_views as staff_views
from dask_platform.features.handins import views as views
from dask_platform.features.handins.blueprint import handins

__all__ = ["handins"]
