"""Groups inside groups."""

from __future__ import annotations

from pathlib import Path

import pytest
from ldap3.operation.search import compile_filter, parse_filter

from dask_platform.adapters.directory import ACTIVE_DIRECTORY, LdapDirectory, LdapSettings
from dask_platform.adapters.directory import groups as groups_module
from dask_platform.adapters.directory.groups import IN_CHAIN, MAX_DEPTH, Membership
from dask_platform.adapters.directory.mapping import GroupMapping
from dask_platform.kernel.errors import DirectoryUnavailable
from tests.adapters.conftest import MakeDirectory
from tests.services.slapd import SERVICE_DN, SUFFIX, Tree

PASSWORD = "riktig hest batteri stift"
TEACHER = ("teacher", "ringerike")
SECURITY = ("security", "oslo")


def walking(make_directory: MakeDirectory, groups: dict[str, tuple[str, str]]) -> LdapDirectory:
    return make_directory(
        {dn: [grant] for dn, grant in groups.items()}, membership="search", nested="walk"
    )


def test_a_group_in_a_group_counts_when_walked(tree: Tree, make_directory: MakeDirectory) -> None:
    dn = tree.person("kari", PASSWORD)
    outer = tree.group("outer", [tree.group("middle", [tree.group("inner", [dn])])])
    other = tree.group("other")
    directory = walking(make_directory, {outer: TEACHER, other: SECURITY})
    person = directory.authenticate("kari", PASSWORD)
    assert person.grants == {TEACHER}
    assert list(directory.people()) == [person]


@pytest.mark.parametrize("style", ["memberof", "search"])
def test_a_group_in_a_group_counts_for_nothing_otherwise(
    tree: Tree, make_directory: MakeDirectory, style: str
) -> None:
    outer = tree.group("outer", [tree.group("inner", [tree.person("kari", PASSWORD)])])
    directory = make_directory({outer: [TEACHER]}, membership=style)
    assert directory.authenticate("kari", PASSWORD).grants == frozenset()
    assert list(directory.people()) == []


def test_groups_that_hold_each_other_end(tree: Tree, make_directory: MakeDirectory) -> None:
    dn = tree.person("kari", PASSWORD)
    one = tree.group("one", [dn])
    two = tree.group("two", [one])
    tree.join(one, two)
    tree.join(one, one)
    directory = walking(make_directory, {two: TEACHER})
    person = directory.authenticate("kari", PASSWORD)
    assert person.grants == {TEACHER}
    assert list(directory.people()) == [person]


def test_a_person_reached_on_two_ways_is_listed_once(
    tree: Tree, make_directory: MakeDirectory
) -> None:
    dn = tree.person("kari", PASSWORD)
    inner = tree.group("inner", [dn])
    outer = tree.group("outer", [dn, inner])
    other = tree.group("other", [inner])
    directory = walking(make_directory, {outer: TEACHER, other: SECURITY})
    (person,) = directory.people()
    assert person.grants == {TEACHER, SECURITY}


@pytest.mark.parametrize("levels", [MAX_DEPTH - 1, MAX_DEPTH])
def test_a_chain_beyond_the_bound_is_refused_and_not_cut(
    tree: Tree, make_directory: MakeDirectory, levels: int, caplog: pytest.LogCaptureFixture
) -> None:
    dn = tree.person("kari", PASSWORD)
    first = top = tree.group("group0", [dn])
    for number in range(1, levels):
        top = tree.group(f"group{number}", [top])
    directory = walking(make_directory, {top: TEACHER, first: SECURITY})
    if levels < MAX_DEPTH:
        assert directory.authenticate("kari", PASSWORD).grants == {TEACHER, SECURITY}
        assert len(list(directory.people())) == 1
        return
    with pytest.raises(DirectoryUnavailable):
        directory.authenticate("kari", PASSWORD)
    assert "nested deeper" in caplog.text


def test_more_groups_than_the_bound_are_refused(
    tree: Tree, make_directory: MakeDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groups_module, "MAX_GROUPS", 5)
    dn = tree.person("kari", PASSWORD)
    outer = tree.group("outer", [tree.group(f"group{number}", [dn]) for number in range(6)])
    directory = walking(make_directory, {outer: TEACHER})
    with pytest.raises(DirectoryUnavailable):
        directory.authenticate("kari", PASSWORD)
    with pytest.raises(DirectoryUnavailable):
        list(directory.people())


# OpenLDAP has no rule for a chain, so what is sent is looked at instead of what comes back.

DN = "CN=Berg\\, Kari (vikar)*,OU=Skole,DC=fylke,DC=example"


@pytest.fixture
def active_directory(tmp_path: Path) -> Membership:
    settings = LdapSettings(
        servers=("ldaps://dc1.fylke.example",),
        base_dn=SUFFIX,
        bind_dn=SERVICE_DN,
        bind_password="x",
        mapping_file=tmp_path / "unread.yaml",
        nested="ad",
        **ACTIVE_DIRECTORY,  # type: ignore[arg-type]
    )
    return Membership(settings, GroupMapping({}, {}))


def chain_assertion(search_filter: str) -> tuple[bytes, bytes, bytes]:
    """Attribute, rule and value of the last part, as ldap3 would put them on the wire."""
    parsed = parse_filter(search_filter, None, False, True, None, False)  # type: ignore[no-untyped-call]
    compiled = compile_filter(parsed.elements[0])  # type: ignore[no-untyped-call]
    match = list(compiled["and"])[-1]["extensibleMatch"]
    return bytes(match["type"]), bytes(match["matchingRule"]), bytes(match["matchValue"])


def test_the_question_for_a_persons_groups_follows_the_chain(
    active_directory: Membership,
) -> None:
    asked = active_directory.groups_in_chain_filter(DN)
    assert asked.startswith("(&(objectClass=group)(member:1.2.840.113556.1.4.1941:=")
    assert chain_assertion(asked) == (b"member", IN_CHAIN.encode(), DN.encode())


def test_the_question_for_a_groups_people_follows_the_chain(active_directory: Membership) -> None:
    asked = active_directory.members_filter(DN)
    assert "(sAMAccountName=*)" in asked
    assert chain_assertion(asked) == (b"memberOf", IN_CHAIN.encode(), DN.encode())
