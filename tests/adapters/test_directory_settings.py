"""Settings that are refused at start, all at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from dask_platform.adapters.directory import LdapDirectory, LdapSettings
from dask_platform.kernel.errors import (
    ConfigurationError,
)
from tests.adapters.conftest import MakeDirectory
from tests.services.slapd import (
    SERVICE_DN,
    SUFFIX,
)

TEACHER = ("teacher", "ringerike")


def test_every_problem_of_the_settings_is_named_at_once(tmp_path: Path) -> None:
    wrong = LdapSettings(
        servers=("ldap://dc1.fylke.example", "https://dc2", "ldaps://u:p@dc3", "ldaps://h:x"),
        base_dn="fylke",
        bind_dn=" ",
        bind_password="",
        mapping_file=tmp_path / "nowhere.yaml",
        ca_file=tmp_path / "nowhere.pem",
        user_filter="(uid=*)",
        group_filter="(a=b))",
        membership="search",
        nested="ad",
        page_size=0,
    )
    with pytest.raises(ConfigurationError) as refused:
        LdapDirectory(wrong)
    said = "\n".join(refused.value.problems)
    for words in (
        "ldap://dc1.fylke.example would send passwords in the clear",
        "https://dc2 is not a server address",
        "The address of dc3 holds more",
        "ldaps://h:x is not a server address",
        "base DN 'fylke'",
        "No service account",
        "no password",
        "nowhere.pem cannot be read",
        "user filter needs",
        "group filter '(a=b))'",
        "'ad' goes with membership 'memberof'",
        "must be at least 1",
        "nowhere.yaml cannot be read",
    ):
        assert words in said
    assert "u:p" not in said


def test_no_server_at_all_is_a_problem(make_directory: MakeDirectory) -> None:
    with pytest.raises(ConfigurationError, match="No directory server"):
        make_directory({f"cn=g,{SUFFIX}": [TEACHER]}, servers=())


def test_the_password_is_not_in_the_settings_text(tmp_path: Path) -> None:
    made = LdapSettings(
        servers=("ldaps://x",),
        base_dn=SUFFIX,
        bind_dn=SERVICE_DN,
        bind_password="hemmelig",
        mapping_file=tmp_path,
    )
    assert "hemmelig" not in repr(made)
