"""What every ``Directory`` does, whatever stands behind it.

A test class inherits :class:`DirectoryContract` and gives a fixture ``world``: a directory and the
hand that changes what is in it.
"""

from __future__ import annotations

from typing import Protocol

import pytest

from dask_platform.kernel.errors import AccountRefused, BadCredentials, DirectoryUnavailable
from dask_platform.kernel.ports import Directory, DirectoryPerson

TEACHER = ("teacher", "ringerike")
SECURITY = ("security", "oslo")
PASSWORD = "riktig hest batteri stift"


class DirectoryWorld(Protocol):
    """A directory whose people the test may change."""

    @property
    def directory(self) -> Directory: ...

    @property
    def unreachable(self) -> Directory:
        """The same kind of directory, with no server behind it."""
        ...

    def add(
        self,
        username: str,
        *grants: tuple[str, str],
        password: str = PASSWORD,
        name: str = "Kari Nordmann",
    ) -> None:
        """A new person in the groups that give ``grants`` (of ``TEACHER`` and ``SECURITY``)."""
        ...

    def call(self, username: str, name: str) -> None:
        """Change the display name."""
        ...

    def rename(self, username: str, new: str) -> None:
        """Change the user name."""
        ...

    def revoke(self, username: str, grant: tuple[str, str]) -> None:
        """Take the person out of the group that gives ``grant``."""
        ...

    def disable(self, username: str) -> None: ...

    def lock(self, username: str) -> None: ...

    def remove(self, username: str) -> None: ...


def listed(world: DirectoryWorld) -> dict[str, DirectoryPerson]:
    people = list(world.directory.people())
    by_name = {person.username: person for person in people}
    assert len(by_name) == len(people), "a person was listed twice"
    return by_name


