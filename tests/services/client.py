"""What a test process says to the host."""

from __future__ import annotations

import json
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.services.base import Facts, Service, ServiceError

#: Longest wait for a server's start, in seconds.
PATIENCE = 180.0


class Services:
    """The servers of this test run. ``address`` is the host's unix socket."""

    def __init__(self, address: str) -> None:
        self._address = address

    def shared(self, service: type[Service], **options: Any) -> Facts:
        """The run's one server of this class and these options, started if it is not yet.

        Tests must leave it as they found it: other tests use it at the same moment. A start that
        failed is not tried again; every caller gets the same :class:`ServiceError`.
        """
        return self._start(service, options, None)

    @contextmanager
    def private(self, service: type[Service], **options: Any) -> Iterator[Facts]:
        """A server of the caller's own, stopped at the end of the block. It may be killed."""
        name = f"private-{secrets.token_hex(8)}"
        try:
            yield self._start(service, options, name)
        finally:
            self._ask({"stop": name})

    def _start(self, service: type[Service], options: dict[str, Any], private: str | None) -> Facts:
        name = f"{service.__module__}:{service.__qualname__}"
        answer = self._ask({"start": name, "options": options, "private": private})
        facts: Facts = answer["facts"]
        return facts

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE)
            connection.connect(self._address)
            with connection.makefile("rwb") as lines:
                lines.write(json.dumps(request).encode() + b"\n")
                lines.flush()
                line = lines.readline()
        if not line:
            raise ServiceError("The process that owns the test servers has ended.")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ServiceError(answer["error"])
        return answer
