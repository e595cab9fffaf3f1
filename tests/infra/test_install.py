"""What an operator installs agrees with the platform it is for."""

from __future__ import annotations

import configparser
import re
import runpy
import secrets
import subprocess
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from pydantic import SecretStr

from dask_platform.db import migrate
from dask_platform.entry.cli import LAZY
from dask_platform.kernel.settings import MIB, Settings, load_settings
from dask_platform.web import metrics
from tests.services.base import find_program, free_port
from tests.services.client import Services
from tests.services.nginx import INFRA, ROOT, make_certificates, render, with_hello
from tests.services.postgres import Postgres, PostgresServer

EXAMPLE = INFRA / "dask-platform.env.example"
SETTING = re.compile(r"^(#?)DASK_([A-Z0-9_]+)=(.*)$", re.MULTILINE)
#: Shown with an example instead of the default: no installation runs with these left alone.
EXAMPLES = {"ldap_servers", "ldap_bind_dn", "ldap_base_dn"}


def settings_shown() -> dict[str, tuple[bool, str]]:
    """Each setting of the example file: whether it is commented out, and its value."""
    found = {}
    for hidden, name, value in SETTING.findall(EXAMPLE.read_text(encoding="utf-8")):
        assert name.lower() not in found, f"DASK_{name} stands twice in {EXAMPLE.name}"
        found[name.lower()] = (bool(hidden), value)
    return found


def test_the_example_names_every_setting_and_no_other() -> None:
    shown, known = settings_shown().keys(), Settings.model_fields.keys()
    missing, unknown = sorted(known - shown), sorted(shown - known)
    assert not missing, f"explain these in infra/{EXAMPLE.name}: {missing}"
    assert not unknown, (
        f"remove these from infra/{EXAMPLE.name}, no setting is called so: {unknown}"
    )


def test_what_the_example_leaves_out_is_the_default() -> None:
    defaults = Settings()
    for name, (hidden, value) in settings_shown().items():
        default = getattr(defaults, name)
        if not hidden or default is None or name in EXAMPLES or "file" in name:
            continue
        if isinstance(default, SecretStr):
            default = default.get_secret_value()
        shown = str(default).lower() if isinstance(default, bool) else str(default)
        assert value == shown, f"DASK_{name.upper()}: the default is {shown!r}, {value!r} is shown"


def test_production_starts_with_the_example_and_a_secret() -> None:
    given = {
        f"DASK_{name.upper()}": value
        for name, (hidden, value) in settings_shown().items()
        if not hidden
    }
    given["DASK_SECRET_KEY"] = secrets.token_urlsafe(48)
    assert load_settings(given).production


def configuration(folder: Path) -> str:
    return render(
        folder, http=free_port(), https=free_port(), upstream=str(folder / "web.sock"),
        files=str(folder / "files"),
    )  # fmt: skip


