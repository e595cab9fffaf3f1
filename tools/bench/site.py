"""Everything a benchmark talks to, started on loopback and ended with it."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from dask_platform.db import migrate
from dask_platform.db.embedded import EmbeddedPostgres
from dask_platform.entry.wiring import build_platform, prepare_files
from dask_platform.kernel.settings import load_settings
from tests.services.base import Facts, Service, free_port
from tests.services.browser import Browser
from tests.services.nginx import HELLO, NAME, ROOT, Nginx
from tests.services.school import School
from tools.bench.load import Target
from tools.bench.people import Measured, fill

WORKERS = 2
THREADS = 4


class Hello(Service):
    """The bare application under the very gunicorn configuration that the school has."""

    stop_patience = 30.0

    def start(self) -> Facts:
        path = self.options["socket"]
        self.spawn(
            Path(sys.executable), "-m", "gunicorn", "-c", str(ROOT / "infra/gunicorn.conf.py"),
            "tools.bench.hello:app",
            env={
                **self.options["env"],
                "PYTHONPATH": str(ROOT),
                "DASK_BIND": f"unix:{path}",
                "DASK_HEALTH_BIND": f"127.0.0.1:{free_port()}",
                "PROMETHEUS_MULTIPROC_DIR": str(self.folder),
            },
        )  # fmt: skip
        self.wait_until(lambda: Path(path).is_socket())
        return {"pid": self.pid}


@dataclass(frozen=True, slots=True)
class Site:
    school: Target
    hello: Target
    measured: Measured
    #: The platform's own log, a JSON line a request.
    log: Path
    #: gunicorn's master.
    pid: int
    form_cookie: str
    token: str

    def cookie(self, token: str) -> str:
        return f"__Host-dask={token}; {self.form_cookie}"

    def statements(self, offset: int) -> dict[str, list[int]]:
        """SQL statements of each request logged since ``offset`` bytes, by endpoint."""
        found: dict[str, list[int]] = defaultdict(list)
        with self.log.open("rb") as file:
            file.seek(offset)
            for line in file:
                if b'"event": "request"' in line:
                    # Lines of two processes may run together; the others are enough.
                    with suppress(ValueError):
                        entry = json.loads(line)
                        found[entry["endpoint"]].append(entry["sql"])
        return found

    def peak_memory(self) -> list[int]:
        """The most memory each worker ever had, in bytes (VmHWM)."""
        return [_peak(pid) for pid in _children(self.pid) if not _is_health(pid)]


@contextmanager
def running() -> Iterator[Site]:
    """PostgreSQL (every commit on the disk, as in production), both applications, and nginx."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="dask-bench-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        # Passable, not readable: PostgreSQL runs as another user below it when started by root.
        folder.chmod(0o711)
        database = EmbeddedPostgres(folder / "db")
        database.start()
        stack.callback(database.stop)
        migrate.ensure_roles(database.url(database="postgres"))
        database.create_database()
        migrate.upgrade(database.url("dask_owner"))

        home, sockets = folder / "home", folder
        nginx = _begin(
            stack, Nginx, folder / "nginx", upstream=str(sockets / "w.sock"),
            hello=str(sockets / "h.sock"), files=str(home / "files"), unlimited=True,
        )  # fmt: skip
        env = {
            "DASK_ENV": "production",
            "DASK_HOME": str(home),
            "DASK_SECRET_KEY": secrets.token_urlsafe(48),
            "DASK_PUBLIC_URL": f"https://{NAME}:{nginx['https']}",
            "DASK_PROXY_HOPS": "1",
            "DASK_DATABASE_URL": database.url("dask_web"),
            "DASK_DATABASE_OWNER_URL": database.url("dask_owner"),
            "DASK_DATABASE_WORKER_URL": database.url("dask_worker"),
            "DASK_STORE_FOLDER_ACCEPTED": "true",
            "DASK_STORE_GROUP_READABLE": "true",
            "DASK_ACCEL_REDIRECT": "true",
            "DASK_SCANNER": "clamd",
            "DASK_SECOND_FACTOR_REQUIRED": "true",
            "DASK_WORKERS": str(WORKERS),
            "DASK_THREADS": str(THREADS),
        }
        settings = load_settings(env)
        platform = build_platform(settings, role="owner")
        prepare_files(platform.files)
        try:
            measured = fill(platform, ROOT / "content")
        finally:
            platform.database.dispose()
        _begin(stack, Hello, folder / "hello", socket=str(sockets / "h.sock"), env=env)
        school = _begin(stack, School, folder / "school", socket=str(sockets / "w.sock"), env=env)
        form_cookie, token = _form_token(nginx)
        yield Site(
            school=Target(nginx["https"], NAME, nginx["ca_file"]),
            hello=Target(nginx["https"], HELLO, nginx["ca_file"]),
            measured=measured,
            log=Path(school["log"]),
            pid=school["pid"],
            form_cookie=form_cookie,
            token=token,
        )


def _begin(stack: ExitStack, kind: type[Service], folder: Path, **options: object) -> Facts:
    folder.mkdir()
    service = kind(folder, **options)
    stack.callback(service.stop)
    return service.start()


def _form_token(nginx: Facts) -> tuple[str, str]:
    """The cookie that form tokens belong to, and one: every connection may use the same."""
    browser = Browser(("127.0.0.1", nginx["https"]), NAME, ca_file=nginx["ca_file"])
    page = browser.get("/login")
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page.text)
    if found is None:
        raise RuntimeError(f"no form on the log-in page ({page.status})")
    ((name, value),) = browser.cookies.items()
    browser.close()
    return f"{name}={value}", found[1]


def _children(parent: int) -> list[int]:
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = Path(f"/proc/{entry}/stat").read_text()
            except OSError:
                continue  # ended in between
            if int(stat.rpartition(")")[2].split()[1]) == parent:
                found.append(int(entry))
    return found


def _is_health(pid: int) -> bool:
    return b"health" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")


def _peak(pid: int) -> int:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024 if found else 0
