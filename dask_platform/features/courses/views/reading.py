"""Reading: the classes of a person, a class's course, a page of it, a picture."""

from __future__ import annotations

from itertools import groupby
from uuid import UUID

from flask import Response, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response as AnyResponse

from dask_platform.features.courses import class_pages, queries
from dask_platform.features.courses.models import CourseClass, ItemKind
from dask_platform.features.courses.reading import mark_read
from dask_platform.features.courses.rendering import place_links
from dask_platform.features.courses.views.blueprint import class_crumbs, courses
from dask_platform.security.permissions import Permission
from dask_platform.security.policy import permits
from dask_platform.web.access import requires
from dask_platform.web.context import actor, platform, uow

# A drawing opened by itself is a document: it may use its own styles, and nothing else at all.
MEDIA_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'"
MEDIA_SECONDS = 3600


@courses.route("/classes")
@requires(Permission.COURSE_READ)
def my_classes() -> str:
    """The classes a student attends or a teacher teaches, and those that have ended."""
    found = queries.my_classes(uow(), actor())
    return render_template(
        "courses/my_classes.html",
        classes=[one for one in found if one.ended_at is None],
        ended=[one for one in found if one.ended_at is not None],
        crumbs=[(_("Start page"), url_for("home.home")), (_("Classes"), None)],
    )


@courses.route("/classes/<uuid:class_id>")
@requires(Permission.COURSE_READ)
def class_page(class_id: UUID) -> str:
    """A course as a class has it: its pages and assignments, what is read, what is due."""
    work, who = uow(), actor()
    overview = class_pages.class_overview(work, who, class_id)
    pages = [item for item in overview.contents if item.is_page and item.published]
    return render_template(
        "courses/class_page.html",
        in_class=overview.in_class,
        teachers=overview.teachers,
        modules=[
            (title, list(found))
            for (_id, title), found in groupby(
                overview.contents, lambda i: (i.module_id, i.module_title)
            )
        ],
        pages=len(pages),
        pages_read=sum(page.read for page in pages),
        teaching=permits(who, Permission.CLASS_TEACH, CourseClass(id=class_id)),
        crumbs=class_crumbs(overview.in_class),
    )


@courses.route("/classes/<uuid:class_id>/items/<slug>")
@requires(Permission.COURSE_READ)
def item(class_id: UUID, slug: str) -> str | AnyResponse:
    """A page of the course, read in the class. An assignment is the hand-ins' page."""
    work, who = uow(), actor()
    page = class_pages.class_page(work, who, class_id, slug)
    if page.kind == ItemKind.ASSIGNMENT:
        return redirect(url_for("handins.assignment", class_id=class_id, item_id=page.item_id), 303)
    mark_read(work, who, page, platform().clock.now())

    def address(other: str) -> str:
        return url_for("courses.item", class_id=class_id, slug=other)

    before, after = page.neighbours()
    return render_template(
        "courses/item.html",
        page=page,
        body=place_links(page.body_html, address, {one.slug for one in page.contents}),
        contents=[
            {
                "label": one.title,
                "url": address(one.slug),
                "current": one.item_id == page.item_id,
                "done": one.read and one.item_id != page.item_id,
            }
            for one in page.contents
        ],
        previous=(before.title, address(before.slug)) if before else None,
        next=(after.title, address(after.slug)) if after else None,
        crumbs=class_crumbs(page.in_class, (page.title, None)),
    )


@courses.route("/media/<uuid:media_id>/<name>")
@requires(Permission.COURSE_READ)
def media(media_id: UUID, name: str) -> Response:
    """A picture of a course that the reader may see, under the type that its bytes show."""
    found = queries.media(uow(), actor(), media_id, name)
    files = platform().files
    response = Response(mimetype=found.mime, direct_passthrough=True)
    response.set_etag(found.sha256)
    response.headers["Content-Security-Policy"] = MEDIA_POLICY
    response.headers["Content-Disposition"] = "inline"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = f"private, max-age={MEDIA_SECONDS}"
    if request.if_none_match.contains(found.sha256):
        response.status_code = 304
        return response
    internal = files.internal_path(found.storage_key)
    if internal is not None:
        response.headers["X-Accel-Redirect"] = internal
        return response
    files.stat(found.storage_key)
    response.response = files.open(found.storage_key)
    response.content_length = found.size
    return response
