"""What the pages call things."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_babel.speaklater import LazyString

from dask_platform.features.recorder.seen import What

KINDS: dict[What, LazyString] = {
    What.PAGE: _l("pages"),
    What.PICTURE: _l("pictures"),
    What.STYLE: _l("style sheets"),
    What.SCRIPT: _l("scripts"),
    What.FONT: _l("fonts"),
    What.MEDIA: _l("sound and film"),
    What.FETCH: _l("data that a script fetched"),
    What.FILE: _l("files"),
    What.FORM: _l("forms"),
    What.LINK: _l("links"),
}
#: What a link or form that was found is for.
PURPOSES: dict[str, LazyString] = {
    "login": _l("log-in or account"),
    "search": _l("search"),
    "contact": _l("contact"),
    "talk": _l("talk, comments or editing"),
    "GET": _l("a form that asks for a page"),
    "POST": _l("a form that sends something"),
}
