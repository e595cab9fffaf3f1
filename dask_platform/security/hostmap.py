"""Each approved site has a host name of its own under the broker's domain.

Cookies, storage and script belong to a host name, so two sites must never share one. The map from
host to label is therefore a spelling and not a table: it cannot run out of step, and it can be read
back.

- A dot becomes ``-`` and a hyphen ``--``: ``snl.no`` → ``snl-no``, ``a-b.no`` → ``a--b-no``,
  ``a.b-no`` → ``a-b--no``. In a host name dot and hyphen never stand side by side, so each run of
  hyphens in a label is one dot, or an even number that is twice the hyphens.
- ``xn--`` at the beginning would be read as another alphabet, so what would begin that way gets
  ``q---`` in front. Three hyphens arise in no other way.
- A host whose label would pass 63 characters has none, and no rule can open it. A shortened label
  would need a table to be read back, and a way for two hosts to meet.

A label always holds a hyphen, because a host always holds a dot: names without one (``start``,
``www``) are the broker's own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from dask_platform.kernel.errors import Invalid
from dask_platform.kernel.messages import N_
from dask_platform.security.weburl import is_host

MOST_LABEL: Final = 63

_HTTPS: Final = "https://"
_READ_AS_UNICODE: Final = "xn--"
_FORWARD: Final = "q---"
_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_HYPHENS: Final = re.compile(r"-+")

NO_HOST: Final = N_("This is not the name of a website.")
TOO_LONG: Final = N_("The name of this website is too long for the platform.")


def label_of(host: str) -> str:
    """The one DNS label for ``host`` (normal form, as ``weburl.is_host`` has it).

    Raises ``Invalid`` for what is no host name and for one whose label would be too long.
    """
    if not is_host(host):
        raise Invalid(NO_HOST)
    label = host.replace("-", "--").replace(".", "-")
    if label.startswith(_READ_AS_UNICODE):
        label = _FORWARD + label
    if len(label) > MOST_LABEL:
        raise Invalid(TOO_LONG)
    return label


def host_of(label: str) -> str | None:
    """The host that ``label`` stands for; None for a label that ``label_of`` never gives."""
    if not _LABEL.fullmatch(label):
        return None
    plain = label.removeprefix(_FORWARD)
    host = _HYPHENS.sub(
        lambda run: "." if len(run[0]) == 1 else "-" * (len(run[0]) // 2),
        plain,
    )
    try:
        # One spelling only: an odd run, or a needless ``q---``, reads back to something else.
        return host if label_of(host) == label else None
    except Invalid:
        return None


@dataclass(frozen=True, slots=True)
class BrokerOrigin:
    """Where the broker is found: ``https``, ``ressurs.example`` and a port, None for the usual."""

    scheme: str
    domain: str
    port: int | None = None

    def forward(self, url: str) -> str:
        """``https://snl.no/a?b`` → ``{scheme}://snl-no.{domain}[:port]/a?b``.

        ``url`` is in its canonical form (``weburl.parse``), with or without a fragment. Raises
        ``Invalid`` where there is no label for its host.
        """
        if not url.startswith(_HTTPS):
            raise Invalid(NO_HOST)
        host, slash, rest = url[len(_HTTPS) :].partition("/")
        if not slash:
            raise Invalid(NO_HOST)
        return f"{self.scheme}://{label_of(host)}.{self._netloc}/{rest}"

    def back(self, url: str) -> str | None:
        """The site's own address for one of ours; None for any other address."""
        start = f"{self.scheme}://"
        if not url.startswith(start):
            return None
        netloc, slash, rest = url[len(start) :].partition("/")
        label, dot, below = netloc.partition(".")
        host = host_of(label) if slash and dot and below == self._netloc else None
        return None if host is None else f"{_HTTPS}{host}/{rest}"

    @property
    def _netloc(self) -> str:
        return self.domain if self.port is None else f"{self.domain}:{self.port}"
