"""A browser without a screen: keeps the connection and the cookies, fills in forms.

The standard library's ``http.client`` underneath, so that a test can also send what no browser
would, and so that a benchmark measures the server and not its client.
"""

from __future__ import annotations

import http.client
import secrets
import socket
import ssl
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlencode

#: A file of a form: its name and its bytes.
File = tuple[str, bytes]


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def location(self) -> str:
        return self.headers["Location"] or ""


@dataclass
class Form:
    action: str
    fields: dict[str, str] = field(default_factory=dict)


class Browser:
    """One person at one PC.

    Connects to ``address`` and calls the host there ``name``. With ``ca_file`` over TLS, and the
    certificate must be for ``name``. ``source`` is the local address to connect from.
    """

    def __init__(
        self,
        address: tuple[str, int],
        name: str,
        *,
        ca_file: str | None = None,
        source: str | None = None,
        timeout: float = 30.0,
    ) -> None:
        self.cookies: dict[str, str] = {}
        self.headers: dict[str, str] = {}
        self.page: Answer | None = None
        self._name = name
        self._address = address
        self._source = (source, 0) if source else None
        self._timeout = timeout
        self._tls = ssl.create_default_context(cafile=ca_file) if ca_file else None
        self._connection: http.client.HTTPConnection | None = None
        scheme = "https" if self._tls else "http"
        self.origin = f"{scheme}://{name}:{address[1]}"

    def get(self, path: str, headers: dict[str, str] | None = None) -> Answer:
        return self.request("GET", path, headers=headers)

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Send one request; what comes back is the page from here on."""
        sent = {"Host": f"{self._name}:{self._address[1]}", "Referer": f"{self.origin}/"}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        connection = self._connection or self._connect()
        connection.request(method, path, body, sent | self.headers | (headers or {}))
        response = connection.getresponse()
        answer = Answer(response.status, response.headers, response.read())
        if response.will_close:
            self.close()
        for cookie in response.headers.get_all("Set-Cookie") or []:
            name, _, value = cookie.split(";", 1)[0].partition("=")
            if value:
                self.cookies[name] = value
            else:
                self.cookies.pop(name, None)
        self.page = answer
        return answer

    def form(self, action: str) -> Form:
        """The form of this page whose address ends so."""
        assert self.page is not None
        for found in forms(self.page.text):
            if found.action.endswith(action):
                return found
        raise LookupError(f"no form for {action} on this page: {self.page.text[:2000]}")

    def submit(
        self,
        form: Form,
        fields: dict[str, str] | None = None,
        files: dict[str, File] | None = None,
        action: str | None = None,
    ) -> Answer:
        """Send a form with its hidden fields and those given."""
        values = form.fields | (fields or {})
        if files:
            kind, body = multipart(values, files)
        else:
            kind, body = "application/x-www-form-urlencoded", urlencode(values).encode()
        return self.request("POST", action or form.action, body, {"Content-Type": kind})

    def log_in(self, username: str, password: str) -> Answer:
        self.get("/login")
        return self.submit(self.form("/login"), {"username": username, "password": password})

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _connect(self) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(*self._address, timeout=self._timeout)
        raw = socket.create_connection(self._address, self._timeout, self._source)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Connected here and not by the connection itself: the name is not the one to look up.
        connection.sock = (
            self._tls.wrap_socket(raw, server_hostname=self._name) if self._tls else raw
        )
        self._connection = connection
        return connection


def multipart(fields: dict[str, str], files: dict[str, File]) -> tuple[str, bytes]:
    """A form with files: its content type and its body."""
    boundary = f"----{secrets.token_hex(16)}"
    parts: list[bytes] = []
    for name, value in fields.items():
        parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'.encode())
        parts.append(b"\r\n\r\n" + value.encode() + b"\r\n")
    for name, (filename, data) in files.items():
        parts.append(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; '
            f'filename="{filename}"\r\nContent-Type: application/octet-stream\r\n\r\n'.encode()
        )
        parts += [data, b"\r\n"]
    parts.append(f"--{boundary}--\r\n".encode())
    return f"multipart/form-data; boundary={boundary}", b"".join(parts)


def forms(page: str) -> list[Form]:
    """Every form of a page with what it would send if nobody filled it in."""
    reader = _Forms()
    reader.feed(page)
    return reader.found


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[Form] = []
        self._inside = False
        self._area: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append(Form(given.get("action", "")))
            self._inside = True
        elif self._inside and tag == "input" and given.get("type") != "file":
            if given.get("type") not in ("radio", "checkbox", "submit") or "checked" in given:
                self.found[-1].fields[given.get("name", "")] = given.get("value", "")
        elif self._inside and tag == "textarea":
            self._area = given.get("name", "")
            self.found[-1].fields[self._area] = ""

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            self.found[-1].fields[self._area] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False
        elif tag == "textarea":
            self._area = None
