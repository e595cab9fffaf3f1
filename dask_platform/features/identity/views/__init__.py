"""Pages of log-in, account, people and rooms."""

from __future__ import annotations

from flask import Blueprint, current_app, url_for
from flask.blueprints import BlueprintSetupState
from flask_babel import lazy_gettext as _l

from dask_platform.features.identity import policy as policy
from dask_platform.kernel.settings import Environment
from dask_platform.security.passwords import CHEAP, STANDARD, PasswordHasher
from dask_platform.security.permissions import Permission
from dask_platform.web import navigation

HASHER = "dask.passwords"

navigation.add(
    navigation.Entry(78, _l("Rooms"), "identity.rooms", Permission.SESSIONS_END),
    navigation.Entry(80, _l("People"), "identity.people", Permission.PEOPLE_READ),
    navigation.Entry(95, _l("Your account"), "identity.account", Permission.ACCOUNT_SELF),
)

identity = Blueprint("identity", "dask_platform.features.identity", template_folder="templates")


@identity.record_once
def make_hasher(state: BlueprintSetupState) -> None:
    """One hasher a process: it keeps the number of hashes at the same time down."""
    test = state.app.extensions["dask"].settings.env is Environment.TEST
    state.app.extensions.setdefault(HASHER, PasswordHasher(CHEAP if test else STANDARD))


def hasher() -> PasswordHasher:
    found = current_app.extensions[HASHER]
    assert isinstance(found, PasswordHasher)  # noqa: S101 - ours, set just above
    return found


@identity.app_context_processor
def frame() -> dict[str, str]:
    """What the frame of every page needs to offer languages and log-out."""
    return {
        "home_url": url_for("home.home"),
        "locale_url": url_for("identity.set_locale"),
        "logout_url": url_for("identity.logout"),
    }


from dask_platform.features.identity.views import (  # noqa: E402
    account as account,
)
from dask_platform.features.identity.views import (  # noqa: E402
    login as login,
)
from dask_platform.features.identity.views import (  # noqa: E402
    people as people,
)
from dask_platform.features.identity.views import (  # noqa: E402
    person as person,
)
from dask_platform.features.identity.views import (  # noqa: E402
    rooms as rooms,
)
from dask_platform.features.identity.views import (  # noqa: E402
    second_factor as second_factor,
)
