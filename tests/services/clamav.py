"""clamd with signatures of our own: none can be downloaded on a closed network.

It knows one thing, the EICAR test file, by hash and by pattern. Its limits are small so that tests
reach them: see :data:`STREAM_LIMIT` and the configuration below.
"""

from __future__ import annotations

import hashlib
import socket
from dataclasses import dataclass

from tests.services.base import Facts, Service, find_program, free_port

#: The harmless file every scanner must find. Put together here so that no scanner takes this
#: repository for infected.
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EI" + b"CAR-STAN" + b"DARD-ANTIVIRUS-TEST-FILE!$H+H*"
#: The most clamd takes in one stream, in bytes.
STREAM_LIMIT = 20 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ClamdServer:
    """A running scanner, reachable both ways."""

    pid: int
    host: str
    port: int
    socket: str


class Clamd(Service):
    """One clamd. Takes the option ``max_scan_seconds`` (default 30)."""

    def start(self) -> Facts:
        clamd = find_program("clamd", "the Debian package clamav-daemon")
        signatures = self.folder / "signatures"
        signatures.mkdir()
        digest = hashlib.md5(EICAR, usedforsecurity=False).hexdigest()
        (signatures / "test.hdb").write_text(f"{digest}:{len(EICAR)}:Eicar-Test-Signature\n")
        (signatures / "test.ndb").write_text(f"Eicar-Test-Pattern:0:*:{EICAR.hex()}\n")
        port = free_port()
        unix = self.folder / "clamd.sock"
        temporary = self.folder / "tmp"
        temporary.mkdir()
        config = self.folder / "clamd.conf"
        settings = {
            "DatabaseDirectory": signatures,
            "TemporaryDirectory": temporary,
            "Foreground": "yes",
            "TCPSocket": port,
            "TCPAddr": "127.0.0.1",
            "LocalSocket": unix,
            "LocalSocketMode": "600",
            "StreamMaxLength": STREAM_LIMIT,
            "MaxThreads": 4,
            "MaxScanSize": "60M",
            # Above MaxScanSize, or clamd cuts large members short and calls them clean.
            "MaxFileSize": "61M",
            "MaxRecursion": 6,
            "MaxFiles": 100,
            "MaxScanTime": 1000 * int(self.options.get("max_scan_seconds", 30)),
            "AlertExceedsMax": "yes",
            "AlertEncrypted": "yes",
            "SelfCheck": 86400,
            "ExitOnOOM": "yes",
        }
        config.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        self.spawn(clamd, f"--config-file={config}")
        self.wait_until(lambda: _ping(port))
        return {"pid": self.pid, "host": "127.0.0.1", "port": port, "socket": str(unix)}


def _ping(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
        connection.sendall(b"zPING\0")
        return connection.recv(16).startswith(b"PONG")
