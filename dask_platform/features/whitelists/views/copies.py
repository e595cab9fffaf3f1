"""Copies of sites: adding one, seeing what it holds, looking at its pages before it is approved."""

from __future__ import annotations

import re
from typing import Final

from flask import Response, g, render_template, request, url_for
from flask_babel import gettext as _
from markupsafe import Markup
from werkzeug.wrappers import Response as AnyResponse

from dask_platform.features.whitelists import copies as on_disk
from dask_platform.features.whitelists.forms import CopyForm
from dask_platform.features.whitelists.queries import copies as queries
from dask_platform.features.whitelists.queries.copies import UNNAMED, CopyLine
from dask_platform.features.whitelists.rules import MIB
from dask_platform.features.whitelists.service import copies as verbs
from dask_platform.features.whitelists.views.blueprint import (
    FormAnswer,
    crumbs,
    done,
    form_page,
    whitelists,
)
from dask_platform.kernel.errors import (
    Conflict,
    DaskError,
    Invalid,
    NotVisible,
    ScanRefused,
    Unavailable,
)
from dask_platform.kernel.ports import CopyAnswer
from dask_platform.security.permissions import Permission
from dask_platform.security.reader import Kind, Policy, render
from dask_platform.security.weburl import BadAddress, parse
from dask_platform.web.access import requires
from dask_platform.web.context import actor, platform, uow
from dask_platform.web.errors import status_of
from dask_platform.web.uploads import IncomingFile, incoming

#: Of a page, the most that is looked at; of a picture, the most that is shown. In bytes.
LARGEST_PAGE: Final = 4 * MIB
LARGEST_PICTURE: Final = 20 * MIB
PICTURES: Final = frozenset(
    {"image/avif", "image/gif", "image/jpeg", "image/png", "image/svg+xml", "image/webp"}
)
_HEADING: Final = re.compile(r"<(/?)h([1-5])(?=[\s>])")
# A drawing opened by itself is a document: it may use its own styles, and nothing else at all.
PICTURE_POLICY: Final = "sandbox; default-src 'none'; style-src 'unsafe-inline'"


@whitelists.route("/whitelists/copies")
@requires(Permission.WHITELIST_READ)
def copies() -> str:
    """The copies that are here."""
    return render_template(
        "whitelists/copies.html",
        copies=queries.copies(uow(), actor()),
        crumbs=crumbs((_("Copies of sites"), None)),
    )


@whitelists.route("/whitelists/copies/add", methods=["GET", "POST"])
@requires(Permission.WHITELIST_PROPOSE, upload=True)
def add_copy() -> FormAnswer:
    """Add a copy. It is shown to nobody until a rule names it."""
    form = CopyForm()
    status = 400
    if form.validate_on_submit():
        try:
            return _added(_file())
        except (Conflict, Invalid, ScanRefused, Unavailable) as error:
            form.file.errors = [_(error.message, **error.params)]
            status = status_of(error)
    return form_page(
        "whitelists/copy_add.html",
        form,
        status,
        most=platform().settings.upload_max_bytes,
        crumbs=crumbs(
            (_("Copies of sites"), url_for("whitelists.copies")), (_("Add a copy"), None)
        ),
    )


@whitelists.route("/whitelists/copies/<sha256>")
@requires(Permission.WHITELIST_READ)
def copy(sha256: str) -> str:
    """What a copy holds, and which rules show it."""
    line = queries.copy(uow(), actor(), sha256)
    return render_template(
        "whitelists/copy.html",
        line=line,
        findings=[_(said) for said in line.facts.findings],
        pages=[(one.title or one.address, line.address(one.address)) for one in line.facts.first],
        crumbs=crumbs(
            (_("Copies of sites"), url_for("whitelists.copies")), (line.facts.title, None)
        ),
    )


@whitelists.route("/whitelists/copies/<sha256>/remove", methods=["POST"])
@requires(Permission.WHITELIST_PROPOSE)
def remove_copy(sha256: str) -> AnyResponse:
    """Take a copy away that no rule names."""
    verbs.remove(uow(), actor(), sha256)
    return done(_("The copy is removed."), "whitelists.copies")


