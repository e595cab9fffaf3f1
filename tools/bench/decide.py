"""How long a decision takes among a thousand rules and among a million, with reading the address.

The yardstick is the reading alone: a browser's parser has to run in any case.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import ada_url

from dask_platform.features.whitelists.engine import Asked, Decision, Engine
from dask_platform.features.whitelists.rules import Rule

ROUNDS = 20_000
AIMS = {1_000: 10.0, 1_000_000: 15.0}
PLAIN = {
    "id": "r", "host": "side.no", "title": {"nb": "x", "nn": "x"},
    "description": {"nb": "x", "nn": "x"}, "paths": ["/artikkel", "/emne"],
    "closed": ["/artikkel/logg"],
    "query": [{"name": "side", "type": "integer", "length": 3}], "owner": "x", "author": "x",
    "reviewer": "y", "reason": "x", "expires": "2100-01-01",
    "examples": {"pass": ["https://side.no/emne"], "refuse": ["https://side.no/x"]},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Decided:
    """Microseconds a decision, and for reading the same addresses alone."""

    rules: int
    decide: float
    reading: float


def figures(sizes: tuple[int, ...] = (1_000, 1_000_000)) -> list[Decided]:
    """The best of three rounds over addresses that are open, closed, and not listed at all."""
    plain = Rule.model_validate_json(json.dumps(PLAIN))
    asked = Asked(at=datetime.now(UTC))
    found = []
    for size in sizes:
        engine = Engine.of(_rule(plain, at) for at in range(size))
        # Spread over all rules, so that no cache of the processor holds them.
        urls = [
            one
            for at in (number * 7919 % size for number in range(ROUNDS // 4))
            for one in (
                f"https://side{at}.no/artikkel/noe-langt-{at}",
                f"https://side{at}.no/artikkel/logg/inn",
                f"https://under.side{at}.no/emne?side=12",
                f"https://annet{at}.no/artikkel",
            )
        ]
        found.append(
            Decided(
                size,
                _microseconds(partial(_decide, engine, asked), urls),
                _microseconds(ada_url.normalize_url, urls),
            )
        )
    return found


def _rule(plain: Rule, at: int) -> Rule:
    said = {"id": f"r{at}", "host": f"side{at}.no", "subdomains": at % 3 == 0}
    return plain.model_copy(update=said)


def _decide(engine: Engine, asked: Asked, url: str) -> Decision:
    return engine.decide(url, asked)


def _microseconds(call: Callable[[str], object], urls: list[str]) -> float:
    best = float("inf")
    for _ in range(3):
        begun = time.perf_counter()
        for url in urls:
            call(url)
        best = min(best, (time.perf_counter() - begun) / len(urls) * 1e6)
    return best
