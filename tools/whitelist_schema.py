"""The JSON Schema of a whitelist rule, for editors and for people who write rules elsewhere.

It is made from the code that reads rules, so that it cannot promise anything else.

    whitelist_schema.py          write whitelists/rule.schema.json
    whitelist_schema.py check    fail where the file is not what the code says
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final

from dask_platform.features.whitelists.rules import Rule

FILE: Final = Path(__file__).resolve().parent.parent / "whitelists" / "rule.schema.json"
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def schema() -> str:
    """The schema as it stands in the file. A schema says less than ``whitelist check``: nothing
    about hosts in their normal form, two people, examples, or rules beside each other."""
    said = {"$schema": DIALECT, **Rule.model_json_schema(by_alias=True)}
    return json.dumps(said, ensure_ascii=False, indent=2) + "\n"


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["check"]):
        print(__doc__, file=sys.stderr)
        return 2
    if arguments:
        if FILE.is_file() and FILE.read_text(encoding="utf-8") == schema():
            return 0
        print(f"{FILE.name} is stale. Run: python tools/whitelist_schema.py", file=sys.stderr)
        return 1
    FILE.write_text(schema(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
