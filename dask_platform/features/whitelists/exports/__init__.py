"""The whitelist for programs that stand before or behind the broker: squid, nginx, Chromium, Safe
Exam Browser.

A second layer: each holds which *addresses* may be asked for. Sizes and types where the program
sees them; the profile (no script, an approved copy), what a student is shown and the stop are the
broker's alone. What a program cannot express is refused by the rule's name and stays closed there;
nothing is ever opened wider than the engine opens it. An address in a spelling that only a decoder
could read (a letter needlessly escaped, a letter beyond the Latin script) may stay closed as well.

Start with ``openings`` (a rule as expressions) and ``selection`` (which rules, and the refusals).
Each target has a module with ``export(rules, asked, …) -> Export``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from dask_platform.features.whitelists.engine import Asked
from dask_platform.features.whitelists.exports import chromium, nginx, seb, squid
from dask_platform.features.whitelists.exports.selection import Export, Refusal
from dask_platform.features.whitelists.rules import Rule

__all__ = ["TARGETS", "Export", "Refusal", "export"]

TARGETS: Final = ("chromium", "nginx", "seb", "squid")


def export(
    target: str,
    rules: Iterable[Rule],
    asked: Asked,
    *,
    tls_inspection: bool = False,
    squid_folder: str = "/etc/squid/dask",
    domain: str | None = None,
) -> Export:
    """The rules for who asks, in the words of ``target``. ``domain``, for nginx, is the broker's
    own; in ``squid_folder`` squid will find its files: no spaces, quotes or # in its name."""
    match target:
        case "squid":
            return squid.export(rules, asked, squid_folder, tls_inspection)
        case "nginx":
            if domain is None:
                raise ValueError("nginx must know the broker's own domain")
            return nginx.export(rules, asked, domain)
        case "seb":
            return seb.export(rules, asked)
        case "chromium":
            return chromium.export(rules, asked)
    raise ValueError(f"no export for {target}")
