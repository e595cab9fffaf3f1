"""Something an author should put right, with its place in what was written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Problem:
    """Something to put right. ``line`` counts from 1.

    ``message`` is the English sentence and the translation key, ``params`` fills its places.
    """

    line: int
    message: str
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def english(self) -> str:
        """The sentence with its places filled."""
        return self.message % self.params if self.params else self.message

    def __str__(self) -> str:
        return f"line {self.line}: {self.english}"
