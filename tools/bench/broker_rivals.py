"""What the broker is measured beside, each fetching from the same site over TLS.

mitmproxy and pywb come from environments of their own, made by ``make bench`` (their libraries do
not agree with ours, nor with each other's). What is not there is left out.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
from pathlib import Path
from typing import Final

from tests.services.base import Facts, MissingProgramError, Service, find_program, free_port
from tests.services.nginx import ROOT, _listens

VENVS: Final = ROOT / ".venv"

_NGINX = """\
daemon off;
{user}
worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/error.log crit;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/client_body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 1000000;
    upstream site {{ server 127.0.0.1:{upstream}; keepalive 32; keepalive_requests 1000000; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass https://site;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host {host};
            proxy_ssl_name {host};
            proxy_ssl_server_name on;
            proxy_ssl_verify on;
            proxy_ssl_trusted_certificate {ca};
            proxy_buffering off;
        }}
    }}
}}
"""

_SQUID = """\
http_port 127.0.0.1:{port}
acl sites dstdomain {host}
acl reads method GET HEAD
http_access allow sites reads
http_access deny all
cache_peer 127.0.0.1 parent {upstream} 0 no-query no-digest originserver tls \
tls-cafile={folder}/upstream-ca.pem ssldomain={host} name=upstream
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


class ProxyNginx(Service):
    """nginx as a reverse proxy. Options: ``upstream`` (port), ``host``, ``ca``."""

    stop_signal = signal.SIGTERM

    def start(self) -> Facts:
        nginx = find_program("nginx", "the Debian package nginx")
        port, path = free_port(), self.folder / "nginx.conf"
        user = "user root;" if os.geteuid() == 0 else ""
        path.write_text(_NGINX.format(folder=self.folder, port=port, user=user, **self.options))
        self.spawn(nginx, "-p", self.folder, "-e", "stderr", "-c", path)
        self.wait_until(lambda: _listens(port))
        return {"port": port, "pid": self.pid}


class PlainSquid(Service):
    """squid that lets one domain and two methods through. Options as of :class:`ProxyNginx`."""

    def start(self) -> Facts:
        squid = find_program("squid", "the Debian package squid-openssl")
        port, path = free_port(), self.folder / "squid.conf"
        shutil.copyfile(self.options["ca"], self.folder / "upstream-ca.pem")
        path.write_text(_SQUID.format(folder=self.folder, port=port, **self.options))
        user = "proxy" if os.geteuid() == 0 else None
        if user is not None:
            for one in (self.folder, *self.folder.iterdir()):
                shutil.chown(one, user)
        self._name = f"bench{secrets.token_hex(6)}"
        self.spawn(squid, "-n", self._name, "-N", "-f", path, user=user)
        self.wait_until(lambda: _listens(port))
        return {"port": port, "pid": self.pid}

    def stop(self) -> None:
        super().stop()
        for left in Path("/dev/shm").glob(  # noqa: S108 - squid's own place
            f"{getattr(self, '_name', 'none')}-*"
        ):
            left.unlink(missing_ok=True)


class Mitmdump(Service):
    """mitmdump as a reverse proxy. Options as of :class:`ProxyNginx`, and ``rewriting``."""

    def start(self) -> Facts:
        program = _venv_program("mitmproxy", "mitmdump")
        port = free_port()
        addon = ["-s", str(ROOT / "tools/bench/broker_addon.py")]
        self.spawn(
            program, "-q", *(addon if self.options["rewriting"] else []),
            "--mode", f"reverse:https://{self.options['host']}:{self.options['upstream']}",
            "--listen-host", "127.0.0.1", "--listen-port", str(port),
            "--set", f"ssl_verify_upstream_trusted_ca={self.options['ca']}",
            "--set", f"confdir={self.folder}", "--set", "http2=false",
            env={"PYTHONDONTWRITEBYTECODE": "1"},
        )  # fmt: skip
        self.wait_until(lambda: _listens(port))
        return {"port": port, "pid": self.pid}


class Pywb(Service):
    """pywb, live. Options as of :class:`ProxyNginx`."""

    def start(self) -> Facts:
        program = _venv_program("pywb", "wayback")
        port = free_port()
        (self.folder / "config.yaml").write_text("collections:\n  live: $live\n")
        self.spawn(
            program, "-d", self.folder, "-b", "127.0.0.1", "-p", str(port),
            env={"REQUESTS_CA_BUNDLE": self.options["ca"]},
        )  # fmt: skip
        self.wait_until(lambda: _listens(port))
        return {"port": port, "pid": self.pid}


def _venv_program(name: str, program: str) -> Path:
    found = VENVS / f"bench-{name}" / "bin" / program
    if not found.exists():
        raise MissingProgramError(f"{name} is not installed. «make bench» installs it, if it can.")
    return found
