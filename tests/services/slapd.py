"""OpenLDAP with a certificate of its own, and a gardener for the entries in it.

The server is set up to be as awkward as a badly kept one: it answers an unauthenticated bind with
success, and cuts every list off that is not fetched in pages. Attributes of Active Directory exist
under a private number, so that what AD says in attributes can be told on OpenLDAP.
"""

from __future__ import annotations

import ipaddress
import secrets
import socket
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import ldap3
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from ldap3.utils.dn import escape_rdn

from tests.services.base import Facts, Service, ServiceError, find_program, free_port

SUFFIX = "dc=dask,dc=example"
ADMIN_DN = f"cn=admin,{SUFFIX}"
SERVICE_DN = f"cn=platform,{SUFFIX}"
#: A service account that the server cuts off also when it asks in pages.
LIMITED_DN = f"cn=limited,{SUFFIX}"
#: The most entries a service account gets without paging, and the limited one with it.
SIZE_LIMIT = 20

_MODULES = "/usr/lib/ldap"
_SCHEMAS = "/etc/ldap/schema"
_RELAX = "1.3.6.1.4.1.4203.666.5.12"

_CONFIG = """\
{includes}
include {folder}/windows.schema
modulepath {modules}
moduleload back_mdb
moduleload memberof
moduleload ppolicy
pidfile {folder}/slapd.pid
argsfile {folder}/slapd.args
allow bind_anon_dn bind_anon_cred
{tls}
database monitor
access to * by * read
database mdb
suffix "{suffix}"
rootdn "{admin}"
rootpw "{password}"
directory {folder}/data
maxsize 67108864
dbnosync
index objectClass,uid,member,memberOf,sAMAccountName eq
limits dn.exact="{limited}" size.soft={limit} size.hard={limit}
limits dn.exact="{service}" size.soft={limit} size.hard={limit} size.prtotal=unlimited
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{service}" read by dn.exact="{limited}" read by anonymous auth by * none
overlay memberof
memberof-refint TRUE
overlay ppolicy
ppolicy_default "cn=policy,{suffix}"
ppolicy_use_lockout
"""

# The numbers lie under a UUID of ours (arc 2.25), so they clash with nobody's.
_WINDOWS_SCHEMA = """\
objectidentifier daskTest 2.25.262411434120983650179
attributetype ( daskTest:1 NAME 'userAccountControl'
  EQUALITY integerMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
attributetype ( daskTest:2 NAME 'msDS-User-Account-Control-Computed'
  EQUALITY integerMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
attributetype ( daskTest:3 NAME 'accountExpires'
  EQUALITY integerMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
attributetype ( daskTest:4 NAME 'pwdLastSet'
  EQUALITY integerMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
attributetype ( daskTest:5 NAME 'lockoutTime'
  EQUALITY integerMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
attributetype ( daskTest:6 NAME 'sAMAccountName'
  EQUALITY caseIgnoreMatch SUBSTR caseIgnoreSubstringsMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( daskTest:7 NAME 'objectGUID'
  EQUALITY octetStringMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 SINGLE-VALUE )
attributetype ( daskTest:8 NAME 'objectCategory'
  EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
objectclass ( daskTest:20 NAME 'user' AUXILIARY
  MAY ( userAccountControl $ msDS-User-Account-Control-Computed $ accountExpires $ pwdLastSet $
        lockoutTime $ sAMAccountName $ objectGUID $ objectCategory ) )
"""

_LDIF = """\
dn: {suffix}
objectClass: dcObject
objectClass: organization
dc: dask
o: DASK

dn: {service}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: platform
userPassword: {password}

dn: {limited}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: limited
userPassword: {password}

dn: cn=policy,{suffix}
objectClass: device
objectClass: pwdPolicy
cn: policy
pwdAttribute: userPassword
pwdLockout: TRUE
pwdMaxFailure: 3
pwdMustChange: TRUE
pwdMaxAge: 31536000
"""


