"""nginx with the very configuration that production uses, on ports of the test's own.

:func:`render` changes what the head of ``infra/nginx.conf`` says an installation changes (names,
paths, ports), and nothing else. Each such word must be found: a word that is no longer in the file
is an error, so that the file and this list stay one.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import pwd
import signal
import socket
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.services.base import Facts, Service, find_program, free_port

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
#: A name that is never looked up: clients connect to loopback and say it.
NAME = "skole.test"
#: What nginx answers on beside the school, for comparison: the bare Flask application.
HELLO = "hello.test"


@dataclass(frozen=True, slots=True)
class NginxServer:
    """A running nginx. ``ca_file`` signed its certificate."""

    pid: int
    host: str
    http: int
    https: int
    ca_file: str
    log: str

    @property
    def url(self) -> str:
        """Where a browser goes: the platform's DASK_PUBLIC_URL."""
        return f"https://{NAME}:{self.https}"


class Nginx(Service):
    """One nginx.

    Options: ``upstream`` (unix socket of the platform), ``files`` (root of a folder store), and
    perhaps ``s3`` (host:port, plain http), ``hello`` (unix socket of a second application), and
    ``unlimited`` (for benchmarks: one client makes the load of a school).
    """

    stop_signal = signal.SIGTERM  # the fast shutdown

    def start(self) -> Facts:
        nginx = find_program("nginx", "the Debian package nginx")
        http, https = free_port(), free_port()
        ca = make_certificates(self.folder, [NAME, HELLO])
        configuration = render(
            self.folder,
            http=http,
            https=https,
            upstream=self.options["upstream"],
            files=self.options["files"],
            s3=self.options.get("s3"),
        )
        if self.options.get("unlimited"):
            configuration = replace(configuration, "rate=100r/s", "rate=1000000r/s")
        if hello := self.options.get("hello"):
            configuration = with_hello(configuration, hello)
        path = self.folder / "nginx.conf"
        path.write_text(configuration)
        self.spawn(nginx, "-p", self.folder, "-e", "stderr", "-g", "daemon off;", "-c", path)
        self.wait_until(lambda: _listens(https))
        return {
            "pid": self.pid,
            "host": "127.0.0.1",
            "http": http,
            "https": https,
            "ca_file": str(ca),
            "log": str(self.folder / "dask.log"),
        }


def render(
    folder: Path, *, http: int, https: int, upstream: str, files: str, s3: str | None = None
) -> str:
    """``infra/nginx.conf`` for ports on loopback and for paths below ``folder``."""
    text = (INFRA / "nginx.conf").read_text(encoding="utf-8")
    user = pwd.getpwuid(os.geteuid()).pw_name
    text = replace(text, "https://skole.example.no$", f"https://{NAME}:{https}$")
    text = replace(text, "skole.example.no", NAME)
    text = replace(text, "/etc/dask/tls/fullchain.pem", str(folder / "chain.pem"))
    text = replace(text, "/etc/dask/tls/key.pem", str(folder / "key.pem"))
    text = replace(text, "/opt/dask/", f"{ROOT}/")
    text = replace(text, "/var/lib/dask/files/files/", f"{files}/files/")
    text = replace(text, "/run/dask-platform/web.sock", upstream)
    # Plain http: the test's S3 speaks no TLS. Without one, an address where nobody is.
    text = replace(text, "https://s3.example.no/", f"http://{s3 or '127.0.0.1:9'}/")
    text = replace(text, "s3.example.no", s3 or "127.0.0.1:9")
    text = replace(text, "/etc/dask/tls/s3-ca.pem", str(folder / "ca.pem"))
    # What a Debian machine gives and a test must bring itself.
    text = replace(text, "user www-data;", f"user {user};" if os.geteuid() == 0 else "")
    text = replace(text, "worker_processes auto;", "worker_processes 2;")
    text = replace(text, "/run/nginx.pid", str(folder / "nginx.pid"))
    text = replace(text, "/var/log/nginx/", f"{folder}/")
    text = replace(text, "listen 80", f"listen 127.0.0.1:{http}")
    text = replace(text, "listen 443", f"listen 127.0.0.1:{https}")
    temporary = "".join(
        f"    {kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return replace(text, "http {\n", f"http {{\n{temporary}")


def replace(text: str, old: str, new: str) -> str:
    """``old`` wherever it stands in ``text``; it must stand there."""
    if old not in text:
        raise ValueError(
            f"infra/nginx.conf no longer holds {old!r}: change tests/services/nginx.py"
        )
    return text.replace(old, new)


def with_hello(text: str, sock: str) -> str:
    """A second application on a name of its own, behind the same limits, TLS and proxy settings."""
    start = text.index("    server {\n        listen 127.0.0.1", text.index("return 301"))
    school = text[start : text.rindex("}")]
    hello = school.replace(f"server_name {NAME};", f"server_name {HELLO};")
    hello = hello.replace("proxy_pass http://dask;", "proxy_pass http://hello;")
    upstream = text[text.index("    upstream dask {") : text.index("    # Any other name")]
    hello_upstream = upstream.replace("upstream dask", "upstream hello")
    server = hello_upstream[hello_upstream.index("unix:") : hello_upstream.index(" fail_timeout")]
    hello_upstream = hello_upstream.replace(server, f"unix:{sock}")
    return text[: text.rindex("}")] + hello_upstream + hello + "}\n"


def make_certificates(folder: Path, names: list[str]) -> Path:
    """A CA of our own, ``ca.pem``, and ``chain.pem`` with ``key.pem`` for ``names``, for a day."""
    now = datetime.datetime.now(datetime.UTC)
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test CA")])

    def builder(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
        )

    ca = (
        builder(issuer, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
    alternatives.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    leaf = (
        builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])]), key.public_key())
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "ca.pem").write_bytes(ca.public_bytes(pem))
    (folder / "chain.pem").write_bytes(leaf.public_bytes(pem))
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(private)
    (folder / "key.pem").chmod(0o600)
    return folder / "ca.pem"


def _listens(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=2):
        return True
