"""Sites on loopback for the broker to fetch from, and the way in to the broker itself.

- :class:`Website`: nginx with TLS, serving files as any number of sites, and a line a request.
- :class:`ResourcesNginx`: nginx with ``infra/nginx-resources.conf`` beside the school's.
- :class:`Direct`: gunicorn on a port, with nothing in front, as the demo has it.
"""

from __future__ import annotations

import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.services.base import Facts, Service, find_program, free_port
from tests.services.nginx import INFRA, NAME, ROOT, _listens, make_certificates, render, replace

#: The broker's domain behind nginx: without a port, as in production.
DOMAIN = "ressurs.test"

_WEBSITE = """\
daemon off;
{user}
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log crit;
events {{ worker_connections 1024; }}
http {{
    include /etc/nginx/mime.types;
    default_type text/html;
    charset utf-8;
    client_body_temp_path {folder}/client_body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    log_format line '$host $request';
    access_log {log};
    sendfile on;
    tcp_nopush on;
    tcp_nodelay on;
    keepalive_timeout 60s;
    keepalive_requests 1000000;
    server {{
        listen 127.0.0.1:{port} ssl;
        server_name _;
        ssl_certificate {folder}/chain.pem;
        ssl_certificate_key {folder}/key.pem;
        root {files};
        index index.html;
        location / {{ {cached} }}
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class WebsiteServer:
    """A running website. ``log`` has ``host method target protocol`` for each request."""

    pid: int
    port: int
    ca_file: str
    log: str


class Website(Service):
    """Options: ``files``, the folder to serve; ``names``, the hosts that its certificate is for;
    and perhaps ``max_age``, in seconds, for which answers may be kept, and ``silent``."""

    stop_signal = signal.SIGTERM

    def start(self) -> Facts:
        nginx = find_program("nginx", "the Debian package nginx")
        port = free_port()
        ca = make_certificates(self.folder, list(self.options["names"]))
        log = self.folder / "requests"
        age = self.options.get("max_age")
        path = self.folder / "nginx.conf"
        path.write_text(
            _WEBSITE.format(
                folder=self.folder,
                files=self.options["files"],
                port=port,
                user="user root;" if _is_root() else "",
                log="off" if self.options.get("silent") else f"{log} line",
                cached=f'add_header Cache-Control "max-age={age}";' if age else "",
            )
        )
        self.spawn(nginx, "-p", self.folder, "-e", "stderr", "-c", path)
        self.wait_until(lambda: _listens(port))
        return {"pid": self.pid, "port": port, "ca_file": str(ca), "log": str(log)}


@dataclass(frozen=True, slots=True)
class ResourcesServer:
    """nginx before school and broker: one port, two certificates by one authority."""

    pid: int
    port: int
    ca_file: str


class ResourcesNginx(Service):
    """``infra/nginx.conf`` with ``infra/nginx-resources.conf`` included, as an operator has it.

    Options: ``school`` and ``resources``, the unix sockets of the two services, ``files``, and
    perhaps ``unlimited``, for a benchmark whose one client makes the load of a school.
    """

    stop_signal = signal.SIGTERM

    def start(self) -> Facts:
        nginx = find_program("nginx", "the Debian package nginx")
        http, https = free_port(), free_port()
        ca = make_certificates(self.folder, [NAME, f"*.{DOMAIN}"])
        text = render(
            self.folder, http=http, https=https, upstream=self.options["school"],
            files=self.options["files"],
        )  # fmt: skip
        second = render_resources(
            self.folder, http=http, https=https, upstream=self.options["resources"]
        )
        if self.options.get("unlimited"):
            text = replace(text, "rate=100r/s", "rate=1000000r/s")
            second = replace(second, "limit_conn connections 200;", "")
        (self.folder / "resources.conf").write_text(second)
        path = self.folder / "nginx.conf"
        path.write_text(text[: text.rindex("}")] + f"include {self.folder}/resources.conf;\n}}\n")
        self.spawn(nginx, "-p", self.folder, "-e", "stderr", "-g", "daemon off;", "-c", path)
        self.wait_until(lambda: _listens(https))
        return {"pid": self.pid, "port": https, "ca_file": str(ca)}


def render_resources(folder: Path, *, http: int, https: int, upstream: str) -> str:
    """``infra/nginx-resources.conf`` for ports on loopback, with what its head says is changed."""
    text = (INFRA / "nginx-resources.conf").read_text(encoding="utf-8")
    for old, new in (
        ("/etc/dask/tls/ressurs-fullchain.pem", str(folder / "chain.pem")),
        ("/etc/dask/tls/ressurs-key.pem", str(folder / "key.pem")),
        ("/run/dask-resources/web.sock", upstream),
        ("ressurs\\.example\\.no", DOMAIN.replace(".", "\\.")),
        ("ressurs.example.no", DOMAIN),
        ("listen 80", f"listen 127.0.0.1:{http}"),
        ("listen 443", f"listen 127.0.0.1:{https}"),
    ):
        text = replace(text, old, new)
    return text


@dataclass(frozen=True, slots=True)
class DirectServer:
    pid: int
    port: int
    log: str


class Direct(Service):
    """gunicorn with ``infra/gunicorn.conf.py`` on a port of loopback, school and broker at once.

    Options: ``env``, the ``DASK_*`` settings; ``@PORT@`` in them stands for the port.
    """

    stop_signal = signal.SIGQUIT
    stop_patience = 30.0

    def start(self) -> Facts:
        port = free_port()
        given = {
            name: value.replace("@PORT@", str(port)) for name, value in self.options["env"].items()
        }
        metrics = self.folder / "metrics"
        metrics.mkdir(exist_ok=True)
        self.spawn(
            Path(sys.executable), "-m", "dask_platform.entry.cli", "serve",
            env={
                **given,
                "PYTHONPATH": str(ROOT),
                "DASK_BIND": f"127.0.0.1:{port}",
                "DASK_HEALTH_BIND": f"127.0.0.1:{free_port()}",
            },
        )  # fmt: skip
        self.wait_until(lambda: _listens(port))
        return {"pid": self.pid, "port": port, "log": str(self.folder / "log")}


def _is_root() -> bool:
    import os

    return os.geteuid() == 0
