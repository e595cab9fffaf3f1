"""Form fields that take what people send, and not only what browsers do."""

from __future__ import annotations

from typing import Any, Final

from wtforms import IntegerField

DIGITS_MOST: Final = 18


class WholeNumberField(IntegerField):  # type: ignore[misc]
    """A whole number of at most 18 digits.

    The library's own field takes a number of any length, and its validators then fail on one that
    no float can hold.
    """

    data: Any  # int, or None until something good was sent

    def process_formdata(self, valuelist: list[str]) -> None:
        if valuelist and len(valuelist[0].strip()) > DIGITS_MOST:
            self.data = None
            raise ValueError(self.gettext("Not a valid integer value."))
        super().process_formdata(valuelist)
