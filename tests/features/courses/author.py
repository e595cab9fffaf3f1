"""A teacher who writes a course in the browser, for tests."""

from __future__ import annotations

import io
import zlib
from typing import Any
from uuid import UUID

from sqlalchemy import text
from werkzeug.test import TestResponse

from tests.world import Client, World


def png(comment: bytes = b"") -> bytes:
    """One black dot, with a text chunk that tells more than it shows."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
        )

    header = chunk(b"IHDR", b"\0\0\0\1\0\0\0\1\x08\0\0\0\0")
    told = chunk(b"tEXt", b"Comment\0" + comment) if comment else b""
    body = chunk(b"IDAT", zlib.compress(b"\0\0"))
    return b"\x89PNG\r\n\x1a\n" + header + told + body + chunk(b"IEND", b"")


def form(client: Client, url: str, data: dict[str, Any]) -> TestResponse:
    return client.post_form(url, data, content_type="multipart/form-data")


class Author:
    """A teacher with a course of the school, one module and one page in it."""

    def __init__(self, world: World, name: str = "tora") -> None:
        self.world = world
        self.client = world.client(name)
        made = self.client.post_form(
            "/courses/new",
            {
                "title": "Sløyd i praksis",
                "summary": "Om tre.",
                "language": "nb",
                "school_id": world.id("school nord"),
            },
        )
        self.url = made.location
        self.course_id = UUID(self.url.rsplit("/", 1)[1])
        self.client.post_form(f"{self.url}/modules", {"title": "Verktøy"})
        self.module = self.one("SELECT id FROM course_module WHERE course_id = :course")
        self.new("Høvel", "Om høvelen.\n")
        self.page = self.item("hovel")

    def one(self, sql: str, **values: Any) -> Any:
        with self.world.owner() as uow:
            return uow.scalar(text(sql), {"course": self.course_id, **values})

    def item(self, slug: str) -> UUID:
        return UUID(
            str(
                self.one(
                    "SELECT id FROM course_item WHERE course_id = :course AND slug = :slug",
                    slug=slug,
                )
            )
        )

    def stored(self, slug: str = "hovel") -> dict[str, Any]:
        with self.world.owner() as uow:
            row = uow.execute(
                text("SELECT * FROM course_item WHERE course_id = :course AND slug = :slug"),
                {"course": self.course_id, "slug": slug},
            ).mappings()
            return dict(row.one())

    def new(self, title: str, source: str, kind: str = "page", **more: Any) -> TestResponse:
        data = {"title": title, "source": source, "module_id": self.module, "do": "save", **more}
        return form(self.client, f"{self.url}/modules/{self.module}/new/{kind}", data)

    def save(self, client: Client | None = None, **more: Any) -> TestResponse:
        data = {
            "title": "Høvel",
            "source": "Om høvelen.\n",
            "module_id": self.module,
            "version": 1,
            "do": "save",
            **more,
        }
        return form(client or self.client, self.edit_url, data)

    @property
    def edit_url(self) -> str:
        return f"{self.url}/items/{self.page}/edit"

    def act(self, act: str, slug: str = "hovel") -> TestResponse:
        return self.client.post_form(f"{self.url}/items/{self.item(slug)}/{act}")

    def send_picture(self, data: bytes, name: str = "IMG.png", words: str = "En prikk") -> Any:
        """Put a picture into the page; the text beside it says «Typed text»."""
        return self.save(
            do="picture", picture=(io.BytesIO(data), name), picture_text=words,
            source="Typed text\n",
        )  # fmt: skip
