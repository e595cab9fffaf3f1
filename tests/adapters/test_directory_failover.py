"""A directory server dies in the middle of a run, and log-ins go on."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dask_platform.adapters.directory.servers import Servers
from dask_platform.kernel.errors import BadCredentials, DirectoryUnavailable
from tests.adapters.conftest import MakeDirectory
from tests.services.client import Services
from tests.services.slapd import Slapd, SlapdServer, Tree

PASSWORD = "riktig hest batteri stift"
TEACHER = ("teacher", "ringerike")
SECRET = "the same on both"


class Twins:
    """Two servers with the same branch, and a file with the authorities of both."""

    def __init__(self, first: SlapdServer, second: SlapdServer, folder: Path) -> None:
        self.first, self.second = first, second
        self.trees = [Tree(server, "twins") for server in (first, second)]
        for tree in self.trees:
            tree.group("teachers", [tree.person("kari", PASSWORD)])
            tree.close()
        self.ca_file = folder / "both.pem"
        self.ca_file.write_bytes(
            Path(first.ca_file).read_bytes() + Path(second.ca_file).read_bytes()
        )

    def settings(self) -> dict[str, object]:
        return {
            "servers": (self.first.tls_url, self.second.tls_url),
            "ca_file": self.ca_file,
            "base_dn": self.trees[0].base_dn,
            "bind_password": SECRET,
            "receive_timeout": 1,
        }

    def groups(self) -> dict[str, list[tuple[str, str]]]:
        return {self.trees[0].group_dn("teachers"): [TEACHER]}


@pytest.fixture
def twins(services: Services, tmp_path: Path) -> Iterator[Twins]:
    with (
        services.private(Slapd, password=SECRET) as first,
        services.private(Slapd, password=SECRET) as second,
    ):
        yield Twins(SlapdServer(**first), SlapdServer(**second), tmp_path)


def test_log_ins_go_on_when_the_first_server_is_killed(
    twins: Twins, make_directory: MakeDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    directory = make_directory(twins.groups(), **twins.settings())
    failures: list[BaseException] = []
    logged_in = [0, 0]  # before and after the death
    dead, enough = threading.Event(), threading.Event()

    def keep_logging_in() -> None:
        while not enough.is_set():
            try:
                assert directory.authenticate("kari", PASSWORD).grants == {TEACHER}
                logged_in[dead.is_set()] += 1
            except BaseException as failure:
                failures.append(failure)
                return

    threads = [threading.Thread(target=keep_logging_in) for _ in range(3)]
    for thread in threads:
        thread.start()
    wait_for(lambda: logged_in[0] >= 6)
    os.kill(twins.first.pid, signal.SIGKILL)
    dead.set()
    wait_for(lambda: logged_in[1] >= 12 or bool(failures))
    enough.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert [person.username for person in directory.people()] == ["kari"]
    with pytest.raises(BadCredentials):
        directory.authenticate("kari", "galt")
    assert f"{twins.first.tls_url} failed" in caplog.text


def test_a_server_that_hangs_is_left_and_taken_back(
    twins: Twins, make_directory: MakeDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    """Stopped, not killed: its port still takes connections and never answers."""
    directory = make_directory(twins.groups(), **twins.settings(), retry_after=1)
    os.kill(twins.first.pid, signal.SIGSTOP)
    try:
        assert directory.authenticate("kari", PASSWORD).username == "kari"
        began = time.monotonic()
        directory.check()
        assert time.monotonic() - began < 0.9, "the hanging server was asked again at once"
    finally:
        os.kill(twins.first.pid, signal.SIGCONT)
    time.sleep(1.05)
    with caplog.at_level(logging.WARNING):
        directory.check()
    assert f"{twins.first.tls_url} answers again" in caplog.text


def test_when_both_are_dead_it_is_said_at_once_and_healed_later(
    twins: Twins, make_directory: MakeDirectory
) -> None:
    directory = make_directory(twins.groups(), **twins.settings())
    for server in (twins.first, twins.second):
        os.kill(server.pid, signal.SIGSTOP)
    try:
        with pytest.raises(DirectoryUnavailable):
            directory.authenticate("kari", PASSWORD)
    finally:
        for server in (twins.first, twins.second):
            os.kill(server.pid, signal.SIGCONT)
    # Both are thought dead for half a minute, and asked all the same: there is no other.
    assert directory.authenticate("kari", PASSWORD).username == "kari"


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "nothing happened for 20 seconds"
        time.sleep(0.02)


@settings(deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["failed", "answered", "wait"]), st.integers(0, 2)), max_size=30
    )
)
def test_the_order_always_holds_every_server_once(steps: list[tuple[str, int]]) -> None:
    urls = ["a", "b", "c"]
    now = [0.0]
    servers = Servers(urls, retry_after=10, monotonic=lambda: now[0])
    died: dict[str, float] = {}
    for step, number in steps:
        if step == "wait":
            now[0] += 4
        elif step == "failed":
            assert servers.failed(urls[number]) == (urls[number] not in died)
            died[urls[number]] = now[0]
        else:
            assert servers.answered(urls[number]) == (urls[number] in died)
            died.pop(urls[number], None)
        resting = [url for url in urls if url in died and now[0] - died[url] < 10]
        order = servers.order()
        assert sorted(order) == urls
        assert order[: 3 - len(resting)] == [url for url in urls if url not in resting]
        assert [died[url] for url in order[3 - len(resting) :]] == sorted(
            died[url] for url in resting
        )
