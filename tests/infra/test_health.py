"""Health and readiness: what an operator reads when a part is down."""

from __future__ import annotations

import json
import shutil
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from dask_platform.entry.health import Checked, checks, health_server, make_health
from dask_platform.kernel.errors import ConfigurationError, Unavailable
from tests.world import World


def test_all_is_well(world: World) -> None:
    assert checks(world.platform, world.url()) == {"database": "ok", "files": "ok", "scanner": "ok"}


def test_a_lost_disk_is_named(world: World) -> None:
    shutil.rmtree(world.settings.files_folder)
    found = checks(world.platform, world.url())
    assert found.pop("files") == "The file store does not answer. Try again in a few minutes."
    assert set(found.values()) == {"ok"}


def test_a_database_behind_the_platform_is_named(world: World) -> None:
    with world.connect("dask_owner") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    found = checks(world.platform, world.url())
    assert "run db upgrade" in found["database"]


def test_an_error_without_words_is_named_by_its_kind(world: World) -> None:
    class Silent:
        def check(self) -> None:
            raise ValueError

    world.platform.files = Silent()  # type: ignore[assignment]
    assert checks(world.platform, world.url())["files"] == "ValueError: "


def test_many_probes_cost_one_question() -> None:
    asked: list[int] = []

    def check() -> dict[str, str]:
        asked.append(1)
        return {"database": "ok"}

    checked = Checked(check)
    threads = [threading.Thread(target=checked.get, args=[60.0]) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(asked) == 1
    checked.get(0.0)
    assert len(asked) == 2


@contextmanager
def served(world: World, bind: str) -> Iterator[str]:
    with health_server(bind, make_health(world.platform, world.url())) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        host = f"[{server.server_name}]" if ":" in bind.rpartition(":")[0] else "127.0.0.1"
        try:
            yield f"http://{host}:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_not_ready_is_503_and_alive_all_the_same(world: World) -> None:
    class Down:
        def version(self) -> str:
            raise Unavailable("The scanner does not answer.")

    world.platform.scanner = Down()  # type: ignore[assignment]
    with served(world, "127.0.0.1:0") as url:
        with urllib.request.urlopen(f"{url}/health/live") as answer:  # noqa: S310 - loopback
            assert json.load(answer) == {"live": True}
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{url}/health/ready")  # noqa: S310 - loopback
        with caught.value as answer:
            assert answer.code == 503
            assert json.load(answer)["scanner"] == "The scanner does not answer."


@pytest.mark.parametrize("bind", ["unix:/run/health.sock", "localhost", "nonsense:"])
def test_an_address_it_cannot_listen_on_is_named(world: World, bind: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        health_server(bind, make_health(world.platform, world.url()))
    assert "DASK_HEALTH_BIND" in caught.value.problems[0]