@whitelists.route("/whitelists/copies/<sha256>/look")
@requires(Permission.WHITELIST_READ)
def look_at_copy(sha256: str) -> FormAnswer:
    """A page of a copy as text and pictures, before anybody approves it. Links stay in the copy."""
    line = queries.copy(uow(), actor(), sha256)
    address = request.args.get("address", line.address(line.facts.main))
    answer = _at(line, address, {"text/html", "application/xhtml+xml"}, LARGEST_PAGE)
    made = render(
        b"".join(answer.body),
        charset=_charset(answer.content_type),
        base=address,
        place=lambda url, kind: _place(line, url, kind),
        ask=lambda _url: "",
        policy=Policy(styles=False),
    )
    return render_template(
        "whitelists/copy_look.html",
        line=line,
        address=address,
        title=made.title or address,
        language=made.language,
        direction=made.direction,
        # Written anew from the tree by the reader, as for students.
        body=Markup(_below_ours(made.html)),  # noqa: S704
        crumbs=crumbs(
            (_("Copies of sites"), url_for("whitelists.copies")),
            (line.facts.title, url_for("whitelists.copy", sha256=sha256)),
            (_("A page of the copy"), None),
        ),
    )


@whitelists.route("/whitelists/copies/<sha256>/picture")
@requires(Permission.WHITELIST_READ)
def picture_of_copy(sha256: str) -> AnyResponse:
    """A picture that stands in such a page."""
    line = queries.copy(uow(), actor(), sha256)
    answer = _at(line, request.args.get("address", ""), PICTURES, LARGEST_PICTURE)
    response = Response(answer.body, content_type=answer.content_type)
    response.headers["Content-Security-Policy"] = PICTURE_POLICY
    response.content_length = answer.size
    return response


def _below_ours(html: str) -> str:
    """Cleaned HTML with its headings one level down: the first level is our own page's."""
    return _HEADING.sub(lambda found: f"<{found[1]}h{int(found[2]) + 1}", html)


def _file() -> IncomingFile:
    files = incoming(request.files.getlist("file"))
    if len(files) != 1:
        raise Invalid(_("Choose one file."))
    if files[0].too_large:
        raise Invalid(
            _("The file is too large for this page. The operator can add it on the command line.")
        )
    return files[0]


def _added(file: IncomingFile) -> AnyResponse:
    # Looking it through takes a while; no connection to the database is held meanwhile.
    g.uow.commit()
    parts, who = platform(), actor()
    with verbs.examined(parts, file.stream, seconds=verbs.ON_A_PAGE) as new:
        uow().act_as(who.person_id)
        sha256 = verbs.add(uow(), who, parts.files, new, parts.clock.now())
    return done(
        _("The copy is added. Look at it, and propose a rule that shows it."),
        "whitelists.copy",
        sha256=sha256,
    )


def _at(line: CopyLine, address: str, mimes: frozenset[str] | set[str], most: int) -> CopyAnswer:
    """What the copy has at ``address``; 404 for what it has not, or is of another kind."""
    found = _got(line, address)
    if found.location is not None:
        found = _got(line, found.location)
    if found.content_type.partition(";")[0] not in mimes or found.size > most:
        found.body.close()
        raise NotVisible(verbs.NOTHING_HERE)
    return found


def _got(line: CopyLine, address: str) -> CopyAnswer:
    try:
        parse(address)
        found = on_disk.opened(platform(), line.copy).get(address, home=line.home or UNNAMED)
    except (BadAddress, DaskError):
        found = None
    if found is None:
        raise NotVisible(verbs.NOTHING_HERE)
    return found


def _place(line: CopyLine, url: str, kind: Kind) -> str | None:
    """Where a link or a picture of a page leads: to the same two pages of ours, or nowhere."""
    view = {"link": "look_at_copy", "image": "picture_of_copy"}.get(kind)
    if view is None or not url.startswith("https://"):
        return None
    return url_for(f"whitelists.{view}", sha256=line.copy.sha256, address=url)


def _charset(content_type: str) -> str | None:
    return content_type.partition("charset=")[2] or None
