"""Where things lie under the broker's domain.

Each site has a host of its own, ``snl-no.ressurs.example``, so that nothing of one is another's.
Under it, paths are those of the site, but for ``/_dask/``, which is ours: ``enter`` takes a ticket,
``go`` leads to another approved site, and ``via/<label>/…`` is a file from a helper's host, so that
a page is made of one host alone.
"""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from dask_platform.security.hostmap import BrokerOrigin, label_of

OWN = "/_dask"
#: The most characters of an address that are carried over to a wish for it.
MOST_ASKED = 500


class Domain(BrokerOrigin):
    """The broker's own domain, from ``DASK_RESOURCES_URL``: ``https://ressurs.example``."""

    __slots__ = ()

    @classmethod
    def of(cls, url: str) -> Domain:
        parts = urlsplit(url)
        return cls(parts.scheme, parts.hostname or "", parts.port)

    def entry(self, host: str, ticket: str, target: str) -> str:
        """Where a browser takes ``ticket`` to. ``target`` is a path with its query."""
        door = self.forward(f"https://{host}{OWN}/enter")
        return f"{door}?ticket={quote(ticket)}&to={quote(target, safe='')}"

    def label(self, host: str) -> str | None:
        """The label of a request's ``Host``; None where it is not one below the domain."""
        name, _colon, port = host.partition(":")
        wanted = str(self.port) if self.port else ""
        if not name.endswith(f".{self.domain}") or port != wanted:
            return None
        return name.removesuffix(f".{self.domain}")


def target_of(url: str) -> str:
    """Path and query of a canonical address, as they are written."""
    _host, slash, rest = url.removeprefix("https://").partition("/")
    return slash + rest


def local_target(given: str) -> str:
    """``given`` where it is a path of this host, else the front page."""
    plain = given.startswith("/") and not given.startswith("//") and given.isprintable()
    return given if plain and "\\" not in given else "/"


def is_own(path: str) -> bool:
    """Whether a site's ``path``, decoded, lies where our own pages are under its host."""
    return path == OWN or path.startswith(f"{OWN}/")


def via(host: str, url: str) -> str:
    """Where a file of a helper's ``host`` lies under the page's own host."""
    return f"{OWN}/via/{label_of(host)}{target_of(url)}"


def go(url: str) -> str:
    """Where a link to another approved site leads."""
    return f"{OWN}/go?to={quote(url, safe='')}"


def ask_address(school: str, url: str) -> str:
    """Where the school takes a wish for ``url``."""
    return f"{school.rstrip('/')}/sites/wishes/new?address={quote(url[:MOST_ASKED], safe='')}"
