"""squid that looks into TLS, with ACLs of the test's own, before one upstream that it may reach."""

from __future__ import annotations

import datetime
import os
import pwd
import re
import secrets
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.services.base import Facts, Service, ServiceError, find_program, free_port

_PACKAGE = "the Debian package squid-openssl"
_CERTGEN = "/usr/lib/squid/security_file_certgen"
_USER = "proxy"

_CONFIG = """\
http_port 127.0.0.1:{port} name=dask-inspected ssl-bump tls-cert={folder}/signing.pem \
generate-host-certificates=on dynamic_cert_mem_cache_size=4MB
http_port 127.0.0.1:{blind} name=blind
ssl_bump bump all
sslcrtd_program {certgen} -s {folder}/certificates -M 4MB
sslcrtd_children 1 startup=1
include {folder}/dask-whitelist.conf
# Whatever is let through goes to the one upstream: no name is looked up, nothing leaves loopback.
cache_peer 127.0.0.1 parent {upstream} 0 no-query no-digest originserver tls \
tls-cafile={upstream_ca} ssldomain=upstream.test name=upstream
never_direct allow all
cache deny all
memory_cache_shared off
pinger_enable off
netdb_filename none
access_log none
cache_log stdio:{folder}/log
pid_filename {folder}/squid.pid
coredump_dir {folder}
shutdown_lifetime 0 seconds
visible_hostname squid.test
"""


@dataclass(frozen=True, slots=True)
class SquidServer:
    """A running squid. On ``port`` it looks into TLS by certificates that ``ca_file`` signed; on
    ``blind`` it does not."""

    pid: int
    port: int
    blind: int
    ca_file: str


class Squid(Service):
    """One squid.

    Options: ``files``, the files to include by name, in which ``@FOLDER@`` is the folder that they
    come to lie in; ``upstream``, a port on loopback that speaks TLS as ``upstream.test``, and
    ``upstream_ca``, the text of its authority's certificate.
    """

    def start(self) -> Facts:
        squid = find_program("squid", _PACKAGE)
        port, blind = free_port(), free_port()
        ca = make_authority(self.folder)
        for name, text in self.options["files"].items():
            (self.folder / name).write_text(text.replace("@FOLDER@", str(self.folder)))
        (self.folder / "upstream-ca.pem").write_text(self.options["upstream_ca"])
        config = self.folder / "squid.conf"
        config.write_text(
            _CONFIG.format(
                port=port,
                blind=blind,
                folder=self.folder,
                certgen=_CERTGEN,
                upstream=self.options["upstream"],
                upstream_ca=self.folder / "upstream-ca.pem",
            )
        )
        # squid does not run as root, and reads its files as who it is.
        user = _USER if os.geteuid() == 0 else None
        made = subprocess.run(
            [_CERTGEN, "-c", "-s", self.folder / "certificates", "-M", "4MB"],
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            raise ServiceError(f"security_file_certgen failed:\n{made.stdout}{made.stderr}")
        if user is not None:
            self._give_to(user)
        parsed = parse(squid, config)
        if parsed:
            raise ServiceError(f"squid -k parse says:\n{parsed}")
        # Its shared memory is named after the service: each has a name of its own.
        self._name = f"dask{secrets.token_hex(6)}"
        self.spawn(
            squid, "-n", self._name, "-N", "-f", config, user=user, env={"TZ": "Europe/Oslo"}
        )
        self.wait_until(lambda: _listens(port) and _listens(blind))
        return {"pid": self.pid, "port": port, "blind": blind, "ca_file": str(ca)}

    def stop(self) -> None:
        super().stop()
        name = getattr(self, "_name", None)
        for left in Path("/dev/shm").glob(f"{name}-*") if name else ():
            left.unlink(missing_ok=True)

    def _give_to(self, user: str) -> None:
        entry = pwd.getpwnam(user)
        for path in (self.folder, *self.folder.rglob("*")):
            shutil.chown(path, entry.pw_uid, entry.pw_gid)


def parse(squid: Path, config: Path) -> str:
    """What ``squid -k parse`` has against a configuration; empty when it has nothing."""
    done = subprocess.run(
        [squid, "-k", "parse", "-f", config], capture_output=True, text=True, check=False
    )
    said = [
        line
        for line in done.stderr.splitlines()
        if re.search(r"error|fatal|bungled|warning", line, re.I)
    ]
    return "\n".join(said) or (done.stderr if done.returncode else "")


def make_authority(folder: Path) -> Path:
    """``ca.pem``, and ``signing.pem`` with its key for squid to sign with."""
    now = datetime.datetime.now(datetime.UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test squid CA")])
    usage = dict.fromkeys(
        (
            *("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
            *("encipher_only", "decipher_only"),
        ),
        False,
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.KeyUsage(digital_signature=True, key_cert_sign=True, crl_sign=True, **usage),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "ca.pem").write_bytes(certificate.public_bytes(pem))
    (folder / "signing.pem").write_bytes(certificate.public_bytes(pem) + private)
    return folder / "ca.pem"


def _listens(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=2):
        return True