@dataclass(frozen=True, slots=True)
class SlapdServer:
    """A running server. ``password`` is that of the administrator and of the service accounts."""

    pid: int
    port: int
    tls_port: int
    password: str
    ca_file: str

    @property
    def url(self) -> str:
        return f"ldap://127.0.0.1:{self.port}"

    @property
    def tls_url(self) -> str:
        return f"ldaps://127.0.0.1:{self.tls_port}"

    def tree(self) -> Tree:
        """A fresh part of the directory for one test, as the administrator tends it."""
        return Tree(self)


class Slapd(Service):
    """One slapd with ``ldap://`` (StartTLS offered) and ``ldaps://`` on loopback.

    Option ``name``: the host that the certificate is for, ``127.0.0.1`` unless given.
    Option ``password``: what these accounts have for a password, so that two servers can be twins.
    """

    def start(self) -> Facts:
        slapd = find_program("slapd", "the Debian package slapd")
        slapadd = find_program("slapadd", "the Debian package slapd")
        password = self.options.get("password") or secrets.token_hex(16)
        (self.folder / "data").mkdir()
        make_certificate(self.folder, self.options.get("name", "127.0.0.1"))
        includes = [
            f"include {_SCHEMAS}/{name}.schema" for name in ("core", "cosine", "inetorgperson")
        ]
        tls = (
            f"TLSCertificateFile {self.folder}/cert.pem\n"
            f"TLSCertificateKeyFile {self.folder}/key.pem"
        )
        config = self.folder / "slapd.conf"
        config.write_text(
            _CONFIG.format(
                includes="\n".join(includes),
                folder=self.folder,
                modules=_MODULES,
                tls=tls,
                suffix=SUFFIX,
                admin=ADMIN_DN,
                service=SERVICE_DN,
                limited=LIMITED_DN,
                password=password,
                limit=SIZE_LIMIT,
            )
        )
        (self.folder / "windows.schema").write_text(_WINDOWS_SCHEMA)
        ldif = _LDIF.format(
            suffix=SUFFIX, service=SERVICE_DN, limited=LIMITED_DN, password=password
        )
        loaded = subprocess.run(
            [slapadd, "-q", "-f", config], input=ldif, text=True, capture_output=True, check=False
        )
        if loaded.returncode:
            raise ServiceError(f"slapadd failed:\n{loaded.stderr}")
        port, tls_port = free_port(), free_port()
        listeners = f"ldap://127.0.0.1:{port} ldaps://127.0.0.1:{tls_port}"
        self.spawn(slapd, "-f", config, "-h", listeners, "-d", "0")
        self.wait_until(lambda: _listens(port) and _listens(tls_port))
        return {
            "pid": self.pid,
            "port": port,
            "tls_port": tls_port,
            "password": password,
            "ca_file": str(self.folder / "ca.pem"),
        }


