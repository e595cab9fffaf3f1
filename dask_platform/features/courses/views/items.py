"""Writing pages and assignments, with preview and pictures, without script."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

from flask import abort, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response
from wtforms import SelectChoice

from dask_platform.features.courses import aims, authoring, item_authoring
from dask_platform.features.courses.forms_authoring import AssignmentForm, PageForm
from dask_platform.features.courses.item_authoring import MEGABYTE, ItemText, NotPublishable
from dask_platform.features.courses.models import Course, Item, ItemKind
from dask_platform.features.courses.pictures import MAX_BYTES, BadDrawing
from dask_platform.features.courses.rendering import media_path, place_links
from dask_platform.features.courses.views.authoring import version_of
from dask_platform.features.courses.views.blueprint import (
    FormAnswer,
    course_crumbs,
    courses,
    done,
    say,
    told,
    uuid_of,
)
from dask_platform.kernel.errors import Conflict, Invalid
from dask_platform.security.permissions import Permission
from dask_platform.web.access import requires
from dask_platform.web.context import actor, platform, uow
from dask_platform.web.errors import status_of
from dask_platform.web.uploads import incoming


@courses.route("/courses/<uuid:course_id>/items/<slug>")
@requires(Permission.COURSE_EDIT)
def course_page(course_id: UUID, slug: str) -> str:
    """A page as a teacher sees it outside any class, also a draft."""
    found = authoring.course(uow(), actor(), course_id)
    page = item_authoring.course_page(uow(), actor(), course_id, slug)
    return render_template(
        "courses/course_page.html",
        course=found,
        page=page,
        body=_placed(course_id, page.body_html, page.slugs),
        crumbs=course_crumbs(course_id, found.title, (page.title, None)),
    )


@courses.route(
    "/courses/<uuid:course_id>/modules/<uuid:module_id>/new/<kind>", methods=["GET", "POST"]
)
@requires(Permission.COURSE_EDIT, upload=True)
def new_item(course_id: UUID, module_id: UUID, kind: str) -> FormAnswer:
    """Write a new page or assignment."""
    if kind not in set(ItemKind):
        abort(404)
    found = authoring.course(uow(), actor(), course_id, Permission.COURSE_EDIT)
    form = _form(ItemKind(kind), module_id=str(module_id))
    return _Editor(found, form, ItemKind(kind), None).answer()


@courses.route("/courses/<uuid:course_id>/items/<uuid:item_id>/edit", methods=["GET", "POST"])
@requires(Permission.COURSE_EDIT, upload=True)
def edit_item(course_id: UUID, item_id: UUID) -> FormAnswer:
    """Change a page or an assignment."""
    found = authoring.course(uow(), actor(), course_id, Permission.COURSE_EDIT)
    held = item_authoring.item(uow(), actor(), course_id, item_id)
    form = _form(
        ItemKind(held.kind),
        title=held.title,
        module_id=str(held.module_id),
        source=held.body_source,
        published=held.published,
        version=str(held.version),
        grading=held.grading,
        text_wanted=held.text_wanted,
        files_most=held.files_most,
        megabytes=max(1, held.file_bytes_most // MEGABYTE),
        file_types=held.file_types,
        aims=held.aims,
    )
    return _Editor(found, form, ItemKind(held.kind), held).answer()


@courses.route("/courses/<uuid:course_id>/items/<uuid:item_id>/<act>")
@requires(Permission.COURSE_EDIT)
def confirm_item(course_id: UUID, item_id: UUID, act: str) -> str:
    """Before a page is hidden or taken out: what happens, and which pages have links to it."""
    if act not in ("hide", "withdraw"):
        abort(404)
    found = authoring.course(uow(), actor(), course_id, Permission.COURSE_EDIT)
    held = item_authoring.item(uow(), actor(), course_id, item_id)
    return render_template(
        "courses/confirm_item.html",
        course=found,
        held=held,
        act=act,
        linking=item_authoring.linking_pages(uow(), actor(), course_id, item_id),
        crumbs=course_crumbs(course_id, found.title, (held.title, None)),
    )


@courses.route("/courses/<uuid:course_id>/items/<uuid:item_id>/<act>", methods=["POST"])
@requires(Permission.COURSE_EDIT)
def change_item(course_id: UUID, item_id: UUID, act: str) -> Response:
    """Publish, hide, move, withdraw or bring back, by a button in the course."""
    work, who, now = uow(), actor(), platform().clock.now()
    if act in ("publish", "hide"):
        try:
            item_authoring.set_published(work, who, course_id, item_id, act == "publish", now)
        except NotPublishable as error:
            flash(_(error.message), "danger")
            return redirect(url_for("courses.edit_item", course_id=course_id, item_id=item_id), 303)
    elif act in ("withdraw", "restore"):
        item_authoring.withdraw(work, who, course_id, item_id, act == "withdraw", now)
    elif act in ("up", "down"):
        item_authoring.move_item(work, who, course_id, item_id, up=act == "up")
    else:
        abort(404)
    return redirect(url_for("courses.course", course_id=course_id), 303)


class _Editor:
    """One page of the editor: what was typed, and one of the things to do with it."""

    def __init__(self, course: Course, form: PageForm, kind: ItemKind, held: Item | None) -> None:
        self.course = course
        self.form = form
        self.kind = kind
        self.held = held
        self.status = 200
        self.more: dict[str, Any] = {}
        self.modules = authoring.outline(uow(), course.id)
        form.module_id.choices = [SelectChoice(str(one.id), one.title) for one in self.modules]
        self.aims = aims.list_aims(uow(), actor(), course.id)
        form.aims.choices = [SelectChoice(one.code, f"{one.code}: {one.text}") for one in self.aims]

    def answer(self) -> FormAnswer:
        wanted = request.form.get("do", "save") if request.method == "POST" else ""
        if wanted == "preview":
            self._preview()
        elif wanted == "picture":
            self._picture()
        elif wanted:
            if self.form.validate_on_submit():
                if wanted != "hide" and self._asks_first():
                    return self._page()
                try:
                    return self._save()
                except NotPublishable as error:
                    say(self.form.source, error)
                    self.more["problems"] = told(error.problems)
                    self.status = status_of(error)
                except Conflict as error:
                    self._conflict(error)
                except Invalid as error:
                    say(self.form[error.field or "source"], error)
                    self.status = status_of(error)
            else:
                self.status = 400
        return self._page(), self.status

    def _asks_first(self) -> bool:
        """Whether saving would hide a page that others link to: the teacher sees them first."""
        held = self.held
        if held is None or not held.published or self.form.published.data:
            return False
        linking = item_authoring.linking_pages(uow(), actor(), self.course.id, held.id)
        self.more["linking"] = linking
        return bool(linking)

    def _save(self) -> Response:
        form, course_id, now = self.form, self.course.id, platform().clock.now()
        typed = ItemText(
            title=form.title.data,
            source=form.source.data,
            module_id=uuid_of(form.module_id.data),
            published=form.published.data,
            aims=tuple(form.aims.data or ()),
        )
        if isinstance(form, AssignmentForm):
            typed = replace(
                typed,
                grading=form.grading.data,
                text_wanted=form.text_wanted.data,
                files_most=form.files_most.data,
                file_bytes_most=form.megabytes.data * MEGABYTE,
                file_types=tuple(form.file_types.data),
            )
        if self.held is None:
            item_authoring.add_item(uow(), actor(), course_id, self.kind, typed, now)
        else:
            item_authoring.save_item(
                uow(), actor(), course_id, self.held.id, typed,
                version=version_of(form.version.data), now=now,
            )  # fmt: skip
        said = _("«%(title)s» is saved.", title=form.title.data)
        return done(said, "courses.course", course_id=course_id)

    def _preview(self) -> None:
        try:
            shown = item_authoring.preview(
                uow(), actor(), self.course.id, self.form.source.data or ""
            )
        except Invalid as error:
            say(self.form.source, error)
            self.status = status_of(error)
            return
        slugs = {one.slug for module in self.modules for one in module.items}
        self.more["problems"] = told(shown.problems)
        self.more["preview"] = _placed(self.course.id, shown.html, slugs)

    def _picture(self) -> None:
        """Keep the picture, and write its name below the text that was typed."""
        files = incoming(request.files.getlist("picture"))
        try:
            if not files:
                raise Invalid(_("Choose a picture first."), field="picture")
            if not (self.form.picture_text.data or "").strip():
                raise Invalid(_("Say in words what the picture shows."), field="picture_text")
            name = item_authoring.add_picture(
                uow(), actor(), self.course.id, files[0].stream.read(MAX_BYTES + 1),
                name=files[0].name, files=platform().files, scanner=platform().scanner,
            )  # fmt: skip
            words = item_authoring.picture_markdown(name, self.form.picture_text.data)
        except BadDrawing as error:
            say(self.form.picture, error)
            self.more["drawing"] = told(error.problems)
            self.status = status_of(error)
            return
        except Invalid as error:
            say(self.form[error.field or "picture"], error)
            self.status = status_of(error)
            return
        self.form.source.data = f"{(self.form.source.data or '').rstrip()}\n\n{words}\n"
        self.form.picture_text.data = ""
        self.more["added"] = name

    def _conflict(self, error: Conflict) -> None:
        """Keep what was typed beside what the other one saved; the next save is a choice."""
        held = self.held
        if held is None:
            raise error
        self.status = status_of(error)
        self.more["theirs"] = held.body_source
        self.more["conflict"] = _(error.message)
        self.form.version.data = str(held.version)

    def _page(self) -> str:
        course_id = self.course.id
        heading = self.held.title if self.held else self._new_heading()
        return render_template(
            "courses/edit_item.html",
            form=self.form,
            course=self.course,
            held=self.held,
            heading=heading,
            pictures=[
                {"name": name, "url": media_path(media_id, name)}
                for name, media_id in item_authoring.picture_names(uow(), course_id).items()
            ],
            pages=[one for module in self.modules for one in module.items if not one.removed],
            crumbs=course_crumbs(course_id, self.course.title, (heading, None)),
            **self.more,
        )

    def _new_heading(self) -> str:
        return str(_("New assignment") if self.kind is ItemKind.ASSIGNMENT else _("New page"))


def _form(kind: ItemKind, **values: Any) -> PageForm:
    return AssignmentForm(data=values) if kind is ItemKind.ASSIGNMENT else PageForm(data=values)


def _placed(course_id: UUID, html: str, slugs: set[str] | frozenset[str]) -> str:
    return place_links(
        html, lambda slug: url_for("courses.course_page", course_id=course_id, slug=slug), slugs
    )
