"""A student's and a teacher's hands: the steps that the tests of hand-ins take again and again."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from html import unescape
from typing import Any
from uuid import UUID

from sqlalchemy import text
from werkzeug.test import TestResponse

from dask_platform.adapters.storage import FilesystemStore
from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.courses.queries import AssignmentView, class_assignment
from dask_platform.features.handins import filing, service
from dask_platform.features.handins.models import Attempt, ScanState
from dask_platform.features.handins.scanning import scan
from dask_platform.kernel.actor import Actor, Role
from dask_platform.web.uploads import IncomingFile
from tests.world import PEOPLE, Client, World

PDF = b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\nstartxref\n9\n%%EOF\n"
UNITS = {"class nord": "nord", "class sor": "sor"}


def pdf(words: str = "") -> bytes:
    """A small PDF that differs with ``words``."""
    return PDF.replace(b"<<>>", b"<</T (" + words.encode().hex().encode() + b")>>")


def arrived(data: bytes, name: str = "brev.pdf") -> IncomingFile:
    return IncomingFile(io.BytesIO(data), len(data), hashlib.sha256(data).hexdigest(), name)


def seen(response: TestResponse) -> str:
    """The text of a page as a reader sees it."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", response.text)).split())


@dataclass
class Desk:
    world: World

    def __post_init__(self) -> None:
        store = self.world.platform.files
        assert isinstance(store, FilesystemStore)
        store.ensure_folder()

    @property
    def now(self) -> datetime:
        return self.world.clock.now()

    # -- services ----------------------------------------------------------------------

    def actor(self, name: str) -> Actor:
        """``name`` as the session would describe them."""
        unit_slug, role = PEOPLE[name]
        held = Role(role) if role else Role.STUDENT
        with self.world.uow(name) as uow:
            teaches = frozenset(uow.scalars(text("SELECT dask_taught_classes()")))
            attends = frozenset(uow.scalars(text("SELECT dask_own_classes()")))
        return Actor(
            self.world.id(name), None, name, name.capitalize(),
            roles={held: frozenset({self.world.id(unit_slug)})}, teaches=teaches, attends=attends,
        )  # fmt: skip

    @contextmanager
    def acting(
        self, name: str, item: str = "brev", in_class: str = "class nord"
    ) -> Iterator[tuple[UnitOfWork, Actor, AssignmentView]]:
        actor = self.actor(name)
        with self.world.uow(name) as uow:
            yield (
                uow,
                actor,
                class_assignment(uow, actor, self.world.id(in_class), self.world.id(item)),
            )

    def save(
        self, words: str = "Kjære skole.", *, name: str = "anna", item: str = "brev", **given: Any
    ) -> UUID:
        """Save a text; the attempt's id."""
        with self.acting(name, item, given.pop("in_class", "class nord")) as (uow, actor, task):
            with_version = {"version": 0, "now": self.now, **given}
            return service.save(uow, actor, task, text=words, **with_version).id

    def add(
        self, data: bytes = PDF, filename: str = "brev.pdf", *, name: str = "anna", **given: Any
    ) -> UUID:
        """Add a file; its id."""
        store = given.get("store", self.world.platform.files)
        with self.acting(name, in_class=given.get("in_class", "class nord")) as (uow, actor, task):
            received = filing.receive(task, arrived(data, filename), store, self.now)
            return filing.add_file(uow, actor, task, received, store, self.now).id

    def hand_in(
        self, attempt_id: UUID, *, name: str = "anna", item: str = "brev", **given: Any
    ) -> Attempt:
        with self.acting(name, item, given.get("in_class", "class nord")) as (uow, actor, task):
            shown = given.get("shown") or self.shown(attempt_id)
            now = given.get("now", self.now)
            return service.hand_in(uow, actor, task, attempt_id=attempt_id, shown=shown, now=now)

    def handed_in(self, words: str = "Kjære skole.", *, name: str = "anna", **given: Any) -> UUID:
        """A handed-in attempt without files; its id."""
        attempt_id = self.save(words, name=name, **given)
        return self.hand_in(attempt_id, name=name, **given).id

    def scan(self, file_id: UUID) -> ScanState | None:
        with self.world.worker() as platform:
            platform.scanner = self.world.platform.scanner
            return scan(platform, file_id)

    # -- looking -----------------------------------------------------------------------

    def row(self, statement: str, **values: Any) -> dict[str, Any]:
        with self.world.owner() as uow:
            return dict(uow.execute(text(statement), values).mappings().one())

    def rows(self, statement: str, **values: Any) -> list[dict[str, Any]]:
        with self.world.owner() as uow:
            return [dict(row) for row in uow.execute(text(statement), values).mappings()]

    def change(self, statement: str, **values: Any) -> None:
        with self.world.owner() as uow:
            uow.execute(text(statement), values)

    def attempt(self, attempt_id: UUID) -> dict[str, Any]:
        return self.row("SELECT * FROM attempt WHERE id = :id", id=attempt_id)

    def shown(self, attempt_id: UUID) -> str:
        files = self.rows("SELECT id FROM handin_file WHERE attempt_id = :id", id=attempt_id)
        version = self.attempt(attempt_id)["version"]
        return service.fingerprint(version, [row["id"] for row in files])

    def stored(self) -> list[str]:
        listed = self.world.platform.files.keys()
        return [key for key, _at in listed]

    def deadline(
        self, due_at: datetime | None, cutoff_at: datetime | None, item: str = "brev"
    ) -> None:
        self.change(
            "INSERT INTO class_deadline VALUES (:c, :i, :due, :cut) ON CONFLICT (class_id, item_id)"
            " DO UPDATE SET due_at = :due, cutoff_at = :cut",
            c=self.world.id("class nord"), i=self.world.id(item), due=due_at, cut=cutoff_at,
        )  # fmt: skip

    # -- the browser -------------------------------------------------------------------

    def url(self, rest: str = "", item: str = "brev", in_class: str = "class nord") -> str:
        return f"/classes/{self.world.id(in_class)}/assignments/{self.world.id(item)}{rest}"

    def post_draft(
        self,
        client: Client,
        words: str,
        *files: tuple[bytes, str],
        rest: str = "/save",
        **given: Any,
    ) -> TestResponse:
        data: dict[str, Any] = {"text": words, "version": "0", **given}
        if files:
            data["file"] = [(io.BytesIO(content), filename) for content, filename in files]
        return client.post_form(self.url(rest), data, content_type="multipart/form-data")