class Tree:
    """A branch with people and groups, away from those of other tests on the same server."""

    def __init__(self, server: SlapdServer, name: str | None = None) -> None:
        self.server = server
        self.base_dn = f"ou={name or secrets.token_hex(8)},{SUFFIX}"
        self.people_dn = f"ou=people,{self.base_dn}"
        self.groups_dn = f"ou=groups,{self.base_dn}"
        self._connection: Any = ldap3.Connection(
            ldap3.Server(server.url, get_info=ldap3.NONE),
            ADMIN_DN,
            server.password,
            check_names=False,
        )
        self._connection.bind(read_server_info=False)
        for dn in (self.base_dn, self.people_dn, self.groups_dn):
            self.add(dn, ["organizationalUnit"], {})

    def close(self) -> None:
        self._connection.unbind()

    def person_dn(self, username: str) -> str:
        return f"uid={escape_rdn(username)},{self.people_dn}"

    def group_dn(self, name: str) -> str:
        return f"cn={escape_rdn(name)},{self.groups_dn}"

    def person(
        self,
        username: str,
        password: str,
        name: str = "Kari Nordmann",
        **attributes: str | bytes | int,
    ) -> str:
        """Add a person; ``_`` in an attribute's name stands for a hyphen. Returns the DN."""
        given: dict[str, str | bytes | int] = {
            attribute.replace("_", "-"): value for attribute, value in attributes.items()
        }
        given |= {"cn": name, "sn": name, "userPassword": password.encode()}
        self.add(self.person_dn(username), ["inetOrgPerson", "user"], given)
        return self.person_dn(username)

    def group(self, name: str, members: Iterable[str] = ()) -> str:
        """Add a group with these DNs. A group may not be empty, so one stranger is in it."""
        self.add(
            self.group_dn(name), ["groupOfNames"], {"member": [f"cn=nobody,{SUFFIX}", *members]}
        )
        return self.group_dn(name)

    def add(
        self,
        dn: str,
        classes: Sequence[str],
        attributes: Mapping[str, str | bytes | int | Sequence[str]],
    ) -> None:
        """Add any entry, operational attributes included."""
        self._connection.add(dn, list(classes), dict(attributes), controls=[(_RELAX, True, None)])
        self._must_have_worked()

    def set(self, dn: str, attribute: str, *values: str | bytes | int) -> None:
        """Replace an attribute; without values it goes."""
        change = {attribute: [(ldap3.MODIFY_REPLACE, list(values))]}
        self._connection.modify(dn, change, controls=[(_RELAX, True, None)])
        self._must_have_worked()

    def join(self, group_dn: str, member_dn: str) -> None:
        self._connection.modify(group_dn, {"member": [(ldap3.MODIFY_ADD, [member_dn])]})
        self._must_have_worked()

    def leave(self, group_dn: str, member_dn: str) -> None:
        self._connection.modify(group_dn, {"member": [(ldap3.MODIFY_DELETE, [member_dn])]})
        self._must_have_worked()

    def rename(self, dn: str, rdn: str) -> None:
        self._connection.modify_dn(dn, rdn)
        self._must_have_worked()

    def remove(self, dn: str) -> None:
        self._connection.delete(dn)
        self._must_have_worked()

    def read(self, dn: str, attribute: str) -> list[bytes]:
        """The values of an attribute, operational or not."""
        self._connection.search(dn, "(objectClass=*)", ldap3.BASE, attributes=[attribute])
        self._must_have_worked()
        values: list[bytes] = self._connection.response[0]["raw_attributes"].get(attribute, [])
        return values

    def _must_have_worked(self) -> None:
        result = self._connection.result
        if result["result"] != 0:
            raise AssertionError(f"slapd answers {result['description']}: {result['message']}")


def make_certificate(folder: Path, host: str) -> None:
    """Write ``ca.pem``, and ``cert.pem`` with ``key.pem`` for ``host``, into ``folder``."""
    start = datetime.now(UTC) - timedelta(hours=1)
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
    key = ec.generate_private_key(ec.SECP256R1())

    def sign(
        subject: x509.Name, public: ec.EllipticCurvePublicKey, *extensions: x509.ExtensionType
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(authority)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + timedelta(days=2))
        )
        for extension in extensions:
            builder = builder.add_extension(
                extension, critical=isinstance(extension, x509.BasicConstraints)
            )
        return builder.sign(authority_key, hashes.SHA256())

    try:
        general_name: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        general_name = x509.DNSName(host)
    authority_id = x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key())
    ca = sign(
        authority,
        authority_key.public_key(),
        x509.BasicConstraints(ca=True, path_length=0),
        authority_id,
        x509.KeyUsage(
            digital_signature=False,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        ),
    )
    certificate = sign(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "slapd")]),
        key.public_key(),
        x509.BasicConstraints(ca=False, path_length=None),
        x509.SubjectAlternativeName([general_name]),
        x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(authority_id),
    )
    pem = serialization.Encoding.PEM
    (folder / "ca.pem").write_bytes(ca.public_bytes(pem))
    (folder / "cert.pem").write_bytes(certificate.public_bytes(pem))
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def _listens(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=2):
        return True
