"""What the tests of hand-ins share: a world with a store that is ready."""

from __future__ import annotations

import pytest

from tests.features.handins.desk import Desk
from tests.world import World


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world)
