"""Accounts that are refused: by OpenLDAP's own policy, and by what Active Directory writes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dask_platform.adapters.directory import LdapDirectory, state
from dask_platform.adapters.directory.answers import BindAnswer, Entry
from dask_platform.kernel.clock import FixedClock
from dask_platform.kernel.errors import AccountRefused, BadCredentials
from tests.adapters.conftest import MakeDirectory
from tests.services.slapd import Tree

PASSWORD = "riktig hest batteri stift"
TEACHER = ("teacher", "ringerike")
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
NEVER = 0x7FFFFFFFFFFFFFFF


def filetime(at: datetime) -> int:
    """Active Directory's clock, 100 ns since 1601; by way of Unix time, for a second opinion."""
    return (int(at.timestamp()) + 11_644_473_600) * 10_000_000


def refused(directory: LdapDirectory, password: str = PASSWORD) -> str:
    with pytest.raises(AccountRefused) as refusal:
        directory.authenticate("kari", password)
    return refusal.value.reason


# --- OpenLDAP, for real ---------------------------------------------------------------------


@pytest.fixture
def directory(tree: Tree, make_directory: MakeDirectory) -> LdapDirectory:
    group = tree.group("teachers", [tree.person("kari", PASSWORD)])
    return make_directory(
        {group: [TEACHER]}, servers=(tree.server.url,), allow_plain=True, clock=FixedClock(NOW)
    )


def test_three_wrong_passwords_lock_the_account(tree: Tree, directory: LdapDirectory) -> None:
    for _ in range(3):
        with pytest.raises(BadCredentials):
            directory.authenticate("kari", "galt")
    assert refused(directory) == state.LOCKED
    assert refused(directory, "galt") == state.LOCKED
    (person,) = directory.people()
    assert (person.active, person.reason) == (False, state.LOCKED)
    # Lifted by the directory's administrator, it is open again.
    tree.set(tree.person_dn("kari"), "pwdAccountLockedTime")
    assert directory.authenticate("kari", PASSWORD).active


def test_a_right_password_counts_no_failure(tree: Tree, directory: LdapDirectory) -> None:
    for _ in range(5):
        directory.authenticate("kari", PASSWORD)
    assert tree.read(tree.person_dn("kari"), "pwdFailureTime") == []


def test_a_wrong_password_is_tried_once_and_not_on_every_server(
    tree: Tree, make_directory: MakeDirectory
) -> None:
    group = tree.group("teachers", [tree.person("kari", PASSWORD)])
    directory = make_directory({group: [TEACHER]}, servers=(tree.server.tls_url,) * 3)
    with pytest.raises(BadCredentials):
        directory.authenticate("kari", "galt")
    assert len(tree.read(tree.person_dn("kari"), "pwdFailureTime")) == 1


def test_an_expired_password(tree: Tree, directory: LdapDirectory) -> None:
    tree.set(tree.person_dn("kari"), "pwdChangedTime", "20200101000000Z")
    assert refused(directory) == state.PASSWORD_EXPIRED
    with pytest.raises(BadCredentials):
        directory.authenticate("kari", "galt")


def test_a_password_set_by_somebody_else(tree: Tree, directory: LdapDirectory) -> None:
    """OpenLDAP says yes to this bind and adds what must come first."""
    tree.set(tree.person_dn("kari"), "pwdReset", "TRUE")
    assert refused(directory) == state.MUST_CHANGE
    assert [person.reason for person in directory.people()] == [state.MUST_CHANGE]


def test_an_account_whose_time_is_over(tree: Tree, directory: LdapDirectory) -> None:
    tree.set(tree.person_dn("kari"), "pwdEndTime", "20200101000000Z")
    assert {refused(directory), refused(directory, "galt")} == {state.NOT_YET}
    assert [person.reason for person in directory.people()] == [state.NOT_YET]


def test_an_account_without_a_password(tree: Tree, directory: LdapDirectory) -> None:
    tree.set(tree.person_dn("kari"), "userPassword")
    with pytest.raises(BadCredentials):
        directory.authenticate("kari", PASSWORD)


# --- Active Directory's attributes, on OpenLDAP ---------------------------------------------

AD_CASES: list[tuple[dict[str, int], str | None]] = [
    ({"userAccountControl": 512}, None),
    ({"userAccountControl": 512 | 2}, state.DISABLED),
    ({"userAccountControl": 66048 | 2}, state.DISABLED),
    ({"userAccountControl": 512, "msDS-User-Account-Control-Computed": 0}, None),
    ({"userAccountControl": 512, "msDS-User-Account-Control-Computed": 16}, state.LOCKED),
    (
        {"userAccountControl": 512, "msDS-User-Account-Control-Computed": 0x800000},
        state.PASSWORD_EXPIRED,
    ),
    ({"accountExpires": 0}, None),
    ({"accountExpires": NEVER}, None),
    ({"accountExpires": filetime(NOW - timedelta(seconds=1))}, state.ACCOUNT_EXPIRED),
    ({"accountExpires": filetime(NOW + timedelta(seconds=1))}, None),
    ({"userAccountControl": 512, "pwdLastSet": 0}, state.MUST_CHANGE),
    ({"userAccountControl": 512 | 0x10000, "pwdLastSet": 0}, None),
    ({"userAccountControl": 512, "pwdLastSet": filetime(NOW)}, None),
]


