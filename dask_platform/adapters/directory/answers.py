"""What a directory server answers, as plain data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


class ServerProblem(Exception):
    """This server cannot be used now; the text says why, for the operator's log.

    The text never holds a password, nor the name or DN of anybody.
    """


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry with the values of its attributes as bytes. Attribute names ignore case."""

    dn: str
    attributes: Mapping[str, tuple[bytes, ...]]

    @classmethod
    def of(cls, dn: str, attributes: Mapping[str, Iterable[bytes]]) -> Entry:
        """An entry from the names as the server spells them."""
        return cls(dn, {name.lower(): tuple(values) for name, values in attributes.items()})

    def values(self, name: str) -> tuple[bytes, ...]:
        """All values, none when the attribute is absent or may not be read."""
        return self.attributes.get(name.lower(), ())

    def texts(self, name: str) -> list[str]:
        """All values that are text."""
        return [value.decode("utf-8", "replace") for value in self.values(name)]

    def text(self, name: str) -> str | None:
        """The first value as text."""
        return next(iter(self.texts(name)), None)

    def number(self, name: str) -> int | None:
        """The first value as a whole number; None when it is absent or something else."""
        try:
            return int(next(iter(self.values(name)), b""))
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class BindAnswer:
    """The outcome of one bind.

    ``diagnostic`` is the server's own text (Active Directory writes its reason there), ``policy``
    the value of the password policy control (OpenLDAP writes its there), as BER.
    """

    accepted: bool
    diagnostic: str = ""
    policy: bytes = field(default=b"", repr=False)
