"""Every endpoint says who may call it, and says it truly."""

from __future__ import annotations

import pytest

from dask_platform.security.permissions import Permission
from dask_platform.security.policy import grants
from dask_platform.web.access import access_of, public, requires
from tests.world import World


def test_every_endpoint_states_its_permission_or_why_it_is_public(shared_world: World) -> None:
    bare = [
        rule.endpoint
        for rule in shared_world.app.url_map.iter_rules()
        if access_of(shared_world.app.view_functions[rule.endpoint]) is None
    ]
    assert not bare, (
        f"{bare}: write @requires(Permission.X) or @public('why') between the route and the view."
    )


def test_only_these_are_public(shared_world: World) -> None:
    """A new public page is a decision: it is added here by hand, with a reason in the view."""
    found = {
        rule.endpoint
        for rule in shared_world.app.url_map.iter_rules()
        if (access := access_of(shared_world.app.view_functions[rule.endpoint])) is not None
        and access.permission is None
    }
    assert found == {
        "identity.login",
        "identity.logout",
        "identity.new_password",  # a signed ticket shows that the password was right
        "identity.set_locale",
        "static",
    }


def test_an_endpoint_that_says_nothing_is_refused_at_run_time(world: World) -> None:
    app = world.app
    app.add_url_rule("/unsaid", "unsaid", lambda: "inside")
    for name in ("anna", "tora", "olga"):
        assert world.client(name).get("/unsaid").status_code == 404
    assert world.anonymous().get("/unsaid").status_code == 404


def test_a_public_page_says_why() -> None:
    with pytest.raises(ValueError, match="why"):
        public("")


def test_every_permission_is_given_to_somebody_and_used(shared_world: World) -> None:
    assert shared_world.app
    given = {grant.permission for grant in grants()}
    assert given == set(Permission), "each permission stands in some feature's policy.py"
    assert all(grant.says.endswith(".") for grant in grants()), "a line is a sentence"


def test_views_get_their_mark_from_the_view_itself() -> None:
    @requires(Permission.AUDIT_READ)
    def view() -> str:
        return ""

    access = access_of(view)
    assert access is not None
    assert access.permission is Permission.AUDIT_READ
