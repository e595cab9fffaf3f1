"""Fail when the models and the migrations disagree.

A throw-away database is brought up to date, and Alembic asked what it would add. Remedy for a
difference: ``alembic revision --autogenerate`` against such a database, read it, add row policies.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.util import CommandError
from sqlalchemy import create_engine, pool

from dask_platform.db import migrate
from dask_platform.db.embedded import EmbeddedPostgres


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="dask-migrations-") as folder:
        server = EmbeddedPostgres(Path(folder), durable=False)
        server.start()
        try:
            migrate.ensure_roles(server.url(database="postgres"))
            server.create_database()
            migrate.upgrade(server.url("dask_owner"))
            engine = create_engine(server.url("dask_owner"), poolclass=pool.NullPool)
            with engine.connect() as connection:
                config = migrate.alembic_config(connection)
                command.check(config)
        except CommandError as error:
            print(f"{error}\n{__doc__}", file=sys.stderr)
            return 1
        finally:
            server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
