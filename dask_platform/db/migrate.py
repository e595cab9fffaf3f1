"""Roles and migrations: what ``dask-platform db upgrade`` does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, pool, text
from sqlalchemy.engine import make_url

ROLES = ("dask_owner", "dask_web", "dask_worker")


def migrations_folder() -> Path:
    """``migrations/`` beside the package, or inside it when installed from a wheel."""
    return Path(__file__).resolve().parents[2] / "migrations"


def ensure_roles(superuser_url: str) -> None:
    """Make the three roles where they are missing. Passwords are the installation's business."""
    engine = create_engine(make_url(superuser_url), poolclass=pool.NullPool)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for role in ROLES:
            found = connection.execute(
                text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role}
            ).scalar()
            if not found:
                connection.exec_driver_sql(
                    f"CREATE ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS"
                )


def upgrade(owner_url: str, revision: str = "head") -> None:
    """Bring the database to ``revision``, as the owner of its tables."""
    _alembic(owner_url, lambda config: command.upgrade(config, revision))


def downgrade(owner_url: str, revision: str) -> None:
    """Take the database back to ``revision``. Data of later tables is lost."""
    _alembic(owner_url, lambda config: command.downgrade(config, revision))


def current_and_head(url: str) -> tuple[str | None, str | None]:
    """The database's revision and the newest one there is; equal when nothing is to be done."""
    engine = create_engine(
        make_url(url).set(drivername="postgresql+psycopg"), poolclass=pool.NullPool
    )
    with engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    return current, ScriptDirectory.from_config(alembic_config()).get_current_head()


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's configuration, bound to an open connection where one is given."""
    config = Config()
    config.attributes["connection"] = connection
    config.set_main_option("script_location", str(migrations_folder()))
    return config


def _alembic(url: str, act: Callable[[Config], None]) -> None:
    engine = create_engine(
        make_url(url).set(drivername="postgresql+psycopg"), poolclass=pool.NullPool
    )
    with engine.connect() as connection:
        act(alembic_config(connection))
        connection.commit()
