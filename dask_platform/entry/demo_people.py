"""Who is in the demo. Nobody is real. It imports nothing: it is read at each start."""

from __future__ import annotations

PASSWORD = "demo-skole-2026"  # noqa: S105 - printed at every start

UNITS = (
    # slug, name, security level, school, room, networks
    ("nordvik", "Nordvik fengsel", "high", "Nordvik videregående skole", "Klasserom 1",
     ("127.0.0.0/8", "::1/128")),
    ("sorli", "Sørli fengsel", "low", "Sørli videregående skole", "Datarommet", ()),
)  # fmt: skip
PEOPLE = (
    # user name, name, unit, role (None: student)
    ("anna", "Anna Berg", "nordvik", None),
    ("bilal", "Bilal Haddad", "nordvik", None),
    ("kjell", "Kjell Moen", "nordvik", None),
    ("maria", "Maria Nowak", "nordvik", None),
    ("cem", "Cem Yilmaz", "sorli", None),
    ("tora", "Tora Lie", "nordvik", "teacher"),
    ("siri", "Siri Vik", "sorli", "teacher"),
    ("odd", "Odd Dahl", "nordvik", "workshop"),
    ("sigrid", "Sigrid Aune", "nordvik", "security"),
    ("stein", "Stein Foss", "nordvik", "security"),
    ("olga", "Olga Strand", "nordvik", "operator"),
)
CLASSES = (
    # course, unit, name, teacher, students
    ("digital-grunnkurs", "nordvik", "Digital gruppe A", "tora", ("anna", "bilal", "maria")),
    ("hms-i-verkstedet", "nordvik", "HMS høst", "tora", ("anna", "kjell")),
    ("praktisk-matematikk", "nordvik", "Matte på dagtid", "tora", ("bilal", "kjell", "maria")),
    ("digital-grunnkurs", "sorli", "Data på Sørli", "siri", ("cem",)),
)
SAID = {
    None: "student",
    "teacher": "teacher",
    "workshop": "workshop officer",
    "security": "security officer",
    "operator": "operator",
}


def accounts() -> str:
    """The accounts as the demo prints them: one a line, and the password they share."""
    lines = [f"Log in with the password {PASSWORD}:"]
    units = {slug: name for slug, name, *_rest in UNITS}
    lines += [
        f"  {username:<8} {SAID[role]:<17} {units[unit]}" for username, _name, unit, role in PEOPLE
    ]
    return "\n".join(lines)
