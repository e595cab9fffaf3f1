"""A school whose passwords cost little, and browsers that log in by the form."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from dask_platform.features.identity.views import HASHER
from dask_platform.security.passwords import CHEAP, PasswordHasher
from tests.db_fixtures import Template
from tests.world import PASSWORD, Client, World

MakeWorld = Callable[..., World]


class CountingHasher(PasswordHasher):
    """The real one, which also counts how often it was asked."""

    def __init__(self) -> None:
        super().__init__(CHEAP)
        self.verified = 0

    def verify_password(self, stored: str | None, password: str) -> bool:
        self.verified += 1
        return super().verify_password(stored, password)


@pytest.fixture
def make_world(school_template: Template, tmp_path: Path) -> Iterator[MakeWorld]:
    """Worlds with settings of one's own."""
    with ExitStack() as stack:

        def make(**settings: Any) -> World:
            name = stack.enter_context(school_template.copy())
            made = World(school_template.server, name, tmp_path, **settings)
            stack.callback(made.close)
            made.app.extensions[HASHER] = CountingHasher()
            return made

        yield make


@pytest.fixture
def school(make_world: MakeWorld) -> World:
    return make_world()


def hasher_of(world: World) -> CountingHasher:
    found = world.app.extensions[HASHER]
    assert isinstance(found, CountingHasher)
    return found


def log_in(
    client: Client,
    username: str,
    password: str = PASSWORD,
    *,
    address: str = "127.0.0.1",
    **more: str,
) -> TestResponse:
    """Send the log-in form from ``address``."""
    return client.post_form(
        "/login",
        {"username": username, "password": password, **more},
        environ_overrides={"REMOTE_ADDR": address},
    )


def token_of(client: Client, name: str = "dask") -> str | None:
    cookie = client.get_cookie(name)
    return cookie.value if cookie else None
