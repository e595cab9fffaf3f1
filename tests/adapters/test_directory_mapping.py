"""The mapping file: read right, and wrong ones refused with every problem at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dask_platform.adapters.directory import load_mapping
from dask_platform.kernel.errors import ConfigurationError

EXAMPLE = Path(__file__).parents[2] / "infra" / "directory-mapping.example.yaml"


def problems(path: Path, text: str, known_units: set[str] | None = None) -> list[str]:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as refused:
        load_mapping(path, known_units)
    return refused.value.problems


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mapping.yaml"


def test_groups_give_their_grants(path: Path) -> None:
    path.write_text(
        """
groups:
  "CN=Lærere,OU=Grupper,DC=fylke,DC=example":
    - {role: teacher, unit: ringerike}
    - {role: teacher, unit: no}
  cn=sikkerhet,dc=fylke,dc=example:
    - role: security
      unit: ringerike
""",
        encoding="utf-8",
    )
    mapping = load_mapping(path, {"ringerike", "no"})
    assert mapping.grants_for(["cn=l\\c3\\a6rere,ou=GRUPPER,dc=fylke,dc=example"]) == {
        ("teacher", "ringerike"),
        ("teacher", "no"),
    }
    assert mapping.grants_for(["cn=other,dc=fylke,dc=example", "not a dn"]) == frozenset()
    assert mapping.grants_for(mapping.written.values()) == {
        ("teacher", "ringerike"),
        ("teacher", "no"),
        ("security", "ringerike"),
    }


def test_the_example_is_right() -> None:
    assert load_mapping(EXAMPLE).grants


def test_every_problem_is_named_with_its_line(path: Path) -> None:
    found = problems(
        path,
        """groups:
  "cn=a,dc=no":
    - {role: headmaster, unit: oslo}
    - {role: teacher, unit: atlantis}
    - {role: teacher, unit: oslo}
    - {role: teacher, unit: oslo}
  "CN=A, DC=NO":
    - {role: teacher, unit: oslo}
  "not a name":
    - {role: teacher, unit: Oslo Fengsel}
  "cn=b,dc=no": []
  "cn=c,dc=no":
    - teacher
    - {role: teacher}
    - {role: student, unit: oslo}
    - {role: operator, unit: oslo}
unknown: 1
""",
        {"oslo"},
    )
    expected = [
        ("line 3", "'headmaster' is not a role"),
        ("line 4", "no unit 'atlantis'"),
        ("line 6", "twice to the same group"),
        ("line 7", "mapped before, as 'cn=a,dc=no'"),
        ("line 9", "'not a name' is not a distinguished name"),
        ("line 10", "'Oslo Fengsel' is not a unit's short name"),
        ("line 11", "needs a list"),
        ("line 13", "must be written {role: …, unit: …}"),
        ("line 14", "must be written {role: …, unit: …}"),
        ("line 13", "cannot give both the student role and a staff role"),
        ("line 17", "'unknown' is not known here"),
    ]
    for line, words in expected:
        assert any(f"{line}:" in problem and words in problem for problem in found), (words, found)
    assert len(found) == len(expected)


def test_the_same_group_twice_to_the_letter_is_seen(path: Path) -> None:
    """Plain YAML would keep the last one and say nothing."""
    text = """groups:
  "cn=a,dc=no": [{role: teacher, unit: oslo}]
  "cn=a,dc=no": [{role: operator, unit: oslo}]
"""
    assert "mapped before" in problems(path, text)[0]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "groups:",
        "groups: {}",
        "groups: []",
        "[]",
        "just words",
        "groups: {cn=a: [}",
        "groups: !!python/object:os.system {}",
        "groups:\n  ? [cn=a]\n  : [{role: teacher, unit: oslo}]\n",
        "groups: &a\n  cn=a,dc=no: *a\n",
        "\x00",
        "groups: {cn=a: [{role: teacher, unit: oslo, unit: oslo}]}",
        "a: 1\ngroups: {cn=a: [{role: teacher, unit: oslo}]}\ngroups: {}",
    ],
)
def test_a_file_of_another_form_is_refused(path: Path, text: str) -> None:
    assert all("mapping.yaml" in problem for problem in problems(path, text))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.yaml cannot be read"):
        load_mapping(tmp_path / "nowhere.yaml")
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("groups: {cn=Lærere: []}".encode("latin-1"))
    with pytest.raises(ConfigurationError, match="not readable YAML"):
        load_mapping(latin)


@settings(deadline=None)
@given(text=st.text(alphabet="groups: \n-{}[]\"'&*!?#|>%@`,=cndarole", max_size=60))
def test_any_text_is_a_mapping_or_a_configuration_error(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(text, encoding="utf-8")
    try:
        mapping = load_mapping(path)
    except ConfigurationError:
        return
    assert mapping.grants
