"""What a command on the command line is given.

The platform is imported when a command asks for it: one that cleans a line of HTML, or looks after
other processes, should not wait for all of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dask_platform.db.embedded import EmbeddedPostgres
    from dask_platform.db.unit_of_work import Database
    from dask_platform.kernel.settings import Settings
    from dask_platform.web.platform import Platform


class CommandContext:
    """Settings, platform and databases, each made when first asked for.

    With the embedded database, the server is started for the length of the command unless it runs
    already.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()

    @cached_property
    def settings(self) -> Settings:
        from dask_platform.kernel.settings import load_settings

        return load_settings()

    @cached_property
    def embedded(self) -> EmbeddedPostgres | None:
        if not self.settings.embedded_database:
            return None
        from dask_platform.db import migrate
        from dask_platform.db.embedded import EmbeddedPostgres

        server = EmbeddedPostgres(self.settings.home)
        server.start()
        self._stack.callback(server.stop)
        migrate.ensure_roles(server.url(database="postgres"))
        server.create_database()
        return server

    @cached_property
    def platform(self) -> Platform:
        """The platform with the owner's rights on the database: commands are the operator's."""
        from dask_platform.entry.wiring import build_platform

        _ = self.embedded
        platform = build_platform(self.settings, role="owner")
        self._stack.callback(platform.database.dispose)
        return platform

    @property
    def owner_url(self) -> str:
        from dask_platform.entry.wiring import database_url

        _ = self.embedded
        return database_url(self.settings, "owner")

    def owner_database(self) -> Database:
        """The database as the owner of the tables, whom row policies let see everything."""
        return self.platform.database

    def close(self) -> None:
        self._stack.close()


@contextmanager
def command_context() -> Iterator[CommandContext]:
    made = CommandContext()
    try:
        yield made
    finally:
        made.close()
