"""Forms: only those that a rule names, with the fields that it names.

A form is a way out. Of one that no rule names, the text stays and every control goes. Of one that
is named, the fields that are not go, lengths are the rule's, and the page has no say in where it is
sent. The broker checks what arrives all over again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from selectolax.lexbor import LexborNode

from dask_platform.security.reader import lists
from dask_platform.security.reader.addresses import Addresses
from dask_platform.security.reader.markup import escape, quoted
from dask_platform.security.reader.parts import AllowedForm, Field, Policy

MOST_OPTIONS: Final = 500

_TYPED: Final = frozenset(("search", "text", "number", "date", ""))
_TYPES: Final = {"integer": "text", "word": "text", "date": "date", "text": "text"}

Attributes = dict[str, "str | None"]
Handler = Callable[[LexborNode, Attributes], "str | None"]
Written = Callable[[str, Attributes], str]


class FormWriter:
    """The part of a ``Writer`` that knows whether it is inside a form that may be sent."""

    def __init__(
        self, addresses: Addresses, policy: Policy, out: list[str], attributes: Written
    ) -> None:
        self._addresses = addresses
        self._policy = policy
        self._out = out
        self._attributes = attributes
        self._form: AllowedForm | None = None
        self._fields: dict[str, Field] = {}
        self.handlers: dict[str, Handler] = {
            "button": self._button,
            "fieldset": self._grouping,
            "form": self._start,
            "input": self._input,
            "label": self._grouping,
            "legend": self._grouping,
            "select": self._select,
            "textarea": self._textarea,
        }

    def leave(self) -> None:
        """The form that was entered has been written."""
        self._form = None
        self._fields = {}

    def _start(self, node: LexborNode, given: Attributes) -> str:
        if self._form is not None:
            return ""
        found = self._allowed(given)
        if found is None:
            return ""
        form, placed = found
        self._form = form
        self._fields = {one.name: one for one in form.fields}
        if form.hidden is not None:
            self._fields.pop(form.hidden[0], None)
        self._out.append(
            f"<form{self._attributes('form', given)}{quoted('action', placed)}"
            f"{quoted('method', form.method.lower())}{quoted('accept-charset', 'utf-8')}>"
        )
        if form.hidden is not None:
            name, value = form.hidden
            self._out.append(
                f"<input{quoted('type', 'hidden')}{quoted('name', name)}{quoted('value', value)}>"
            )
        return "</form>"

    def _allowed(self, given: Attributes) -> tuple[AllowedForm, str] | None:
        """The form of the rule that this is, and where it is sent. A query that stands in the
        action goes: a browser would drop it for GET, and for POST the rule names none."""
        action = given.get("action") or ""
        method = (given.get("method") or "get").strip().upper()
        resolved = (self._addresses.resolved(action or "?") or "").partition("?")[0]
        for form in self._policy.forms:
            placed = self._addresses.form(form.action)
            if placed and form.method == method and (form.action == resolved or placed == action):
                return form, placed
        return None

    def _grouping(self, node: LexborNode, given: Attributes) -> str:
        if self._form is None:
            return ""
        name = node.tag or ""
        pointed = lists.identifier(given.get("for") or "") if name == "label" else None
        self._out.append(
            f"<{name}{self._attributes(name, given)}{quoted('for', pointed) if pointed else ''}>"
        )
        return f"</{name}>"

    def _button(self, node: LexborNode, given: Attributes) -> str:
        kind = (given.get("type") or "submit").lower()
        if self._form is None or kind != "submit":
            return ""
        self._out.append(f"<button{self._attributes('button', given)}{quoted('type', 'submit')}>")
        return "</button>"

    def _field(self, given: Attributes) -> Field | None:
        return self._fields.get(given.get("name") or "")

    def _input(self, node: LexborNode, given: Attributes) -> None:
        if self._form is None:
            return
        kind = (given.get("type") or "text").lower()
        if kind in ("submit", "image"):
            words = given.get("value") or given.get("alt") or "OK"
            self._write("input", given, {"type": "submit", "value": lists.text(words)})
            return
        field = self._field(given)
        if field is None:
            return
        value = lists.text(given.get("value") or "")
        fits = len(value) <= field.length and (field.kind != "choice" or value in field.choices)
        if kind == "hidden" or (kind in ("radio", "checkbox") and field.kind == "choice"):
            if kind == "hidden" and self._form.method == "POST" and field.kind != "choice":
                return  # nobody sees what the page would have sent in the student's name
            if fits and "value" in given:
                shown = {"type": kind, "name": field.name, "value": value}
                self._write("input", given, shown, ("checked",) if kind != "hidden" else ())
        elif kind in _TYPED and field.kind != "choice":
            shown = {
                "type": "search" if kind == "search" else _TYPES[field.kind],
                "name": field.name,
                "maxlength": str(field.length),
                "autocomplete": "off",
            }
            if fits and value:
                shown["value"] = value
            if given.get("placeholder"):
                shown["placeholder"] = lists.text(given["placeholder"] or "")
            self._write("input", given, shown, ("required",))

    def _select(self, node: LexborNode, given: Attributes) -> None:
        field = self._field(given)
        if field is None or field.kind != "choice":
            return
        options = []
        for one in node.css("option")[:MOST_OPTIONS]:
            for hidden in one.css("script, style, template"):
                hidden.decompose()
            words = " ".join(one.text(deep=True).split())
            own = one.attributes
            value = own["value"] or "" if "value" in own else words
            if value in field.choices:
                chosen = quoted("selected", "") if "selected" in own else ""
                options.append(
                    f"<option{quoted('value', value)}{chosen}>{escape(lists.text(words))}</option>"
                )
        if options:
            self._write("select", given, {"name": field.name}, ("required",))
            self._out.append(f"{''.join(options)}</select>")

    def _textarea(self, node: LexborNode, given: Attributes) -> None:
        field = self._field(given)
        if field is None or field.kind != "text":
            return
        shown = {"name": field.name, "maxlength": str(field.length), "rows": "4"}
        if given.get("placeholder"):
            shown["placeholder"] = lists.text(given["placeholder"] or "")
        # What the site has written there beforehand goes: it is not the student's to send.
        self._write("textarea", given, shown, ("required",))
        self._out.append("</textarea>")

    def _write(
        self, name: str, given: Attributes, shown: dict[str, str], flags: tuple[str, ...] = ()
    ) -> None:
        self._out.append(
            f"<{name}{self._attributes(name, given)}"
            f"{''.join(quoted(key, value) for key, value in shown.items())}"
            f"{''.join(quoted(key, '') for key in flags if key in given)}>"
        )
