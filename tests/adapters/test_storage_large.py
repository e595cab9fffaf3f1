"""A file of 200 MB goes in and out in constant memory, measured in a process of its own."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from dask_platform.adapters.storage import FilesystemStore, S3Store
from dask_platform.kernel.ports import FileStore
from tests.adapters.test_storage_s3 import address_of
from tests.services.seaweedfs import SeaweedServer

SIZE = 200 * 1000 * 1000
#: What the peak may grow by over the idle process, in bytes. The file is six times that.
ALLOWED = 32 * 1000 * 1000

MEASURE = """
import hashlib, io, json, resource, sys
from pathlib import Path
from dask_platform.adapters.storage import FilesystemStore, S3Store
from dask_platform.adapters.storage.s3 import S3Address

class Zeros(io.RawIOBase):
    def __init__(self, size):
        self.left = size
    def read(self, amount=-1):
        amount = min(amount, self.left)
        self.left -= amount
        return bytes(amount)

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

kind, options, size = json.loads(sys.argv[1])
if kind == "folder":
    store = FilesystemStore(Path(options["root"]))
else:
    store = S3Store(S3Address(**options))
digest = hashlib.sha256()
for _ in range(size // 1000000):
    digest.update(bytes(1000000))
# Once with a small file, so that everything is imported and every buffer is made.
small = bytes(2000000)
store.put("small", io.BytesIO(small), size=len(small), sha256=hashlib.sha256(small).hexdigest())
sum(map(len, store.open("small")))
before = peak()
store.put("large", Zeros(size), size=size, sha256=digest.hexdigest())
put = peak()
read = sum(map(len, store.open("large")))
print(json.dumps({"put": put - before, "open": peak() - before, "read": read}))
"""


def measure(kind: str, options: dict[str, object]) -> dict[str, int]:
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, json.dumps([kind, options, SIZE])],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figures: dict[str, int] = json.loads(done.stdout)
    return figures


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_200_mb_in_constant_memory(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if kind == "folder":
        options: dict[str, object] = {"root": str(tmp_path / "store")}
        folder = FilesystemStore(tmp_path / "store")
        folder.ensure_folder()
        store: FileStore = folder
    else:
        server: SeaweedServer = request.getfixturevalue("seaweed")
        address = address_of(server, f"large-{secrets.token_hex(6)}")
        bucket = S3Store(address)
        bucket.ensure_bucket()
        store = bucket
        options = {
            name: getattr(address, name)
            for name in ("endpoint", "bucket", "access_key", "secret_key", "secure")
        }
    figures = measure(kind, options)
    store.delete("large")
    assert figures["read"] == SIZE
    assert figures["put"] < ALLOWED, figures
    assert figures["open"] < ALLOWED, figures
