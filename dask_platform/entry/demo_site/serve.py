"""The demo's website: ``python -m dask_platform.entry.demo_site.serve FOLDER PORT``.

``certify`` has made its certificate in FOLDER before.
"""

from __future__ import annotations

import datetime
import html
import re
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

import certifi
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dask_platform.entry.demo_site import quiz

HOST: Final = "fjordleksikon.example"
#: A site with script of its own, and the one that it fetches a module from.
TRAINER, MODULES = "brok.example", "moduler.example"
HOSTS: Final = (HOST, TRAINER, MODULES)
PAGES: Final = Path(__file__).parent / "pages"
FOLDERS: Final = {
    TRAINER: PAGES.with_name("pages_brok"),
    MODULES: PAGES.with_name("pages_moduler"),
}
TYPES: Final = {
    ".css": "text/css",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".webm": "video/webm",
}
ARTICLES: Final = {"fjord": "Fjord", "bre": "Isbre", "foss": "Foss"}
CA, CERTIFICATE, KEY = "site-ca.pem", "site-cert.pem", "site-key.pem"
LARGEST_FORM: Final = 64 * 1024
_RANGE: Final = re.compile(r"bytes=([0-9]+)-([0-9]*)")


def certify(folder: Path) -> None:
    """A new authority and a certificate for the site, good for a year, in ``folder``. The file of
    trusted authorities holds this one beside the world's; its key is never written down."""
    folder.mkdir(exist_ok=True)
    now = datetime.datetime.now(datetime.UTC)
    authority, key = (
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP256R1()),
    )
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "The demo's authority")])

    def builder(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=366))
        )

    ca = (
        builder(issuer, authority.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(authority, hashes.SHA256())
    )
    certificate = (
        builder(x509.Name([]), key.public_key())
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(one) for one in HOSTS]), critical=True
        )
        .sign(authority, hashes.SHA256())
    )
    trusted = Path(certifi.where()).read_bytes() + ca.public_bytes(serialization.Encoding.PEM)
    (folder / CA).write_bytes(trusted)
    (folder / CERTIFICATE).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / KEY).touch(0o600)
    (folder / KEY).write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


class Handler(BaseHTTPRequestHandler):
    """The pages, a search in their titles, and a film with ranges."""

    protocol_version = "HTTP/1.1"
    server_version = "demo"
    sys_version = ""

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if self.path != quiz.PATH or not length.isdecimal() or int(length) > LARGEST_FORM:
            self.close_connection = True
            self._send(404, "text/plain", b"Finnes ikke.", True)
            return
        fields = parse_qs(self.rfile.read(int(length)).decode("utf-8", "replace"))
        self._send(200, "text/html; charset=utf-8", quiz.answered(fields).encode(), True)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing: the platform's own log is the one to read."""

    def _answer(self, *, body: bool) -> None:
        parts = urlsplit(self.path)
        folder = FOLDERS.get(self.headers.get("Host", ""), PAGES)
        if folder is PAGES and parts.path == "/sok":
            words = parse_qs(parts.query).get("q", [""])[0]
            self._send(200, "text/html; charset=utf-8", _found(words).encode(), body)
            return
        file = _file(parts.path, folder)
        if file is None:
            page = b"<!doctype html><title>Ikke her</title><h1>Siden finnes ikke</h1>"
            self._send(404, "text/html; charset=utf-8", page, body)
            return
        kind = TYPES.get(file.suffix, "text/html; charset=utf-8")
        self._send(200, kind, file.read_bytes(), body)

    def _send(self, status: int, kind: str, data: bytes, body: bool) -> None:
        found = _RANGE.fullmatch(self.headers.get("Range", ""))
        whole = len(data)
        if found and status == 200 and int(found[1]) < whole:
            first = int(found[1])
            last = min(int(found[2] or whole - 1), whole - 1)
            data, status = data[first : last + 1], 206
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Accept-Ranges", "bytes")
        if status == 206:
            self.send_header("Content-Range", f"bytes {first}-{last}/{whole}")
        self.end_headers()
        if body:
            self.wfile.write(data)


def _file(path: str, folder: Path) -> Path | None:
    """The file behind an address; None where there is none."""
    if path == "/":
        path = "/index"
    name = path.strip("/").replace("artikkel/", "artikkel-")
    for file in (folder / name, folder / f"{name}.html"):
        if file.is_file() and file.resolve().is_relative_to(folder.resolve()):
            return file
    return None


def _found(words: str) -> str:
    hits = [
        f'<li><a href="/artikkel/{slug}">{title}</a></li>'
        for slug, title in ARTICLES.items()
        if words and words.lower() in (PAGES / f"artikkel-{slug}.html").read_text("utf-8").lower()
    ]
    said = f"<ul>{''.join(hits)}</ul>" if hits else "<p>Ingen artikler passer.</p>"
    return (
        '<!doctype html><html lang="nb"><head><meta charset="utf-8">'
        "<title>Søk – Fjordleksikon</title>"
        f'<link rel="stylesheet" href="/stil.css"></head><body><h1>Søk: {html.escape(words)}</h1>'
        f'{said}<p><a href="/">Til forsiden</a></p></body></html>'
    )


def main(folder: Path, port: int) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / CERTIFICATE, folder / KEY)
    # The handshake in the thread of the request: one slow client must not keep the others out.
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    server.serve_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
