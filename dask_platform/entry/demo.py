"""The demo: a served school on an ordinary machine, from one command.

One process looks after the others: PostgreSQL, gunicorn and the job worker are its children. They
end with it, however it ends: on Ctrl-C and SIGTERM it stops them in order, and when it is killed
outright the kernel tells each of them (see ``children_die_with_me``).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from urllib.error import URLError

import click

from dask_platform.db import migrate
from dask_platform.db.embedded import DATABASE, EmbeddedPostgres, children_die_with_me
from dask_platform.entry import ROOT
from dask_platform.entry.demo_people import accounts
from dask_platform.entry.demo_site.serve import CA, HOSTS, certify
from dask_platform.kernel.errors import Unavailable
from dask_platform.kernel.settings import Settings, load_settings

START_SECONDS = 60
STOP_SECONDS = 15


class _StopError(Exception):
    """A signal asked for the end."""


@click.command()
def demo() -> None:
    """Serve a school with people, courses and work in it, on http://localhost:8000 (PORT)."""
    port, site_port = _port(), _free_port()
    home = Path(os.environ.get("DASK_HOME") or ".dask").resolve()
    # Here, so that the children read the same settings.
    os.environ.update(
        DASK_ENV="demo",
        DASK_HOME=str(home),
        DASK_RESOURCES_URL=f"http://ressurs.localhost:{port}",
        DASK_UPSTREAM_CA_FILE=str(home / "site" / CA),
        DASK_UPSTREAM_FIXED=",".join(f"{one}=127.0.0.1:{site_port}" for one in HOSTS),
        DASK_BIND=f"127.0.0.1:{port}",
        DASK_PUBLIC_URL=f"http://localhost:{port}",
        # The sites are served from the same processes, and a film holds a thread.
        DASK_THREADS=os.environ.get("DASK_THREADS", "12"),
        DASK_HEALTH_BIND=f"127.0.0.1:{_free_port()}",
        DASK_LOG_LEVEL=os.environ.get("DASK_LOG_LEVEL", "WARNING"),
    )
    settings = load_settings()
    signal.signal(signal.SIGTERM, _on_signal)
    signal.signal(signal.SIGINT, _on_signal)
    try:
        with _only_one(settings.home), ExitStack() as stack:
            certify(home / "site")
            _serve(settings, port, site_port, stack)
    except _StopError:
        return


def _serve(settings: Settings, port: int, site_port: int, stack: ExitStack) -> None:
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(_metrics_folder(settings.home))}
    database = EmbeddedPostgres(settings.home)
    # The server takes longest to load, so it begins first: it asks the database nothing before its
    # first page. It is ended last but one, the database last.
    stack.callback(database.stop)
    gunicorn = ["-m", "gunicorn", "-c", str(ROOT / "infra" / "gunicorn.conf.py")]
    server = _child([*gunicorn, "dask_platform.entry.wsgi:app"], environment, stack)
    website = ["-m", "dask_platform.entry.demo_site.serve", str(settings.home / "site")]
    site = _child([*website, str(site_port)], environment, stack)
    database.start()
    migrate.ensure_roles(database.url(database="postgres"))
    database.create_database(DATABASE)
    _fill(settings, database)
    worker = _child(["-m", "dask_platform.entry.cli", "worker"], environment, stack)
    children = {"server": server, "worker": worker, "demo's website": site}
    _wait_until_answering(port, children)
    print(f"ready http://localhost:{port}", flush=True)
    print(accounts(), flush=True)
    while True:
        parts = {name: child.poll() for name, child in children.items()}
        parts["database"] = database.ended()
        for name, status in parts.items():
            if status is not None:
                raise Unavailable(
                    "The %(name)s ended by itself (status %(status)s). Everything is stopped.",
                    name=name,
                    status=status,
                )
        time.sleep(0.2)


def _fill(settings: Settings, database: EmbeddedPostgres) -> None:
    """Migrate and load, unless the last start did so with these very files."""
    stamp = settings.home / "filled"
    folders = (ROOT / "content", ROOT / "whitelists", ROOT / "migrations", Path(__file__).parent)
    digest = _digest(*folders)
    if stamp.exists() and stamp.read_text(encoding="ascii") == digest:
        return
    # Imported here: most starts have nothing to fill.
    from dask_platform.entry import demo_data
    from dask_platform.entry.wiring import build_platform, prepare_files

    migrate.upgrade(database.url("dask_owner"))
    platform = build_platform(settings, role="owner")
    try:
        prepare_files(platform.files)
        demo_data.load(platform, ROOT / "content", ROOT / "whitelists")
    finally:
        platform.database.dispose()
    stamp.write_text(digest, encoding="ascii")


def _digest(*folders: Path) -> str:
    """One hash over the names and bytes of all files."""
    whole = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                whole.update(f"{path.relative_to(folder)}\0{path.stat().st_size}\0".encode())
                whole.update(path.read_bytes())
    return whole.hexdigest()


def _metrics_folder(home: Path) -> Path:
    folder = home / "metrics"
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.db"):
        old.unlink(missing_ok=True)
    return folder


def _child(
    arguments: list[str], environment: dict[str, str], stack: ExitStack
) -> subprocess.Popen[bytes]:
    child = subprocess.Popen(
        [sys.executable, *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        # Ctrl-C goes to this process alone, which then stops the others in order.
        start_new_session=True,
        preexec_fn=children_die_with_me(),
    )
    stack.callback(_end, child)
    return child


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _wait_until_answering(port: int, children: dict[str, subprocess.Popen[bytes]]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if any(child.poll() is not None for child in children.values()):
            break
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/login", timeout=5):
                return
        except (URLError, OSError):
            time.sleep(0.05)
    raise Unavailable("The server did not start. What it said stands above.")


def _port() -> int:
    raw = os.environ.get("PORT", "8000")
    if not raw.isdigit() or not 0 < int(raw) < 65536:
        raise click.UsageError(f"PORT must be a number from 1 to 65535, not {raw!r}.")
    port = int(raw)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise click.ClickException(
                f"Port {port} is taken. Choose another: PORT=8010 make demo."
            ) from None
    return port


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _only_one(home: Path) -> Iterator[None]:
    """One demo a folder: two would stop each other's database."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise click.ClickException(
                f"A demo already runs in {home}. Choose another folder: DASK_HOME=.dask2 make demo."
            ) from None
        yield


def _on_signal(_number: int, _frame: FrameType | None) -> None:
    # Once: a second Ctrl-C must not interrupt the stopping.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise _StopError