def test_nginx_accepts_its_configuration(tmp_path: Path) -> None:
    make_certificates(tmp_path, ["skole.test", "hello.test"])
    text = configuration(tmp_path)
    for name, content in (("one", text), ("two", with_hello(text, str(tmp_path / "hello.sock")))):
        path = tmp_path / f"{name}.conf"
        path.write_text(content)
        nginx = find_program("nginx", "the Debian package nginx")
        done = subprocess.run(
            [nginx, "-t", "-p", tmp_path, "-e", "stderr", "-c", path],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "[warn]" not in done.stderr, done.stderr


def test_nginx_lets_through_a_little_more_than_the_platform_takes() -> None:
    found = re.search(r"client_max_body_size (\d+)m;", (INFRA / "nginx.conf").read_text())
    assert found
    lets, takes = int(found[1]) * MIB, Settings().upload_max_bytes
    assert takes + MIB < lets <= takes + 32 * MIB, (
        "client_max_body_size in infra/nginx.conf and upload_max_bytes in the settings go together"
    )


def test_nginx_lets_go_of_a_connection_before_gunicorn_does(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DASK_HOME", str(tmp_path))
    gunicorn = runpy.run_path(str(INFRA / "gunicorn.conf.py"))
    found = re.search(r"keepalive 32;.*?keepalive_timeout (\d+)s;", nginx_text(), re.DOTALL)
    assert found
    assert int(found[1]) < gunicorn["keepalive"]
    assert gunicorn["control_socket_disable"], "two demos of one user would share one socket"


def nginx_text() -> str:
    return (INFRA / "nginx.conf").read_text(encoding="utf-8")


def test_every_page_that_nginx_shows_is_there_and_asks_nobody_else() -> None:
    wanted = set(re.findall(r"/_pages/(\w+\.html);", nginx_text()))
    there = {path.name: path for path in (INFRA / "pages").iterdir()}
    assert wanted == there.keys()
    for name, path in there.items():
        page = path.read_text(encoding="utf-8")
        assert not re.findall(r"(?:src|href)=\"(?!/\")|https?://|@import|<script", page), name
        assert all(f'lang="{code}"' in page for code in ("nb", "nn", "en")), name


UNITS = sorted((INFRA / "systemd").iterdir())


def unit(path: Path) -> dict[str, dict[str, str]]:
    reader = configparser.ConfigParser(strict=False, interpolation=None)
    reader.optionxform = str  # type: ignore[method-assign, assignment]
    reader.read_string(path.read_text(encoding="utf-8"))
    return {name: dict(reader[name]) for name in reader.sections()}


@pytest.mark.parametrize(
    "path", [path for path in UNITS if path.suffix == ".service"], ids=lambda path: path.name
)
def test_a_service_runs_a_command_of_ours_behind_walls(path: Path) -> None:
    service = unit(path)["Service"]
    program, command, *_rest = service["ExecStart"].split()
    assert program == "/opt/dask/.venv/bin/dask-platform"
    assert command in LAZY
    expected = {
        "User": "dask", "NoNewPrivileges": "yes", "ProtectSystem": "strict", "PrivateTmp": "yes",
        "CapabilityBoundingSet": "", "SystemCallFilter": "@system-service", "ProtectHome": "yes",
        "PrivateDevices": "yes", "RestrictNamespaces": "yes", "LimitCORE": "0",
        "EnvironmentFile": "/etc/dask/dask-platform.env",
    }  # fmt: skip
    assert {name: service.get(name) for name in expected} == expected
    assert "MemoryMax" in service


@pytest.mark.parametrize(
    "path", [path for path in UNITS if path.suffix == ".timer"], ids=lambda path: path.name
)
def test_a_timer_has_its_service(path: Path) -> None:
    assert path.with_suffix(".service") in UNITS
    assert unit(path)["Install"]["WantedBy"] == "timers.target"


def test_alerts_ask_for_figures_that_exist() -> None:
    rules: Any = yaml.safe_load((INFRA / "prometheus-alerts.yaml").read_text(encoding="utf-8"))
    known = {"up", "dask_part_ok"}
    for metric in (metrics.REQUESTS, metrics.SECONDS, metrics.STATEMENTS):
        known |= {sample.name for family in metric.collect() for sample in family.samples}
        name = metric.describe()[0].name
        known |= {f"{name}{end}" for end in ("_total", "_bucket", "_sum", "_count")}
    for group in rules["groups"]:
        for rule in group["rules"]:
            asked = set(re.findall(r"\b(dask_\w+|up)\b", rule["expr"]))
            assert asked
            assert asked <= known, f"{rule['alert']} asks for {asked - known}"
            assert rule["labels"]["severity"] in ("page", "ticket")
            assert {"summary", "remedy"} <= rule["annotations"].keys()


def test_the_script_makes_a_server_that_the_platform_can_live_on(services: Services) -> None:
    with services.private(Postgres) as facts:
        server = PostgresServer(**facts)
        passwords = [f"-v{who}='{secrets.token_hex(24)}'" for who in ("owner", "web", "worker")]
        for _again in range(2):
            done = subprocess.run(
                [
                    f"{server.bin}/psql", "-X", "-q", "-d", server.dsn(), *passwords,
                    "-f", INFRA / "database-roles.sql",
                ],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            assert done.stderr == ""
        migrate.upgrade(server.url("dask", "dask_owner"))
        with psycopg.connect(server.dsn("dask")) as connection:
            roles = connection.execute(
                "SELECT rolname, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb,"
                " rolpassword LIKE 'SCRAM%' FROM pg_authid WHERE rolname LIKE 'dask%' ORDER BY 1"
            ).fetchall()
            connection.execute("CREATE ROLE stranger LOGIN")
        assert roles == [
            (name, False, False, False, False, True)
            for name in ("dask_owner", "dask_web", "dask_worker")
        ]
        with psycopg.connect(server.dsn("dask", "dask_web")) as connection:
            assert connection.execute("SELECT count(*) FROM person").fetchone() == (0,)
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("CREATE TABLE mine (id int)")
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(server.dsn("dask", "stranger"))


def test_operations_names_what_is_installed() -> None:
    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    for path in INFRA.rglob("*"):
        if path.is_file() and "pages" not in path.parts and "__pycache__" not in path.parts:
            assert path.name in text, f"say in docs/operations.md what {path.name} is for"
