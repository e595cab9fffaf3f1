"""Alembic's environment. The URL comes from the caller, as the owner of the tables."""

from __future__ import annotations

from alembic import context
from sqlalchemy import create_engine, pool

from dask_platform.features import all_models

target = all_models()


def include_object(_object: object, name: str | None, kind: str, *_rest: object) -> bool:
    """The job engine keeps its own tables; the models know nothing of them."""
    return not (kind == "table" and (name or "").startswith("procrastinate_"))


def run() -> None:
    connection = context.config.attributes.get("connection")
    if connection is None:
        engine = create_engine(
            context.config.get_main_option("sqlalchemy.url") or "", poolclass=pool.NullPool
        )
        with engine.connect() as opened:
            _migrate(opened)
    else:
        _migrate(connection)


def _migrate(connection: object) -> None:
    context.configure(
        connection=connection,
        target_metadata=target,
        include_object=include_object,
        compare_type=True,
        compare_server_default=False,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


run()
