"""Rules for tests, with everything said that a rule must say."""

from __future__ import annotations

import json
from typing import Any

from dask_platform.features.whitelists.rules import Rule

PLAIN: dict[str, Any] = {
    "id": "leksikon",
    "title": {"nb": "Leksikon", "nn": "Leksikon"},
    "description": {"nb": "Oppslag.", "nn": "Oppslag."},
    "host": "leksikon.no",
    "owner": "Kontoret",
    "author": "Den ene",
    "reviewer": "Den andre",
    "reason": "Brukes i norskfaget.",
    "expires": "2027-06-30",
    "examples": {"pass": ["https://leksikon.no/"], "refuse": ["https://leksikon.no:8443/"]},
}


def rule(**said: Any) -> Rule:
    """The plain rule with ``said`` in place of what it says. Raises ``ValidationError``."""
    return Rule.model_validate_json(json.dumps({**PLAIN, **said}))
