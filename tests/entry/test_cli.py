"""The command line's contract: exit codes, one line on standard error, never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.db_fixtures import Template
from tests.world import World

ROOT = Path(__file__).resolve().parents[2]


def run(
    *arguments: str, home: Path, stdin: bytes = b"", **settings: str
) -> subprocess.CompletedProcess[bytes]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("DASK_")}
    environment |= {"DASK_HOME": str(home), **settings}
    return subprocess.run(
        [sys.executable, "-m", "dask_platform.entry.cli", *arguments],
        input=stdin, capture_output=True, check=False, env=environment, cwd=ROOT, timeout=120,
    )  # fmt: skip


def urls(world: World) -> dict[str, str]:
    """Settings that point a command at the test's own database."""
    return {
        "DASK_DATABASE_URL": world.url("dask_web"),
        "DASK_DATABASE_OWNER_URL": world.url("dask_owner"),
        "DASK_DATABASE_WORKER_URL": world.url("dask_worker"),
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ["nothing"], ["html"], ["audit", "verify", "--expect", "x"], ["content", "check"],
        ["content", "check", "/not/there"], ["--wrong"], ["db", "upgrade", "extra"],
    ],
)  # fmt: skip
def test_wrong_usage_is_two(tmp_path: Path, arguments: list[str]) -> None:
    done = run(*arguments, home=tmp_path)
    assert done.returncode == 2, done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "settings"),
    [
        (["settings", "check"], {"DASK_WORKERS": "many", "DASK_BIND": "nowhere"}),
        (["serve"], {}),
        (["serve", "--resources"], {"DASK_DATABASE_URL": "postgresql://x@127.0.0.1:9/x"}),
        (["audit", "verify"], {
            "DASK_DATABASE_URL": "postgresql://x@127.0.0.1:9/x",
            "DASK_DATABASE_OWNER_URL": "postgresql://x@127.0.0.1:9/x",
        }),
    ],
)  # fmt: skip
def test_a_refusal_is_one_and_says_why_in_lines(
    tmp_path: Path, arguments: list[str], settings: dict[str, str]
) -> None:
    done = run(*arguments, home=tmp_path, **settings)
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    lines = done.stderr.decode().strip().splitlines()
    assert lines
    assert all(line.startswith("dask-platform: ") for line in lines), lines


def test_html_clean_writes_what_would_be_stored(tmp_path: Path) -> None:
    done = run(
        "html", "clean", home=tmp_path, stdin=b"<p onclick=x>Hei <script>x</script><b>du</b></p>"
    )
    assert done.returncode == 0
    assert done.stdout == b"<p>Hei du</p>"


def test_html_clean_takes_any_bytes(tmp_path: Path) -> None:
    done = run("html", "clean", home=tmp_path, stdin=b"\xff\xfe<p>\x00\xc3</p>")
    assert done.returncode in (0, 1)
    assert b"Traceback" not in done.stderr
    too_much = run("html", "clean", home=tmp_path, stdin=b"a" * (3 * 1024 * 1024))
    assert too_much.returncode == 1


def test_audit_verify_names_the_first_broken_row(world: World, tmp_path: Path) -> None:
    from dask_platform.features.audit.kinds import EventKind
    from dask_platform.features.audit.service import record

    for _ in range(3):
        with world.uow(None) as uow:
            record(uow, None, EventKind.LOGIN_FAILED)
    good = run("audit", "verify", home=tmp_path, **urls(world))
    assert good.returncode == 0, good.stderr
    assert good.stdout.startswith(b"3 rows, unbroken; end 3:")
    end = good.stdout.decode().split()[-1]
    assert run("audit", "verify", "--expect", end, home=tmp_path, **urls(world)).returncode == 0
    with world.connect("dask_owner") as connection:
        connection.execute("UPDATE audit_event SET kind = 'logout' WHERE seq = 2")
    broken = run("audit", "verify", home=tmp_path, **urls(world))
    assert broken.returncode == 1
    assert b"broken at row 2" in broken.stderr


def test_content_loads_twice_without_a_change(world: World, tmp_path: Path) -> None:
    run("store", "prepare", home=tmp_path, **urls(world))
    first = run("content", "load", str(ROOT / "content"), home=tmp_path, **urls(world))
    assert first.returncode == 0, first.stderr
    assert first.stdout.count(b": loaded,") == 3
    second = run("content", "load", str(ROOT / "content"), home=tmp_path, **urls(world))
    assert second.stdout.count(b": unchanged,") == 3


def test_db_upgrade_brings_an_empty_database_up_to_date(template: Template, tmp_path: Path) -> None:
    with template.copy() as name:
        from dask_platform.db import migrate

        owner = template.server.url(name, "dask_owner")
        migrate.downgrade(owner, "base")
        settings = {"DASK_DATABASE_URL": owner, "DASK_DATABASE_OWNER_URL": owner}
        done = run("db", "upgrade", home=tmp_path, **settings)
        assert done.returncode == 0, done.stderr
        current, head = migrate.current_and_head(owner)
        assert current == head
