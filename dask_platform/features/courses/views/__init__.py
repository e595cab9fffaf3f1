"""The pages of courses and classes, on one blueprint.

``reading`` has the pages that students and teachers read; ``classes`` and ``ending`` those with
which a teacher runs a class; ``authoring``, ``modules``, ``items`` and ``aims`` those with which a
teacher writes a course.
"""

from __future__ import annotations

from dask_platform.features.courses.views import (
    aims,
    authoring,
    classes,
    ending,
    items,
    modules,
    reading,
)
from dask_platform.features.courses.views.blueprint import courses

__all__ = ["aims", "authoring", "classes", "courses", "ending", "items", "modules", "reading"]
