"""Counting tries: by account, by address, and what does not count."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from dask_platform.features.identity.service import throttle
from dask_platform.kernel.ids import new_token
from tests.features.identity.conftest import MakeWorld, hasher_of, log_in
from tests.world import PASSWORD, World


@pytest.mark.parametrize("username", ["anna", "nobody"])
def test_account_is_refused_after_its_tries_known_or_not(school: World, username: str) -> None:
    client = school.anonymous()
    for _ in range(8):
        assert log_in(client, username, "feil").status_code == 401
    refused = log_in(client, username, "feil")
    assert refused.status_code == 429
    assert refused.headers["Retry-After"] == "600"
    assert "10 minut" in refused.text
    assert hasher_of(school).verified == 8
    school.clock.move(timedelta(minutes=9, seconds=30))
    nearly = log_in(client, username, "feil")
    assert nearly.status_code == 429
    assert nearly.headers["Retry-After"] == "30"
    school.clock.move(timedelta(seconds=30))
    assert log_in(client, username, "feil").status_code == 401


def test_right_password_does_not_help_while_refused(school: World) -> None:
    for _ in range(8):
        log_in(school.anonymous(), "anna", "feil")
    assert log_in(school.anonymous(), "anna").status_code == 429
    assert school.audit("login.succeeded") == []
    assert len(school.audit("login.throttled")) == 1


def test_success_clears_the_accounts_count_and_not_the_addresss(make_world: MakeWorld) -> None:
    school = make_world(throttle_account_tries=3, throttle_address_tries=5)
    for name in ("anna", "anna", "bo", "bo"):
        assert log_in(school.anonymous(), name, "feil").status_code == 401
    assert log_in(school.anonymous(), "anna").status_code == 303
    assert log_in(school.anonymous(), "anna", "feil").status_code == 401
    assert log_in(school.anonymous(), "dag", "feil").status_code == 429
    assert log_in(school.anonymous(), "tora", address="10.1.1.1").status_code == 303


def test_tries_refused_by_address_do_not_lock_other_peoples_accounts(
    make_world: MakeWorld,
) -> None:
    school = make_world(throttle_account_tries=3, throttle_address_tries=3)
    for _ in range(10):
        log_in(school.anonymous(), "nobody", "feil", address="10.1.1.1")
        log_in(school.anonymous(), "tora", "feil", address="10.1.1.1")
    assert log_in(school.anonymous(), "tora", address="10.1.1.2").status_code == 303


def test_a_class_logging_in_from_one_address_is_not_refused(make_world: MakeWorld) -> None:
    school = make_world(throttle_address_tries=3)
    for _ in range(5):
        for name in ("anna", "bo", "dag"):
            assert log_in(school.anonymous(), name).status_code == 303


def test_tries_sent_side_by_side_do_not_pass_the_limit(make_world: MakeWorld) -> None:
    school = make_world(throttle_account_tries=3)

    def attempt(_: int) -> int:
        return log_in(school.anonymous(), "anna", "feil").status_code

    assert school.app is not None
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(attempt, range(12)))
    assert sorted(answers) == [401] * 3 + [429] * 9
    assert hasher_of(school).verified == 3


def test_table_names_nobody(school: World) -> None:
    log_in(school.anonymous(), "anna", "feil", address="10.20.30.40")
    with school.owner() as uow:
        rows = uow.execute(text("SELECT t::text FROM login_throttle t")).scalars().all()
    assert len(rows) == 2
    assert all("anna" not in row and "10.20.30.40" not in row for row in rows)


class Model:
    """What a person would say the rule is."""

    def __init__(self, most: int, minutes: int) -> None:
        self.most, self.window = most, timedelta(minutes=minutes)
        self.since: datetime | None = None
        self.failures = 0

    def attempt(self, now: datetime, right: bool) -> bool:
        if self.since is None or now >= self.since + self.window:
            self.since, self.failures = now, 0
        if self.failures >= self.most:
            return False
        if right:
            self.since, self.failures = None, 0
        else:
            self.failures += 1
        return True


@pytest.fixture(scope="module")
def throttled(shared_world: World) -> World:
    return shared_world


@settings(max_examples=25, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 400), st.sampled_from([False, False, False, True])), max_size=40
    )
)
def test_count_follows_the_rule(throttled: World, steps: list[tuple[int, bool]]) -> None:
    config = throttled.settings.model_copy(
        update={"throttle_account_tries": 4, "throttle_minutes": 10}
    )
    counter = throttle.account_counter(config, new_token())
    model = Model(4, 10)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    for seconds, right in steps:
        now += timedelta(seconds=seconds)
        with throttled.platform.database.work() as uow:
            wait = throttle.count_try(uow, config, now, counter)
            if wait is None and right:
                throttle.clear(uow, counter)
        assert (wait is None) == model.attempt(now, right)
        if wait is not None:
            assert 1 <= wait.seconds <= 600


@given(wrong=st.integers(0, 3), right=st.integers(0, 5))
@settings(max_examples=15, deadline=None)
def test_a_try_given_back_leaves_the_count_as_it_was(
    throttled: World, wrong: int, right: int
) -> None:
    config = throttled.settings.model_copy(update={"throttle_address_tries": 5})
    counter = throttle.address_counter(config, new_token())
    now = datetime(2026, 1, 1, tzinfo=UTC)
    with throttled.platform.database.work() as uow:
        for _ in range(wrong):
            assert throttle.count_try(uow, config, now, counter) is None
        for _ in range(right):
            assert throttle.count_try(uow, config, now, counter) is None
            throttle.give_back(uow, counter)
        for _ in range(5 - wrong):
            assert throttle.count_try(uow, config, now, counter) is None
        assert throttle.count_try(uow, config, now, counter) is not None


def test_right_password_is_the_one_of_the_world(school: World) -> None:
    """Guards the tests above against a wrong constant: their refusals must be the throttle's."""
    assert log_in(school.anonymous(), "anna", PASSWORD).status_code == 303
