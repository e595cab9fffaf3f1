"""The school as gunicorn serves it, for tests that measure a whole process.

Reads the database's URL and the home folder from ``TEST_UPLOAD_DATABASE`` and ``TEST_UPLOAD_HOME``.
"""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import SecretStr

from dask_platform.adapters.scanner import FakeScanner
from dask_platform.adapters.storage import FilesystemStore
from dask_platform.db.unit_of_work import Database
from dask_platform.entry.school import make_school
from dask_platform.kernel.clock import SystemClock
from dask_platform.kernel.settings import Settings
from dask_platform.web.platform import Platform
from dask_platform.web.requests import DaskFlask


def make() -> DaskFlask:
    settings = Settings(
        home=Path(os.environ["TEST_UPLOAD_HOME"]),
        secret_key=SecretStr("a secret for tests alone, long enough for anything"),
    )
    platform = Platform(
        settings=settings,
        database=Database(os.environ["TEST_UPLOAD_DATABASE"]),
        clock=SystemClock(),
        files=FilesystemStore(settings.files_folder),
        scanner=FakeScanner(),
    )
    return make_school(platform)
