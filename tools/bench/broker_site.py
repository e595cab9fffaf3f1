"""Everything the broker's benchmark talks to: a school with two hundred students, the broker twice
(bare, and behind nginx as in production), the sites, and what stands beside it."""

from __future__ import annotations

import json
import re
import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

from sqlalchemy import text

from dask_platform.db import migrate
from dask_platform.db.embedded import EmbeddedPostgres
from dask_platform.entry.wiring import build_platform, prepare_files
from dask_platform.features.identity.models import Placement, Room, RoomNetwork, School, Unit
from dask_platform.features.whitelists.queries import body_of
from dask_platform.features.whitelists.rules import Rule
from dask_platform.kernel.settings import load_settings
from dask_platform.web.platform import Platform
from tests.services.base import Facts, MissingProgramError, Service, ServiceError, free_port
from tests.services.nginx import NAME, ROOT, _listens, make_certificates
from tests.services.school import School as Gunicorn
from tests.services.sites import DOMAIN, Direct, ResourcesNginx, Website
from tools.bench import broker_pages
from tools.bench.broker_load import Address, LoadError, request
from tools.bench.broker_rivals import Mitmdump, PlainSquid, ProxyNginx, Pywb
from tools.bench.people import _person, _session
from tools.bench.site import _begin, _children, _is_health

STUDENTS = 200
#: Of others, so that nobody's session ends for another's: a student has one at a time.
BARE_STUDENTS = 40
WORKERS = 2
HOST, LABEL = "leksikon.no", "leksikon-no"
HANGING, DRIPPING = "stille.no", "drypp.no"


@dataclass(frozen=True, slots=True)
class Way:
    """A way into the broker. ``host`` is that of the good site; a student's cookie for each of the
    three sites, by its host outside."""

    address: Address
    host: str
    cookies: dict[str, list[str]]
    #: gunicorn's master.
    pid: int

    def workers(self) -> list[int]:
        return [pid for pid in _children(self.pid) if not _is_health(pid)]


@dataclass(frozen=True, slots=True)
class Ground:
    """``rivals`` by name; None for one that is not installed."""

    site: Address
    bare: Way
    served: Way
    rivals: dict[str, Facts | None]


