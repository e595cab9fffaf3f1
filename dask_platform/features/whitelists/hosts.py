"""Which hosts a rule may name, and which two are too alike to stand in one list."""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Final

from ada_url import idna_to_unicode
from publicsuffixlist import PublicSuffixList

#: Letters of the languages taught here beyond a–z. A host with any other letter is refused: it is
#: far likelier to be the picture of a name than a name.
LETTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-.æøåäöüéèêóòôâáàçčđŋńšŧžíïúñ")
_ALIKE: Final = str.maketrans(
    {"0": "o", "1": "l", "i": "l", "ı": "l", "5": "s", "ø": "o", "đ": "d"}
)
_RUNS: Final = (("rn", "m"), ("vv", "w"), ("cl", "d"), ("æ", "ae"))


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList(accept_unknown=True)


def is_public_suffix(host: str) -> bool:
    """Whether anybody can have a name below ``host``: ``no``, ``co.uk``, ``github.io``. The list is
    that of publicsuffix.org, with its private part; a last label it does not know is one."""
    return _suffixes().privatesuffix(host) is None


def registrable(host: str) -> str:
    """The part of ``host`` that one owner holds: ``snl.no`` of ``nbl.snl.no``."""
    return str(_suffixes().privatesuffix(host) or host)


def strange_letters(host: str) -> str:
    """The letters of ``host``, as people see it, that no name of ours is written with."""
    return "".join(sorted(set(idna_to_unicode(host)) - LETTERS))


def skeleton(host: str) -> str:
    """Equal for hosts that a hurried reader takes for one another: ``snl.no`` and ``sn1.no``."""
    seen = unicodedata.normalize("NFKD", idna_to_unicode(host))
    plain = "".join(one for one in seen if not unicodedata.combining(one))
    for run, letter in _RUNS:
        plain = plain.replace(run, letter)
    return plain.translate(_ALIKE).replace("-", "")