@pytest.mark.parametrize(("attributes", "reason"), AD_CASES)
def test_what_active_directory_says_in_attributes(
    tree: Tree, directory: LdapDirectory, attributes: dict[str, int], reason: str | None
) -> None:
    for name, value in attributes.items():
        tree.set(tree.person_dn("kari"), name, value)
    (person,) = directory.people()
    assert (person.active, person.reason) == (reason is None, reason)
    if reason is None:
        assert directory.authenticate("kari", PASSWORD) == person
    else:
        assert refused(directory) == reason


@pytest.mark.parametrize(
    ("minutes", "since", "locked"),
    [
        (30, timedelta(minutes=29), True),
        (30, timedelta(minutes=31), False),
        (None, timedelta(days=400), True),
    ],
)
@pytest.mark.parametrize("kind", ["lockoutTime", "pwdAccountLockedTime"])
def test_a_lock_runs_out_with_the_directorys_own_lock_out(
    tree: Tree,
    make_directory: MakeDirectory,
    minutes: int | None,
    since: timedelta,
    locked: bool,
    kind: str,
) -> None:
    dn = tree.person("kari", PASSWORD)
    at = NOW - since
    value = str(filetime(at)) if kind == "lockoutTime" else at.strftime("%Y%m%d%H%M%SZ")
    tree.set(dn, kind, value)
    directory = make_directory(
        {tree.group("teachers", [dn]): [TEACHER]}, lockout_minutes=minutes, clock=FixedClock(NOW)
    )
    assert [person.active for person in directory.people()] == [not locked]


# --- what a server answers, as data ---------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("52e", None),  # wrong password
        ("525", None),  # no such user
        ("530", state.NOT_NOW),
        ("531", state.NOT_HERE),
        ("532", state.PASSWORD_EXPIRED),
        ("533", state.DISABLED),
        ("701", state.ACCOUNT_EXPIRED),
        ("773", state.MUST_CHANGE),
        ("775", state.LOCKED),
    ],
)
def test_active_directorys_answer_to_a_bind(code: str, reason: str | None) -> None:
    text = f"80090308: LdapErr: DSID-0C09041C, comment: AcceptSecurityContext error, data {code}, v"
    assert state.bind_refusal(BindAnswer(False, text + "\x00")) == reason
    assert state.bind_refusal(BindAnswer(True, text)) is None


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("3000", None),
        ("3003810100", 0),
        ("3003810101", 1),
        ("3003810102", 2),
        ("3008a003800101810101", 1),  # a warning before the error
        ("3005a003800101", None),
        ("", None),
        ("30", None),
        ("30038101", None),
        ("3103810101", None),
        ("30820003810101", None),
        ("300481020101", None),
    ],
)
def test_the_policy_control(value: str, error: int | None) -> None:
    assert state.policy_error(bytes.fromhex(value)) == error


@settings(deadline=None)
@given(st.binary(max_size=40))
def test_any_bytes_in_the_policy_control_are_survived(value: bytes) -> None:
    assert state.policy_error(value) is None or 0 <= state.policy_error(value) <= 255  # type: ignore[operator]


def entry(**attributes: bytes) -> Entry:
    return Entry.of("cn=x", {name: (value,) for name, value in attributes.items()})


@settings(deadline=None)
@given(
    name=st.sampled_from(state.STATE_ATTRIBUTES),
    value=st.one_of(st.binary(max_size=20), st.integers(-(2**70), 2**70).map(lambda n: b"%d" % n)),
)
def test_any_value_of_any_attribute_is_survived(name: str, value: bytes) -> None:
    made = Entry.of("cn=x", {name: (value,)})
    checks: list[Callable[[], str | None]] = [
        lambda: state.lasting_refusal(made, NOW),
        lambda: state.lock_refusal(made, NOW, None),
        lambda: state.lock_refusal(made, NOW, timedelta(minutes=30)),
    ]
    for check in checks:
        reason = check()
        assert reason is None or reason.endswith(".")


def test_a_lock_that_cannot_be_read_is_a_lock() -> None:
    locked = entry(pwdAccountLockedTime=b"yesterday")
    assert state.lock_refusal(locked, NOW, timedelta(minutes=1)) == state.LOCKED


def test_an_entry_that_says_nothing_is_open() -> None:
    assert state.lasting_refusal(entry(), NOW) is None
    assert state.lock_refusal(entry(), NOW, None) is None
    assert entry(cn=b"x").text("CN") == "x"