class BadSites(Service):
    """Options: ``chain`` and ``key``, files with a certificate for both names."""

    stop_signal = signal.SIGKILL

    def start(self) -> Facts:
        hanging, dripping = free_port(), free_port()
        self.spawn(
            Path(sys.executable), "-m", "tools.bench.broker_bad", str(hanging), str(dripping),
            self.options["chain"], self.options["key"], env={"PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        self.wait_until(lambda: _listens(hanging) and _listens(dripping))
        return {"hanging": hanging, "dripping": dripping}


@contextmanager
def running() -> Iterator[Ground]:
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="dask-bench-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o711)
        broker_pages.write(folder / "pages")
        website = _begin(
            stack, Website, folder / "website", files=str(folder / "pages"), names=[HOST],
            silent=True,
        )  # fmt: skip
        (folder / "bad-tls").mkdir()
        bad_ca = make_certificates(folder / "bad-tls", [HANGING, DRIPPING])
        bad = _begin(
            stack, BadSites, folder / "bad", chain=str(folder / "bad-tls/chain.pem"),
            key=str(folder / "bad-tls/key.pem"),
        )  # fmt: skip
        trusted = folder / "trusted.pem"
        trusted.write_text(Path(website["ca_file"]).read_text() + bad_ca.read_text())
        env = _database(stack, folder) | {
            "DASK_ENV": "test",  # what is fixed to loopback is refused in production
            "DASK_HOME": str(folder / "home"),
            "DASK_SECRET_KEY": secrets.token_urlsafe(48),
            "DASK_UPSTREAM_CA_FILE": str(trusted),
            "DASK_UPSTREAM_FIXED": (
                f"{HOST}=127.0.0.1:{website['port']},{HANGING}=127.0.0.1:{bad['hanging']},"
                f"{DRIPPING}=127.0.0.1:{bad['dripping']}"
            ),
            "DASK_WORKERS": str(WORKERS),
            "DASK_LOG_LEVEL": "WARNING",
        }
        platform = build_platform(load_settings(env), role="owner")
        prepare_files(platform.files)
        try:
            bare = _bare(stack, folder, env, platform)
            served = _served(stack, folder, env, platform)
        finally:
            platform.database.dispose()
        yield Ground(
            Address(website["port"], HOST, website["ca_file"]),
            bare,
            served,
            _rivals(stack, folder, website),
        )


def _database(stack: ExitStack, folder: Path) -> dict[str, str]:
    database = EmbeddedPostgres(folder / "db")
    database.start()
    stack.callback(database.stop)
    migrate.ensure_roles(database.url(database="postgres"))
    database.create_database()
    migrate.upgrade(database.url("dask_owner"))
    return {
        "DASK_DATABASE_URL": database.url("dask_web"),
        "DASK_DATABASE_OWNER_URL": database.url("dask_owner"),
        "DASK_DATABASE_WORKER_URL": database.url("dask_worker"),
    }


def _bare(stack: ExitStack, folder: Path, env: dict[str, str], platform: Platform) -> Way:
    """gunicorn on a port, as its rivals stand. One student may ask without end, so that few can
    make the load of many."""
    _fill(platform)
    more = {
        "DASK_PUBLIC_URL": "http://localhost:@PORT@",
        "DASK_RESOURCES_URL": "http://ressurs.localhost:@PORT@",
        "DASK_THREADS": "32",
        "DASK_SITE_REQUESTS_PER_SECOND": "200",
        "DASK_SITE_REQUESTS_BURST": "1000",
        "DASK_SITE_REQUESTS_AT_ONCE": "64",
    }
    facts = _begin(stack, Direct, folder / "direct", env=env | more)
    port = facts["port"]
    address = Address(port)
    cookies = _enter_all(
        platform, address, f"localhost:{port}", f"ressurs.localhost:{port}", "dask", [HOST],
        range(STUDENTS, STUDENTS + BARE_STUDENTS),
    )  # fmt: skip
    return Way(address, f"{LABEL}.ressurs.localhost:{port}", cookies, facts["pid"])


def _served(stack: ExitStack, folder: Path, env: dict[str, str], platform: Platform) -> Way:
    """As in production: a service for the school, one for the sites, and nginx with TLS."""
    both = env | {
        "DASK_PUBLIC_URL": f"https://{NAME}",
        "DASK_RESOURCES_URL": f"https://{DOMAIN}",
        "DASK_PROXY_HOPS": "1",
    }
    sock = {name: str(folder / f"{name}.sock") for name in ("school", "resources")}
    _begin(stack, Gunicorn, folder / "school", socket=sock["school"], env=both)
    resources = _begin(
        stack, Gunicorn, folder / "resources", socket=sock["resources"],
        env=both | {"DASK_THREADS": "32"},
    )  # fmt: skip
    nginx = _begin(
        stack, ResourcesNginx, folder / "nginx", school=sock["school"],
        resources=sock["resources"], files=str(folder / "home/files"), unlimited=True,
    )  # fmt: skip
    host = f"{LABEL}.{DOMAIN}"
    address = Address(nginx["port"], host, nginx["ca_file"])
    school = Address(nginx["port"], NAME, nginx["ca_file"])
    cookies = _enter_all(
        platform, school, NAME, DOMAIN, "__Host-dask", [HOST, HANGING, DRIPPING],
        range(STUDENTS),
    )  # fmt: skip
    return Way(address, host, cookies, resources["pid"])


def _fill(platform: Platform) -> None:
    """One unit with one classroom, two hundred students, and three open sites."""
    now = platform.clock.now()
    with platform.database.work() as uow:
        school = School(id=uuid4(), slug="bench", name="Bench videregående skole")
        uow.add(school)
        uow.flush()
        unit = Unit(
            id=uuid4(), slug="bench", name="Bench fengsel", security_level="high",
            school_id=school.id,
        )  # fmt: skip
        uow.add(unit)
        uow.flush()
        room = Room(id=uuid4(), unit_id=unit.id, name="Klasserom")
        uow.add(room)
        uow.flush()
        uow.add(RoomNetwork(room_id=room.id, network="127.0.0.0/8"))
        for number in range(STUDENTS + BARE_STUDENTS):
            person = _person(uow, f"elev{number:03d}", now, "student")
            uow.flush()
            since = now - timedelta(days=30)
            uow.add(Placement(person_id=person, unit_id=unit.id, starts_at=since))
        for host in (HOST, HANGING, DRIPPING):
            uow.execute(
                text(
                    "INSERT INTO whitelist_version (rule_id, unit_id, body, proposed_name,"
                    " approved_name, reason, at)"
                    " VALUES (:id, NULL, CAST(:body AS jsonb), 'En', 'To', 'Bench', now())"
                ),
                {"id": host.replace(".", "-"), "body": json.dumps(body_of(_rule(host)))},
            )


def _rule(host: str) -> Rule:
    words = {"nb": "x", "nn": "x"}
    return Rule.model_validate_json(
        json.dumps(
            {
                "id": host.replace(".", "-"), "host": host, "title": words, "description": words,
                "largest": 64 * 1024 * 1024, "owner": "x", "author": "x", "reviewer": "y",
                "reason": "x", "expires": "2100-01-01",
                "examples": {"pass": [f"https://{host}/"], "refuse": [f"https://x.{host}/"]},
            }
        )
    )  # fmt: skip


def _enter_all(
    platform: Platform, school: Address, name: str, domain: str, cookie: str, sites: list[str],
    who: range,
) -> dict[str, list[str]]:  # fmt: skip
    """The way of each student from the school to each site; their cookies there."""
    with platform.database.work() as uow:
        people = uow.scalars(
            text("SELECT id FROM person WHERE kind = 'student' ORDER BY username"),
        ).all()[who.start : who.stop]
        now = platform.clock.now()
        tokens = [_session(uow, person, now, student=True) for person in people]
    found: dict[str, list[str]] = {}
    for site in sites:
        door = Address(school.port, f"{site.replace('.', '-')}.{domain}", school.ca_file)
        for token in tokens:
            path = f"/sites/{site.replace('.', '-')}/open"
            there = urlsplit(_moved(school, path, name, f"{cookie}={token}", "Location"))
            sent = _moved(door, f"{there.path}?{there.query}", there.netloc, "", "Set-Cookie")
            found.setdefault(site, []).append(sent.partition(";")[0])
    return found


def _moved(address: Address, target: str, host: str, cookie: str, header: str) -> str:
    with address.connect() as line:
        line.sendall(request(target, host, cookie, "Connection: close\r\n"))
        got = b"".join(iter(lambda: line.recv(65536), b""))
    found = re.search(rf"\r\n{header}: ([^\r]+)".encode(), got, re.IGNORECASE)
    if found is None or got[9:12] != b"303":
        raise LoadError(f"no way in: {got[:800]!r}")
    return found[1].decode()


def _rivals(stack: ExitStack, folder: Path, website: Facts) -> dict[str, Facts | None]:
    given = {"upstream": website["port"], "host": HOST, "ca": website["ca_file"]}
    kinds: dict[str, tuple[type[Service], dict[str, object]]] = {
        "nginx": (ProxyNginx, {}),
        "squid": (PlainSquid, {}),
        "mitmdump": (Mitmdump, {"rewriting": False}),
        "mitmdump, rewriting": (Mitmdump, {"rewriting": True}),
        "pywb": (Pywb, {}),
    }
    found: dict[str, Facts | None] = {}
    for name, (kind, more) in kinds.items():
        place = folder / f"beside-{re.sub('[^a-z]', '', name)}"
        try:
            # The name of the site leads nowhere: who resolves names is told an address.
            found[name] = _begin(stack, kind, place, **given | more | _by_address(name))
        except MissingProgramError:
            found[name] = None
        except ServiceError as error:
            print(f"bench: {name}: {error}", file=sys.stderr)
            found[name] = None
    return found


def _by_address(name: str) -> dict[str, object]:
    return {"host": "127.0.0.1"} if name.startswith("mitmdump") else {}


def peak(pid: int) -> int:
    """The most memory of the process since ``reset``, in bytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024 if found else 0


def reset(pid: int) -> None:
    """Forget the peak: it counts from what is used now."""
    with open(f"/proc/{pid}/clear_refs", "w") as file:
        file.write("5")
