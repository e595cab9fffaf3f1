"""Lines of the log of visits that still wait when the server is told to stop."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from tests.databases import Template
from tests.infra.doors import open_doors
from tests.services.client import Services


def test_what_waits_is_written_before_the_server_ends(
    services: Services, template: Template, tmp_path: Path
) -> None:
    with open_doors(services, template, tmp_path) as doors:
        door = doors["gunicorn"]
        cookie = door.enter("anna")
        assert door.ask(door.site, "/norge", cookie)[0] == 200
        # A line waits for a tenth of a second; the signal comes at once.
        os.kill(door.pid, signal.SIGTERM)
        until = time.monotonic() + 30
        while not (found := [v for v in door.visits_now() if v["url"].endswith("/norge")]):
            assert time.monotonic() < until, "the line went with the server"
            time.sleep(0.1)
        assert [one["username"] for one in found] == ["anna"]
