"""pg_dump and pg_restore: which ones, and how they are called."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier
from sqlalchemy.engine import make_url

from dask_platform.db.embedded import binaries
from dask_platform.kernel.errors import Unavailable

Connection = psycopg.Connection[tuple[Any, ...]]
_DEBIAN = Path("/usr/lib/postgresql")
_MAJOR = re.compile(r"\(PostgreSQL\) (\d+)")


def connect(url: str) -> Connection:
    """A plain connection, without the time limits that pages have: a dump may take its hour."""
    return psycopg.connect(_conninfo(url, password=True), connect_timeout=10)


def count_rows(connection: Connection) -> dict[str, int]:
    """How many rows each table holds, also the job engine's."""
    names = [
        str(row[0])
        for row in connection.execute(
            "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname = 'public' AND c.relkind = 'r' ORDER BY c.relname"
        )
    ]
    counts = {}
    for name in names:
        found = connection.execute(SQL("SELECT count(*) FROM public.{}").format(Identifier(name)))
        counts[name] = int(found.fetchall()[0][0])
    return counts


def dump(url: str, target: Path, *, snapshot: str) -> None:
    """Write the database as ``snapshot`` sees it.

    With row security *on*: the policies let the owner see every row, and the tables force row
    security upon the owner too, so that a dump without it is refused.
    """
    with connect(url) as connection:
        program = _program("pg_dump", connection)
    _run(
        program, url, "--format=custom", f"--file={target}", f"--snapshot={snapshot}",
        "--enable-row-security", "--no-publications", "--no-subscriptions",
    )  # fmt: skip


def restore(url: str, source: Path) -> None:
    """Read a dump into an empty database: all of it, or nothing.

    Policies and triggers come after the rows, so the audit chain is loaded as it was written and
    not linked anew.
    """
    with connect(url) as connection:
        program = _program("pg_restore", connection)
    _run(program, url, "--single-transaction", "--exit-on-error", "--no-owner", str(source))


def _program(name: str, connection: Connection) -> Path:
    """The program for this server's version: the very same if there is one, else a newer one.

    A newer one reads an older server; an older one refuses a newer. The same is better, because a
    dump made by a newer program may use words that an older server does not know.
    """
    server = connection.info.server_version // 10000
    places = [binaries(), _DEBIAN / str(server) / "bin"]
    found = {_major(place / name): place / name for place in places}
    on_path = shutil.which(name)
    if on_path:
        found.setdefault(_major(Path(on_path)), Path(on_path))
    usable = sorted(major for major in found if major >= server)
    if not usable:
        raise Unavailable(
            "The server is PostgreSQL %(server)s and no %(name)s for it is here. "
            "Install the Debian package postgresql-client-%(server)s.",
            server=server,
            name=name,
        )
    return found[usable[0]]


def _major(program: Path) -> int:
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    except OSError:
        return 0
    match = _MAJOR.search(said.stdout)
    return int(match[1]) if match else 0


def _run(program: Path, url: str, *arguments: str) -> None:
    password = make_url(url).password
    # Not among the arguments, where every user of the machine could read it.
    environment = {**os.environ, **({"PGPASSWORD": str(password)} if password else {})}
    target = f"--dbname={_conninfo(url, password=False)}"
    done = subprocess.run(
        [program, target, *arguments], capture_output=True, env=environment, check=False
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        why = said[0] if said else "no reason given"
        raise Unavailable("%(name)s failed: %(why)s", name=program.name, why=why)


def _conninfo(url: str, *, password: bool) -> str:
    made = make_url(url).set(drivername="postgresql")
    if not password:
        # ``set`` cannot take a part away.
        made = made._replace(password=None)
    return made.render_as_string(hide_password=False)
