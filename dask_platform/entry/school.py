"""The application for students and staff."""

from __future__ import annotations

from dask_platform.features.audit.views import audit
from dask_platform.features.broker.views import resources
from dask_platform.features.courses.views import courses
from dask_platform.features.handins.pages import handins
from dask_platform.features.home.views import home
from dask_platform.features.identity.views import identity
from dask_platform.features.recorder.views import recorder
from dask_platform.features.whitelists.views import whitelists
from dask_platform.web.app import make_app
from dask_platform.web.platform import Platform
from dask_platform.web.requests import DaskFlask


def make_school(platform: Platform) -> DaskFlask:
    """Every page of the school. Each blueprint brings its policy, menu and templates with it."""
    app = make_app("dask_school", platform)
    for blueprint in (home, identity, courses, handins, whitelists, recorder, resources, audit):
        app.register_blueprint(blueprint)
    return app
