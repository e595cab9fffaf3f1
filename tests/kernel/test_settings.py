"""Settings: every problem at once, each naming its variable and a remedy."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_platform.kernel.errors import ConfigurationError
from dask_platform.kernel.settings import Environment, Settings, load_settings

VERIFIED = "?sslmode=verify-full&sslrootcert=/etc/dask/tls/db-ca.pem"
SECRET = "q7Zk3vX9rT1mW8bN4pL6sD2fG5hJ0cYaUeRi"


def production(tmp_path: Path, **changes: str | None) -> dict[str, str]:
    """Settings that production accepts, with some changed or (None) left out."""
    good: dict[str, str | None] = {
        "ENV": "production",
        "HOME": str(tmp_path),
        "SECRET_KEY": SECRET,
        "PUBLIC_URL": "https://skole.example",
        "DATABASE_URL": f"postgresql://dask_web@db/dask{VERIFIED}",
        "DATABASE_OWNER_URL": f"postgresql://dask_owner@db/dask{VERIFIED}",
        "DATABASE_WORKER_URL": f"postgresql://dask_worker@db/dask{VERIFIED}",
        "STORE": "s3",
        "S3_ENDPOINT": "https://store.example:8333",
        "S3_ACCESS_KEY": "dask",
        "S3_SECRET_KEY": "x",
        "SCANNER": "clamd",
        "SECOND_FACTOR_REQUIRED": "true",
        "PROXY_HOPS": "1",
        **changes,
    }
    return {f"DASK_{name}": value for name, value in good.items() if value is not None}


def problems(environ: dict[str, str]) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(environ)
    return caught.value.problems


def test_the_demo_needs_nothing_and_keeps_its_secret(tmp_path: Path) -> None:
    first = load_settings({"DASK_HOME": str(tmp_path)})
    assert first.env is Environment.DEMO
    assert first.embedded_database
    assert len(first.secret()) >= 32
    assert load_settings({"DASK_HOME": str(tmp_path)}).secret() == first.secret()
    assert stat.S_IMODE((tmp_path / "secret-key").stat().st_mode) == 0o600


def test_good_production_settings_pass(tmp_path: Path) -> None:
    assert load_settings(production(tmp_path)).production


LDAP = {
    "DIRECTORY": "ldap",
    "LDAP_SERVERS": "ldaps://dc.example",
    "LDAP_BIND_DN": "cn=dask",
    "LDAP_BASE_DN": "dc=example",
    "LDAP_MAPPING_FILE": "/etc/dask/groups.yaml",
    "LDAP_CA_FILE": "/etc/dask/ca.pem",
}


@pytest.mark.parametrize(
    ("named", "changes"),
    [
        ("SECRET_KEY", {"SECRET_KEY": None}),
        ("SECRET_KEY", {"SECRET_KEY": "short"}),
        ("SECRET_KEY", {"SECRET_KEY": "a" * 64}),
        ("SECRET_KEY", {"SECRET_KEY": "please-change-me-0123456789-abcdefghij"}),
        ("DEBUG", {"DEBUG": "true"}),
        ("PROXY_HOPS", {"PROXY_HOPS": "0"}),
        (
            "STORE_GROUP_READABLE",
            {
                "STORE": "folder",
                "STORE_FOLDER_ACCEPTED": "true",
                "ACCEL_REDIRECT": "true",
            },
        ),
        ("PUBLIC_URL", {"PUBLIC_URL": "http://skole.example"}),
        ("DATABASE_URL", {"DATABASE_URL": None}),
        ("DATABASE_OWNER_URL", {"DATABASE_OWNER_URL": None}),
        ("DATABASE_WORKER_URL", {"DATABASE_WORKER_URL": None}),
        ("DATABASE_URL", {"DATABASE_URL": "postgresql://dask_web@db/dask"}),
        ("DATABASE_OWNER_URL", {"DATABASE_OWNER_URL": "postgresql://dask_owner@10.1.2.3/dask"}),
        ("DATABASE_WORKER_URL", {"DATABASE_WORKER_URL": "postgresql://dask_worker@db/dask"}),
        ("SCANNER", {"SCANNER": None}),
        ("SCANNER", {"SCANNER": "eicar"}),
        ("STORE", {"STORE": "folder"}),
        ("S3_ENDPOINT", {"S3_ENDPOINT": "http://store.example"}),
        ("S3_SECRET_KEY", {"S3_SECRET_KEY": None}),
        ("SECOND_FACTOR_REQUIRED", {"SECOND_FACTOR_REQUIRED": None}),
        ("LDAP_SERVERS", {**LDAP, "LDAP_SERVERS": "ldap://dc.example"}),
        ("LDAP_SERVERS", {**LDAP, "LDAP_SERVERS": "ldaps://a.example ldap://b.example"}),
        ("LDAP_SERVERS", {**LDAP, "LDAP_ALLOW_PLAIN": "true"}),
        ("LDAP_CA_FILE", {**LDAP, "LDAP_CA_FILE": None}),
        ("LDAP_MAPPING_FILE", {**LDAP, "LDAP_MAPPING_FILE": None}),
    ],
)
def test_production_refuses(tmp_path: Path, named: str, changes: dict[str, str | None]) -> None:
    found = problems(production(tmp_path, **changes))
    assert len(found) == 1, found
    assert found[0].startswith(f"DASK_{named}: ")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:///dask",
        "postgresql://dask_web@/dask?host=/run/postgresql",
        "postgresql+psycopg://dask_web:p%40ss@%2Frun%2Fpostgresql/dask",
        "postgresql://dask_web:a/b?c#d@localhost:5433/dask",
        "postgresql://dask_web@127.0.0.2/dask?sslmode=disable",
        "postgresql://dask_web@[::1]:5432/dask",
        "postgresql://dask_web@db.example:5432/dask?sslmode=verify-full",
        "postgresql://dask_web@one.example,two.example/dask?sslmode=verify-full",
    ],
)
def test_a_database_here_or_one_that_is_verified_is_good(tmp_path: Path, url: str) -> None:
    assert load_settings(production(tmp_path, DATABASE_URL=url)).database_url == url


@pytest.mark.parametrize(
    "url",
    [
        *(f"postgresql://dask_web:hunter2@db/dask?sslmode={mode}"
          for mode in ("", "disable", "prefer", "require", "verify-ca", "VERIFY-FULL")),
        "postgresql://dask_web:hunter2@db/dask?sslmode=verify-full&sslmode=disable",
        "postgresql://dask_web:hunter2@db/dask?SSLMODE=verify-full",
        "postgresql://dask_web:hunter2@localhost.example/dask",
        "postgresql://dask_web:hunter2@127.0.0.1,db/dask",
        "postgresql://dask_web:hunter2@localhost/dask?host=db",
        "postgresql://dask_web:hunter2@/dask?host=/run/postgresql&host=db:5432",
        "postgresql://dask_web:hunter2@localhost/dask?hostaddr=10.1.2.3",
        "postgresql://dask_web:hunter2@/dask?service=county",
        "postgresql://localhost:hunter2/x@db/dask",
        "postgresql://[::1:hunter2@db",
        "mysql://dask_web:hunter2@localhost/dask",
        "host=localhost password=hunter2",
    ],
)  # fmt: skip
def test_a_database_elsewhere_must_be_verified(tmp_path: Path, url: str) -> None:
    (found,) = problems(production(tmp_path, DATABASE_URL=url))
    assert found.startswith("DASK_DATABASE_URL: ")
    assert "sslmode=verify-full" in found
    assert "hunter2" not in found
    # A demo on a desk may do as it likes.
    assert load_settings({"DASK_HOME": str(tmp_path), "DASK_DATABASE_URL": url}).database_url == url


def test_a_folder_is_accepted_with_an_explicit_word(tmp_path: Path) -> None:
    load_settings(production(tmp_path, STORE="folder", STORE_FOLDER_ACCEPTED="true"))


def test_starttls_makes_plain_addresses_good(tmp_path: Path) -> None:
    changes = {**LDAP, "LDAP_SERVERS": "ldap://dc.example", "LDAP_STARTTLS": "true"}
    assert load_settings(production(tmp_path, **changes)).ldap_starttls


def test_every_problem_is_said_at_once(tmp_path: Path) -> None:
    found = problems(
        {
            "DASK_ENV": "production",
            "DASK_HOME": str(tmp_path),
            "DASK_WORKERS": "many",
            "DASK_PUBLIC_URL": "skole",
            "DASK_SECRIT_KEY": SECRET,
            "DASK_DEBUG": "1",
        }
    )
    named = [problem.split(":")[0] for problem in found]
    for name in ("WORKERS", "PUBLIC_URL", "SECRIT_KEY", "DEBUG", "SECRET_KEY", "DATABASE_URL"):
        assert f"DASK_{name}" in named, found
    assert all(problem.rstrip().endswith((".", "'")) for problem in found)


def test_a_secret_is_never_repeated_in_a_problem(tmp_path: Path) -> None:
    found = problems(production(tmp_path, SECRET_KEY="hunter2-hunter2", WORKERS="0"))
    assert not any("hunter2" in problem for problem in found)
    assert "hunter2" not in repr(Settings(home=tmp_path, secret_key="hunter2-hunter2"))


@given(st.sampled_from(sorted(Settings.model_fields)), st.text(max_size=40))
def test_no_value_gives_anything_but_settings_or_problems(field: str, value: str) -> None:
    if field in ("home", "secret_key"):
        return
    try:
        load_settings({f"DASK_{field.upper()}": value, "DASK_SECRET_KEY": SECRET})
    except ConfigurationError as error:
        assert error.problems