class DirectoryContract:
    """Inherit, and give ``world``."""

    def test_the_right_password_gives_the_person(self, world: DirectoryWorld) -> None:
        world.add("kari", TEACHER, name="Kari Nordmann")
        person = world.directory.authenticate("kari", PASSWORD)
        assert person.username == "kari"
        assert person.display_name == "Kari Nordmann"
        assert person.grants == {TEACHER}
        assert person.active
        assert person.reason is None
        assert person.key

    def test_wrong_password_and_unknown_name_are_the_same(self, world: DirectoryWorld) -> None:
        world.add("kari", TEACHER)
        with pytest.raises(BadCredentials) as wrong:
            world.directory.authenticate("kari", "galt")
        with pytest.raises(BadCredentials) as unknown:
            world.directory.authenticate("finnes-ikke", "galt")
        assert str(wrong.value) == str(unknown.value)

    @pytest.mark.parametrize("password", ["", " ", "\t\n", "\u00a0\u2003", "\x00", "a\x00b"])
    def test_a_password_that_is_none_is_refused(self, world: DirectoryWorld, password: str) -> None:
        world.add("kari", TEACHER)
        with pytest.raises(BadCredentials):
            world.directory.authenticate("kari", password)

    @pytest.mark.parametrize(
        ("username", "password"),
        [("kari", ""), ("kari", "  "), ("", PASSWORD), ("ka\x00ri", PASSWORD), ("k" * 300, "x")],
    )
    def test_nonsense_is_refused_before_anything_is_sent(
        self, world: DirectoryWorld, username: str, password: str
    ) -> None:
        with pytest.raises(BadCredentials):
            world.unreachable.authenticate(username, password)

    @pytest.mark.parametrize(
        "username",
        ["*", "k*", "kari)(uid=*", "*)(objectClass=*", "\\2a", "ka\\72i", "kari\x00", "kari,ou=x"],
    )
    def test_a_name_is_never_a_pattern(self, world: DirectoryWorld, username: str) -> None:
        world.add("kari", TEACHER)
        with pytest.raises(BadCredentials):
            world.directory.authenticate(username, PASSWORD)

    @pytest.mark.parametrize("username", ["kari\u200b", "ka\u00adri", "\u202ekari", "ka\ud800ri"])
    def test_a_name_with_something_unseen_in_it_is_nobodys(
        self, world: DirectoryWorld, username: str
    ) -> None:
        world.add("kari", TEACHER)
        with pytest.raises(BadCredentials):
            world.directory.authenticate(username, PASSWORD)

    def test_the_name_is_given_as_the_directory_writes_it(self, world: DirectoryWorld) -> None:
        world.add("kari", TEACHER)
        assert world.directory.authenticate(" KARI ", PASSWORD).username == "kari"

    def test_passwords_are_taken_to_the_letter(self, world: DirectoryWorld) -> None:
        password = "Blåbær½ ﬁne\u00ad 🫐 "
        world.add("kari", TEACHER, password=password)
        assert world.directory.authenticate("kari", password).username == "kari"
        for other in ("Blåbær1⁄2 fine 🫐 ", password.strip(), password.lower()):
            with pytest.raises(BadCredentials):
                world.directory.authenticate("kari", other)

    def test_everything_is_read_anew_at_each_log_in(self, world: DirectoryWorld) -> None:
        world.add("kari", TEACHER, SECURITY, name="Kari Nordmann")
        before = world.directory.authenticate("kari", PASSWORD)
        world.call("kari", "Kari Hansen")
        world.revoke("kari", SECURITY)
        after = world.directory.authenticate("kari", PASSWORD)
        assert before.grants == {TEACHER, SECURITY}
        assert after.grants == {TEACHER}
        assert (after.key, after.display_name) == (before.key, "Kari Hansen")

    def test_the_key_outlives_a_new_user_name(self, world: DirectoryWorld) -> None:
        world.add("kari", TEACHER)
        key = world.directory.authenticate("kari", PASSWORD).key
        world.rename("kari", "kari.hansen")
        assert world.directory.authenticate("kari.hansen", PASSWORD).key == key
        with pytest.raises(BadCredentials):
            world.directory.authenticate("kari", PASSWORD)

    def test_somebody_new_under_an_old_name_has_another_key(self, world: DirectoryWorld) -> None:
        world.add("kari", TEACHER)
        key = world.directory.authenticate("kari", PASSWORD).key
        world.remove("kari")
        world.add("kari", TEACHER)
        assert world.directory.authenticate("kari", PASSWORD).key != key

    def test_without_a_mapped_group_nothing_is_granted(self, world: DirectoryWorld) -> None:
        world.add("ola")
        assert world.directory.authenticate("ola", PASSWORD).grants == frozenset()
        assert "ola" not in listed(world)

    def test_disabled_is_told_only_to_who_knows_the_password(self, world: DirectoryWorld) -> None:
        world.add("kari", TEACHER)
        world.disable("kari")
        with pytest.raises(AccountRefused) as refused:
            world.directory.authenticate("kari", PASSWORD)
        assert "disabled" in refused.value.reason
        with pytest.raises(BadCredentials):
            world.directory.authenticate("kari", "galt")

    def test_locked_is_refused_with_any_password(self, world: DirectoryWorld) -> None:
        world.add("kari", TEACHER)
        world.lock("kari")
        for password in (PASSWORD, "galt"):
            with pytest.raises(AccountRefused) as refused:
                world.directory.authenticate("kari", password)
            assert "locked" in refused.value.reason

    def test_what_the_person_is_told_says_nothing_of_the_reason(
        self, world: DirectoryWorld
    ) -> None:
        world.add("kari", TEACHER)
        world.add("ola", TEACHER)
        world.disable("kari")
        world.lock("ola")
        told = set()
        for username in ("kari", "ola"):
            with pytest.raises(AccountRefused) as refused:
                world.directory.authenticate(username, PASSWORD)
            told.add(str(refused.value))
        assert len(told) == 1

    def test_people_lists_each_person_once_with_all_grants(self, world: DirectoryWorld) -> None:
        world.add("kari", TEACHER, SECURITY, name="Kari Nordmann")
        world.add("ola", TEACHER, name="Ola Nordmann")
        people = listed(world)
        assert set(people) == {"kari", "ola"}
        assert people["kari"].grants == {TEACHER, SECURITY}
        assert people["ola"] == world.directory.authenticate("ola", PASSWORD)

    def test_people_holds_the_disabled_and_locked_as_not_active(
        self, world: DirectoryWorld
    ) -> None:
        for username in ("kari", "ola", "per"):
            world.add(username, TEACHER)
        world.disable("kari")
        world.lock("ola")
        people = listed(world)
        assert {name: person.active for name, person in people.items()} == {
            "kari": False,
            "ola": False,
            "per": True,
        }
        assert "disabled" in (people["kari"].reason or "")
        assert "locked" in (people["ola"].reason or "")
        assert {name for name, person in people.items() if person.locked_out} == {"ola"}
        assert people["per"].reason is None

    def test_who_is_gone_is_not_listed(self, world: DirectoryWorld) -> None:
        for username in ("kari", "ola", "per"):
            world.add(username, TEACHER)
        world.remove("kari")
        world.revoke("ola", TEACHER)
        assert set(listed(world)) == {"per"}

    def test_a_server_answers_the_check(self, world: DirectoryWorld) -> None:
        world.directory.check()

    def test_an_outage_is_said_to_be_one(self, world: DirectoryWorld) -> None:
        with pytest.raises(DirectoryUnavailable):
            world.unreachable.authenticate("kari", PASSWORD)
        with pytest.raises(DirectoryUnavailable):
            list(world.unreachable.people())
        with pytest.raises(DirectoryUnavailable):
            world.unreachable.check()
