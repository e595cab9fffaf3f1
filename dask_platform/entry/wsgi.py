"""What gunicorn loads."""

from __future__ import annotations

from dask_platform.entry.school import make_school
from dask_platform.entry.wiring import build_platform, configure_logging
from dask_platform.kernel.settings import load_settings

settings = load_settings()
configure_logging(settings)
app = make_school(build_platform(settings))
