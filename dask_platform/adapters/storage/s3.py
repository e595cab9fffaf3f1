"""Files in an S3 bucket, through the ``minio`` SDK.

A file is one object, ``<key>.bin``, written by one streamed PUT with ``If-None-Match: *``: the
server stores it whole or not at all, and refuses it when the key exists. (The suffix lets ``a/b``
and ``a/b/c`` both be stored; some servers keep keys as folders.)

Why not a multipart upload, which the SDK would choose for a large stream: its last step, too, can
be made conditional, but servers differ in how well they do it. Of eight clients that completed the
same key at once on SeaweedFS 4.48, up to six were told they had won. The single PUT lets exactly
one win. It is streamed here, with the SDK's own signature, so memory stays constant; S3 takes up to
5 GiB that way, far over any hand-in. A PUT that is cut off leaves nothing behind, while parts of a
broken multipart upload would need a sweep.

The hash is known before the upload. It is signed as ``x-amz-content-sha256``, so the server can
check it on arrival, and kept as metadata ``sha256``.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import BinaryIO
from urllib.parse import urlsplit

import certifi
import urllib3
from minio import Minio
from minio.commonconfig import ENABLED, Filter
from minio.credentials.credentials import Credentials
from minio.datatypes import Object
from minio.error import InvalidResponseError, MinioException, S3Error
from minio.lifecycleconfig import LifecycleConfig, NoncurrentVersionExpiration, Rule
from minio.signer import sign_v4_s3
from minio.time import to_amz_date
from minio.versioningconfig import VersioningConfig

from dask_platform.adapters.storage.common import (
    CHUNK,
    CheckedStream,
    check_key,
    check_prefix,
    check_range,
    checked_chunks,
    clamp,
    corrupt,
    missing,
    taken,
    unavailable,
)
from dask_platform.kernel.ports import StoredFile

#: The most one PUT may carry, in bytes.
LARGEST = 5 * 1024**3
_SUFFIX = ".bin"
_NOTHING_THERE = frozenset({"NoSuchKey", "NoSuchObject", "ResourceNotFound"})


@dataclass(frozen=True, slots=True)
class S3Address:
    """Where the bucket is. ``endpoint`` is ``host:port`` without a scheme."""

    endpoint: str
    bucket: str
    access_key: str
    secret_key: str
    secure: bool = True
    region: str = "us-east-1"
    ca_file: str | None = None


class S3Store:
    """See :class:`dask_platform.kernel.ports.FileStore`. Creates nothing by itself.

    ``connect_timeout`` and ``read_timeout`` are seconds without progress, not for a whole file.
    Reads are tried three times; a write is sent once, for its stream can be read only once.

    ``accel_prefix`` (such as ``/_s3/``) is where nginx proxies internally to the endpoint; see
    :meth:`internal_path`.
    """

    def __init__(
        self,
        address: S3Address,
        *,
        accel_prefix: str | None = None,
        connect_timeout: float = 5.0,
        read_timeout: float = 30.0,
    ) -> None:
        self._address = address
        self._accel_prefix = accel_prefix
        self._http = urllib3.PoolManager(
            maxsize=16,
            timeout=urllib3.Timeout(connect=connect_timeout, read=read_timeout),
            retries=urllib3.Retry(total=2, backoff_factor=0.2),
            ca_certs=address.ca_file or certifi.where(),
        )
        self._client = Minio(
            endpoint=address.endpoint,
            access_key=address.access_key,
            secret_key=address.secret_key,
            secure=address.secure,
            region=address.region,
            http_client=self._http,
        )

    def ensure_bucket(self, *, keep_deleted_days: int = 30) -> None:
        """Make the bucket with versioning on, for set-up. Harmless when it is there.

        With versioning a deleted file can still be brought back by the operator. It is gone for
        good after ``keep_deleted_days``, by a lifecycle rule: what a person had erased must end.
        """
        bucket = self._address.bucket
        rule = Rule(
            ENABLED,
            rule_filter=Filter(prefix=""),
            rule_id="deleted-files-end",
            noncurrent_version_expiration=NoncurrentVersionExpiration(
                noncurrent_days=keep_deleted_days
            ),
        )
        with _answers():
            if not self._client.bucket_exists(bucket_name=bucket):
                self._client.make_bucket(bucket_name=bucket)
            self._client.set_bucket_versioning(bucket, VersioningConfig(ENABLED))
            self._client.set_bucket_lifecycle(bucket, LifecycleConfig([rule]))

    # --- the port ---------------------------------------------------------------------------

    def put(self, key: str, stream: BinaryIO, *, size: int, sha256: str) -> StoredFile:
        name = _name(key)
        if size > LARGEST:
            raise ValueError("S3 takes at most 5 GiB in one piece")
        checked = CheckedStream(stream, size=size, sha256=sha256)
        if self._found(key) is not None:
            raise taken()
        # Tells our own object from another's when the answer to the PUT is lost on its way.
        ticket = secrets.token_hex(16)
        # A small file is checked before a byte is sent; a large one as it is sent.
        body = checked.read_all() if size <= CHUNK else iter(checked.read, b"")
        try:
            status = self._send(name, body, size=size, sha256=sha256, ticket=ticket)
        except Exception as problem:
            if checked.failure is not None:
                raise checked.failure from None
            if not isinstance(problem, (urllib3.exceptions.HTTPError, OSError)):
                raise
            status = 0
        if status in (200, 201, 204):
            return StoredFile(key, size, sha256)
        if status not in (0, 409, 412):
            raise unavailable()
        # Refused because the key exists, or no answer: look at what is there.
        there = self._found(key)
        if there is None:
            raise unavailable()
        if _metadata(there, "ticket") != ticket:
            raise taken()
        return StoredFile(key, size, sha256)

    def open(self, key: str, *, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """A whole file is checked against its hash as it is read; a part only for its length."""
        check_range(offset, length)
        file = self.stat(key)
        start, count = clamp(file, offset, length)
        chunks = self._read(key, start, count)
        return checked_chunks(chunks, file) if count == file.size else chunks

    def stat(self, key: str) -> StoredFile:
        """Raises ``FileCorrupt`` for an object that this store did not write (it has no hash)."""
        found = self._found(key)
        if found is None:
            raise missing()
        sha256 = _metadata(found, "sha256")
        if sha256 is None or found.size is None:
            raise corrupt()
        return StoredFile(key, found.size, sha256)

    def delete(self, key: str) -> None:
        name = _name(key)
        with _answers():
            self._client.remove_object(bucket_name=self._address.bucket, object_name=name)

    def keys(self, prefix: str = "") -> Iterator[tuple[str, datetime]]:
        """All listed, then sorted here (some servers list folder by folder): ~200 bytes a key."""
        check_prefix(prefix)
        found: list[tuple[str, datetime]] = []
        with _answers():
            for item in self._client.list_objects(
                bucket_name=self._address.bucket, prefix=prefix, recursive=True
            ):
                name = item.object_name or ""
                key = name.removesuffix(_SUFFIX)
                if key != name and "." not in key and key.startswith(prefix):
                    found.append((key, item.last_modified or datetime.now(UTC)))
        return iter(sorted(found))

    def sweep(self, older_than: timedelta = timedelta(hours=24)) -> int:
        """A write that broke off left nothing here."""
        return 0

    def internal_path(self, key: str) -> str | None:
        """``accel_prefix`` + a path signed for one minute, or None without ``accel_prefix``.

        For an internal nginx location that passes on to the endpoint (``proxy_pass`` with a
        trailing slash) and sends the endpoint as ``Host``, which the signature covers. nginx then
        carries the bytes, and the link never leaves the house.
        """
        name = _name(key)
        if self._accel_prefix is None:
            return None
        url = urlsplit(
            self._client.get_presigned_url(
                "GET", self._address.bucket, name, expires=timedelta(minutes=1)
            )
        )
        return f"{self._accel_prefix.rstrip('/')}{url.path}?{url.query}"

    def check(self) -> None:
        """Write, read and remove a small object, with all its versions."""
        bucket, probe = self._address.bucket, secrets.token_bytes(16)
        # The dot keeps it out of ``keys``.
        name = f".check/{secrets.token_hex(8)}"
        with _answers():
            # Asked first, because some servers make a missing bucket on the first write.
            if not self._client.bucket_exists(bucket_name=bucket):
                raise unavailable()
            made = self._client.put_object(
                bucket_name=bucket, object_name=name, data=BytesIO(probe), length=len(probe)
            )
            answer = self._client.get_object(bucket_name=bucket, object_name=name)
            with contextlib.closing(answer):
                back = answer.read()
            self._client.remove_object(
                bucket_name=bucket, object_name=name, version_id=made.version_id
            )
        if back != probe:
            raise unavailable()

    # --- the wire ---------------------------------------------------------------------------

    def _send(
        self, name: str, body: bytes | Iterable[bytes], *, size: int, sha256: str, ticket: str
    ) -> int:
        """One conditional PUT; the status of the answer."""
        address = self._address
        scheme = "https" if address.secure else "http"
        url = urlsplit(f"{scheme}://{address.endpoint}/{address.bucket}/{name}")
        now = datetime.now(UTC)
        headers = sign_v4_s3(
            method="PUT",
            url=url,
            region=address.region,
            headers={
                "Host": url.netloc,
                "Content-Length": str(size),
                "Content-Type": "application/octet-stream",
                "If-None-Match": "*",
                "x-amz-content-sha256": sha256,
                "x-amz-date": to_amz_date(now),
                "x-amz-meta-sha256": sha256,
                "x-amz-meta-ticket": ticket,
            },
            credentials=Credentials(address.access_key, address.secret_key),
            content_sha256=sha256,
            date=now,
        )
        answer = self._http.request(
            "PUT",
            url.geturl(),
            body=body,
            headers={header: str(value) for header, value in headers.items()},
            retries=False,
            redirect=False,
        )
        return answer.status

    def _found(self, key: str) -> Object | None:
        """What the server says of a key; None when nothing is there."""
        with _answers():
            try:
                return self._client.stat_object(
                    bucket_name=self._address.bucket, object_name=_name(key)
                )
            except S3Error as error:
                if error.code in _NOTHING_THERE:
                    return None
                raise

    def _read(self, key: str, start: int, count: int) -> Iterator[bytes]:
        if count == 0:
            return
        with _answers():
            try:
                answer = self._client.get_object(
                    bucket_name=self._address.bucket,
                    object_name=_name(key),
                    offset=start,
                    length=count,
                )
            except S3Error as error:
                if error.code in _NOTHING_THERE:
                    raise missing() from None
                raise
        try:
            while True:
                with _answers():
                    chunk = answer.read(CHUNK)
                if not chunk:
                    break
                count -= len(chunk)
                yield chunk
            if count != 0:
                raise corrupt()
        finally:
            # Closed, not returned to the pool: a reader may stop in the middle.
            answer.close()


def _name(key: str) -> str:
    return check_key(key) + _SUFFIX


def _metadata(found: Object, name: str) -> str | None:
    value = (found.metadata or {}).get(f"x-amz-meta-{name}")
    return value if isinstance(value, str) else None


@contextmanager
def _answers() -> Iterator[None]:
    """Whatever goes wrong between here and the server is ``StorageUnavailable``."""
    try:
        yield
    except (MinioException, InvalidResponseError, urllib3.exceptions.HTTPError, OSError) as problem:
        raise unavailable() from problem
