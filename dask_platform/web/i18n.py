"""Language: bokmål unless the person chose nynorsk or English."""

from __future__ import annotations

from datetime import date, datetime
from functools import lru_cache
from gettext import NullTranslations
from pathlib import Path

from babel import support
from babel.core import UnknownLocaleError
from flask import Flask, g, session
from flask_babel import Babel, format_date, format_datetime, get_locale, get_translations
from flask_babel import gettext as _
from wtforms.i18n import messages_path

import dask_platform
from dask_platform.kernel.clock import to_oslo
from dask_platform.web.context import actor_or_none

LOCALES = (("nb", "Bokmål"), ("nn", "Nynorsk"), ("en", "English"))
CODES = frozenset(code for code, _name in LOCALES)
DEFAULT = "nb"


def translation_folders() -> list[Path]:
    """One folder of catalogues for ``web`` and one a feature."""
    root = Path(dask_platform.__file__).parent
    return sorted(root.glob("**/translations"))


@lru_cache(maxsize=len(LOCALES))
def form_translations(locale: str) -> support.NullTranslations:
    """WTForms' own messages. Flask-WTF would read the catalogue from the disk for each request."""
    return support.Translations.load(messages_path(), [locale], domain="wtforms")


def choose_locale() -> str:
    actor = actor_or_none()
    chosen = actor.locale if actor else session.get("locale", DEFAULT)
    return chosen if chosen in CODES else DEFAULT


def install(app: Flask) -> None:
    app.config["BABEL_DEFAULT_LOCALE"] = DEFAULT
    app.config["BABEL_DEFAULT_TIMEZONE"] = "Europe/Oslo"
    Babel(
        app,
        locale_selector=choose_locale,
        default_translation_directories=";".join(str(path) for path in translation_folders()),
    )
    app.jinja_env.install_gettext_callables(  # type: ignore[attr-defined]
        lambda text: _catalogue().gettext(text),
        lambda one, many, number: _catalogue().ngettext(one, many, number),
        newstyle=True,
    )
    app.add_template_filter(oslo_datetime)
    app.add_template_filter(oslo_date)
    app.add_template_filter(oslo_stamp)
    app.add_template_filter(oslo_clock)
    app.add_template_filter(plain_day)
    app.add_template_filter(filesize)


def _catalogue() -> NullTranslations:
    """The sentences in the reader's language, looked up once a request and not once a sentence."""
    found: NullTranslations | None = g.get("catalogue")
    if found is None:
        found = g.catalogue = get_translations()
    return found


def oslo_datetime(at: datetime | None) -> str:
    """«søndag 22. november 2026 kl. 10.42», by Norway's clock."""
    if at is None:
        return ""
    local = to_oslo(at).replace(tzinfo=None)
    # The date alone: a time without a zone would be taken for UTC and moved a second time.
    day = format_date(local.date(), "full")
    clock = format_datetime(local, "HH:mm" if locale_code() == "en" else "HH.mm", rebase=False)
    return str(_("%(day)s at %(clock)s", day=day, clock=clock))


def oslo_date(at: datetime | None) -> str:
    return str(format_date(to_oslo(at).date(), "long")) if at else ""


def oslo_stamp(at: datetime | None) -> str:
    """«22.11.2026 10.42.07», for lists."""
    return to_oslo(at).strftime("%d.%m.%Y %H.%M.%S") if at else ""


def oslo_clock(at: datetime | None) -> str:
    """«18.14», for a time that is today's."""
    return to_oslo(at).strftime("%H:%M" if locale_code() == "en" else "%H.%M") if at else ""


def plain_day(day: date) -> str:
    """«16. november 2026»."""
    return str(format_date(day, "long"))


def filesize(size: int | None) -> str:
    """«3,4 MB» as people say it: 1 MB is a million bytes on no screen of ours, but 1024 × 1024."""
    value = float(size or 0)
    for unit in ("B", "kB", "MB"):
        if value < 1024 or unit == "MB":
            break
        value /= 1024
    text = f"{value:.0f}" if value >= 10 or unit == "B" else f"{value:.1f}"
    return f"{text if locale_code() == 'en' else text.replace('.', ',')} {unit}"


def locale_code() -> str:
    try:
        return str(get_locale() or DEFAULT)
    except UnknownLocaleError:
        return DEFAULT
