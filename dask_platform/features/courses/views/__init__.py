"""The pages of courses and classes, on one blueprint.

``reading`` has the pages that students and teachers read; ``classes`` those with which a teacher
runs a class; ``authoring`` and ``items`` those with which a teacher writes a course.
"""

from __future__ import annotations

from dask_platform.features.courses.views import authoring, classes, items, reading
from dask_platform.features.courses.views.blueprint import courses

__all__ = ["authoring", "classes", "courses", "items", "reading"]
