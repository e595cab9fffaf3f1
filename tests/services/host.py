"""The process that owns the servers of one pytest run.

``python -m tests.services.host SOCKET_FD FOLDER``: answers requests on the listening socket until
standard input closes, which happens when the pytest process that started it ends in any way. Then
it stops what it started, by process id, and removes FOLDER. If the host itself is killed, the
kernel ends its servers (see ``launch``).

A request is one JSON line, the answer one JSON line, then the connection closes:

- ``{"start": "module:Class", "options": {…}, "private": null | name}`` →
  ``{"facts": {…}}`` or ``{"error": "…"}``. Without ``private`` the same class and options give
  the same server to everyone.
- ``{"stop": name}`` → ``{}``, for a private one.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import socket
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

from tests.services.base import Facts, Service, ServiceError


class Keeper(threading.Thread):
    """Starts one service, waits until it is to stop, stops it.

    A thread of its own for as long as the service runs: the kernel ties a child's life to the
    thread that started it.
    """

    def __init__(self, name: str, options: dict[str, Any], folder: Path) -> None:
        super().__init__(daemon=True)
        self._class_name = name
        self._options = options
        self._folder = folder
        self._ready = threading.Event()
        self._ending = threading.Event()
        self._facts: Facts = {}
        self._error: str | None = None

    def facts(self) -> Facts:
        """Wait for the start; raise :class:`ServiceError` if it failed."""
        self._ready.wait()
        if self._error is not None:
            raise ServiceError(self._error)
        return self._facts

    def ask_to_stop(self) -> None:
        self._ending.set()

    def run(self) -> None:
        service: Service | None = None
        try:
            service = self._start()
        except ServiceError as failure:
            self._error = str(failure)
        except Exception:
            self._error = traceback.format_exc()
        self._ready.set()
        if service is not None:
            self._ending.wait()
            self._end(service)

    def _start(self) -> Service:
        module, _, name = self._class_name.partition(":")
        service_class: type[Service] = getattr(importlib.import_module(module), name)
        for attempt in range(1, service_class.attempts + 1):
            self._folder.mkdir(parents=True)
            service = service_class(self._folder, **self._options)
            try:
                self._facts = service.start()
                return service
            except BaseException:
                self._end(service)
                if attempt == service_class.attempts or service.process is None:
                    raise
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _end(self, service: Service) -> None:
        try:
            service.stop()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)


class Host:
    """Keeps the keepers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._keepers: dict[str, Keeper] = {}
        self._number = 0
        self._closing = False

    def start(self, name: str, options: dict[str, Any], private: str | None) -> Facts:
        key = private or f"{name} {json.dumps(options, sort_keys=True)}"
        with self._lock:
            if self._closing:
                raise ServiceError("the test run is ending")
            keeper = self._keepers.get(key)
            if keeper is None:
                self._number += 1
                folder = self._folder / f"{self._number}-{name.rpartition(':')[2].lower()}"
                keeper = self._keepers[key] = Keeper(name, options, folder)
                keeper.start()
        return keeper.facts()

    def stop(self, key: str) -> None:
        with self._lock:
            keeper = self._keepers.pop(key, None)
        if keeper is not None:
            keeper.ask_to_stop()
            keeper.join()

    def stop_all(self) -> None:
        with self._lock:
            self._closing = True
            keepers = list(self._keepers.values())
        for keeper in keepers:
            keeper.ask_to_stop()
        for keeper in keepers:
            keeper.join(timeout=20)

    def answer(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rwb") as lines:
            try:
                request = json.loads(lines.readline() or b"{}")
                if "start" in request:
                    facts = self.start(request["start"], request["options"], request["private"])
                    reply: dict[str, Any] = {"facts": facts}
                elif "stop" in request:
                    self.stop(request["stop"])
                    reply = {}
                else:
                    reply = {"error": "not a request"}
            except ServiceError as failure:
                reply = {"error": str(failure)}
            lines.write(json.dumps(reply).encode() + b"\n")


def _accept(host: Host, listener: socket.socket) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=host.answer, args=(connection,), daemon=True).start()


def main() -> None:
    listener = socket.socket(fileno=int(sys.argv[1]))
    folder = Path(sys.argv[2])
    # The end of the pytest run is told by standard input alone: a Ctrl-C in the terminal or a
    # `kill` of the group must not take the host down before its servers.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    host = Host(folder)
    threading.Thread(target=_accept, args=(host, listener), daemon=True).start()
    while os.read(0, 4096):
        pass
    host.stop_all()
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
