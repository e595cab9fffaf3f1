"""One application for test after test: putting one together costs more than most tests."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from flask.testing import FlaskClient

from dask_platform.entry.school import make_school
from dask_platform.web.platform import Platform
from dask_platform.web.requests import DaskFlask


class LentApp:
    """An application and the platform in it, which stays the same object with other parts."""

    def __init__(self, platform: Platform, client_class: type[FlaskClient]) -> None:
        self.platform = platform
        self.app: DaskFlask = make_school(platform)
        self.app.test_client_class = client_class
        self._extensions = dict(self.app.extensions)
        self._form = self._form_now()

    def lend(self, platform: Platform) -> Platform:
        """Give it the parts of ``platform``; the platform to use from here on."""
        for part in fields(Platform):
            setattr(self.platform, part.name, getattr(platform, part.name))
        # As if it had not answered yet: Flask lets nobody add to an application after that.
        self.app._got_first_request = False
        return self.platform

    def take_back(self) -> bool:
        """Undo what tests exchange; False if a test has built something on, and it must go."""
        self.app.extensions.clear()
        self.app.extensions.update(self._extensions)
        return self._form_now() == self._form

    def _form_now(self) -> list[Any]:
        """What an application consists of, to be compared."""
        app = self.app
        hooks = (
            app.before_request_funcs, app.after_request_funcs, app.teardown_request_funcs,
            app.template_context_processors, app.url_value_preprocessors, app.url_default_functions,
            app.error_handler_spec,
        )  # fmt: skip
        return [
            sum(1 for _ in app.url_map.iter_rules()),
            dict(app.view_functions),
            [_flat(hook) for hook in hooks],
            dict(app.config),
            dict(app.jinja_env.globals),
            dict(app.jinja_env.filters),
            # Absent unless somebody put another one before it.
            vars(app).get("wsgi_app"),
            app.test_client_class,
        ]


def _flat(hooks: Any) -> Any:
    """A copy that does not change with what it was made from; empty places are as good as none."""
    if isinstance(hooks, dict):
        return {key: flat for key, value in hooks.items() if (flat := _flat(value))}
    return list(hooks) if isinstance(hooks, list) else hooks
