"""How much one student may ask, and how much of us one host may hold."""

from __future__ import annotations

import threading
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_platform.features.broker import limits
from dask_platform.features.broker.limits import Allowance, Bucket, Limits, Refused
from dask_platform.kernel.settings import Settings

ANNA, BO = uuid4(), uuid4()
HOST = "leksikon.no"


def small(**said: float) -> Limits:
    plain = {"at_once": 4, "burst": 10, "per_second": 2, "texts": 3, "per_host": 6, "host_most": 9}
    return Limits(Allowance(**{**plain, **said}))  # type: ignore[arg-type]


class Time:
    """A clock that goes on only where somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


def refusal(at: Limits, who: UUID, host: str, now: float, *, typed: bool = False) -> str:
    with pytest.raises(Refused) as caught:
        at.enter(who, host, now, typed=typed)
    assert caught.value.seconds >= 1
    return caught.value.reason


@given(
    size=st.integers(1, 50),
    rate=st.floats(0.1, 50),
    gaps=st.lists(st.floats(-5, 20), max_size=200),
)
def test_a_bucket_never_gives_more_than_it_says(size: int, rate: float, gaps: list[float]) -> None:
    """In any stretch of time: its size and what filled in meanwhile, whatever the clock does."""
    now = latest = 0.0
    bucket = Bucket.full(size, rate, now)
    taken: list[float] = []
    for gap in gaps:
        now += gap
        latest = max(latest, now)
        if bucket.wait(now) == 0:
            bucket.take()
            taken.append(latest)
        assert 0 <= bucket.level <= size
    for first, begun in enumerate(taken):
        for last in range(first, len(taken)):
            assert last - first + 1 <= size + (taken[last] - begun) * rate + 1e-6


@given(size=st.integers(1, 50), rate=st.floats(0.1, 50), taken=st.integers(0, 60))
def test_after_the_wait_that_it_names_there_is_one(size: int, rate: float, taken: int) -> None:
    bucket = Bucket.full(size, rate, 0)
    for _ in range(taken):
        if bucket.wait(0) == 0:
            bucket.take()
    wait = bucket.wait(0)
    assert (wait > 0) == (taken >= size)
    assert bucket.wait(wait + 1e-6) == 0


def test_too_many_under_way() -> None:
    at = small()
    held = [at.enter(ANNA, f"{n}.no", 0) for n in range(4)]
    assert refusal(at, ANNA, HOST, 0) == "rate"
    at.enter(BO, HOST, 0).close()
    held[0].close()
    held[0].close()  # told twice, counted once
    at.enter(ANNA, HOST, 0)
    assert refusal(at, ANNA, HOST, 0) == "rate"
    assert at.under_way() == 4


def test_too_fast_and_then_evenly() -> None:
    at = small()
    for _ in range(10):
        at.enter(ANNA, HOST, 0).close()
    assert refusal(at, ANNA, HOST, 0) == "rate"
    assert refusal(at, ANNA, HOST, 0.49) == "rate"
    at.enter(ANNA, HOST, 0.5).close()
    assert refusal(at, ANNA, HOST, 0.6) == "rate"
    at.enter(BO, HOST, 0.6).close()


def test_free_text_has_a_lower_limit_and_leaves_the_rest_alone() -> None:
    at = small()
    for _ in range(3):
        at.enter(ANNA, HOST, 0, typed=True).close()
    assert refusal(at, ANNA, HOST, 0, typed=True) == "texts"
    at.enter(ANNA, HOST, 0).close()
    assert refusal(at, ANNA, HOST, 19, typed=True) == "texts"
    at.enter(ANNA, HOST, 20.1, typed=True).close()


def test_one_host_that_hangs_holds_its_share_and_no_more() -> None:
    at = small()
    hanging = [at.enter(uuid4(), HOST, 0) for _ in range(6)]
    at.enter(BO, HOST, limits.SLOW - 0.1).close()
    assert refusal(at, ANNA, HOST, limits.SLOW) == "busy"
    at.enter(ANNA, "snl.no", limits.SLOW)
    hanging[0].close()
    at.enter(ANNA, HOST, limits.SLOW)


def test_a_host_that_answers_serves_a_whole_class() -> None:
    """Films go on for long: they hold threads, but nobody waits for the host."""
    at = small()
    for _ in range(8):
        at.enter(uuid4(), HOST, 0).answers()
    at.enter(ANNA, HOST, 100)
    assert refusal(at, BO, HOST, 100) == "busy", "some threads are left for other hosts"
    at.enter(BO, "snl.no", 100)


def test_many_at_a_host_that_answers_wait_for_a_turn() -> None:
    at, clock = small(host_most=2), Time()
    first, _second = at.enter(uuid4(), HOST, clock()), at.enter(uuid4(), HOST, clock())

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        first.close()

    at.admit(ANNA, HOST, clock=clock, sleep=sleep)
    assert clock.now < 100.2
    clock.now += limits.SLOW
    with pytest.raises(Refused, match="busy"):
        at.admit(BO, HOST, clock=clock, sleep=lambda _s: pytest.fail("it hangs: nobody waits"))


def test_what_was_refused_counts_for_nothing() -> None:
    at = small(at_once=1)
    lease = at.enter(ANNA, HOST, 0)
    for _ in range(50):
        assert refusal(at, ANNA, HOST, 0) == "rate"
    lease.close()
    for _ in range(9):
        at.enter(ANNA, HOST, 0).close()
    assert at.under_way() == 0


def test_a_picture_waits_for_its_turn() -> None:
    at, clock = small(), Time()
    for _ in range(10):
        at.enter(ANNA, HOST, clock()).close()
    at.admit(ANNA, HOST, clock=clock, sleep=clock.sleep).close()
    assert 100.5 <= clock.now < 100.7


def test_nobody_waits_long_nor_for_a_host_that_is_busy() -> None:
    at, clock = small(at_once=1, per_host=2), Time()
    at.enter(ANNA, "snl.no", clock())
    with pytest.raises(Refused, match="rate"):
        at.admit(ANNA, HOST, clock=clock, sleep=clock.sleep)
    assert 100 + limits.PATIENCE - 0.2 <= clock.now <= 100 + limits.PATIENCE
    before = clock.now
    for _ in range(2):
        at.enter(uuid4(), HOST, clock() - limits.SLOW)
    with pytest.raises(Refused, match="busy"):
        at.admit(BO, HOST, clock=clock, sleep=clock.sleep)
    assert clock.now == before


def test_few_of_one_person_wait_at_a_time() -> None:
    """Each waits in a thread: no student may hold them all by asking for much."""
    at = small(at_once=1)
    lease = at.enter(ANNA, "snl.no", 0)
    all_wait, go_on = threading.Barrier(limits.MOST_WAITING + 1), threading.Event()
    came: list[str] = []

    def picture() -> None:
        first = True

        def sleep(_seconds: float) -> None:
            nonlocal first
            if first:
                first = False
                all_wait.wait(10)
            go_on.wait(10)

        at.admit(ANNA, HOST, clock=lambda: 0, sleep=sleep).close()
        came.append("shown")

    threads = [threading.Thread(target=picture) for _ in range(limits.MOST_WAITING)]
    for one in threads:
        one.start()
    all_wait.wait(10)
    with pytest.raises(Refused, match="rate"):
        at.admit(ANNA, HOST, clock=lambda: 0, sleep=lambda _s: pytest.fail("it waits"))
    lease.close()
    go_on.set()
    for one in threads:
        one.join(10)
    assert came == ["shown"] * limits.MOST_WAITING
    assert at.under_way() == 0


def test_people_who_have_gone_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_BUCKETS", 3)
    at = small()
    at.enter(ANNA, HOST, 0)  # still under way
    for _ in range(10):
        at.enter(BO, HOST, 0).close()  # an empty bucket
    at.enter(uuid4(), HOST, 0).close()
    for now in (100, 200, 300):
        at.enter(uuid4(), HOST, now).close()
    assert len(at._people) <= 3
    held = [at.enter(ANNA, f"{n}.no", 400) for n in range(3)]
    assert refusal(at, ANNA, HOST, 400) == "rate", "the one under way is still counted"
    for one in held:
        one.close()


@pytest.mark.parametrize("workers", [1, 2, 4, 64])
def test_all_processes_together_allow_about_the_whole(workers: int) -> None:
    settings = Settings(workers=workers, site_requests_burst=60, site_requests_per_second=10)
    share = Allowance.of(settings)
    assert share.burst * workers <= max(60, 10 * workers)
    assert share.per_second * workers <= max(10, workers)
    assert share.burst >= 10, "a page and its pictures come through in any case"
