"""The second name of an installation, by the very file that an operator includes."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.services.base import find_program, free_port
from tests.services.nginx import INFRA, make_certificates, render, replace


def test_nginx_takes_both_files(tmp_path: Path) -> None:
    make_certificates(tmp_path, ["skole.test"])
    https, http = free_port(), free_port()
    text = render(
        tmp_path, http=http, https=https, upstream=str(tmp_path / "w.sock"), files=str(tmp_path)
    )
    second = (INFRA / "nginx-resources.conf").read_text("utf-8")
    for old, new in (
        ("/etc/dask/tls/ressurs-fullchain.pem", str(tmp_path / "chain.pem")),
        ("/etc/dask/tls/ressurs-key.pem", str(tmp_path / "key.pem")),
        ("listen 80", f"listen 127.0.0.1:{http}"),
        ("listen 443", f"listen 127.0.0.1:{https}"),
    ):
        second = replace(second, old, new)
    (tmp_path / "resources.conf").write_text(second)
    whole = text[: text.rindex("}")] + f"include {tmp_path}/resources.conf;\n}}\n"
    (tmp_path / "nginx.conf").write_text(whole)
    nginx = find_program("nginx", "the Debian package nginx")
    done = subprocess.run(
        [nginx, "-t", "-p", tmp_path, "-e", "stderr", "-c", tmp_path / "nginx.conf"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
