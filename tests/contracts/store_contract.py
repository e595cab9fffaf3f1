"""The contract of ``FileStore``. Subclass it, give the fixture ``store``, and every test runs."""

from __future__ import annotations

import contextlib
import hashlib
import io
import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dask_platform.kernel.errors import Conflict, FileCorrupt, FileMissing
from dask_platform.kernel.ports import FileStore, StoredFile

MIB = 1024 * 1024
GOOD_KEY = r"[a-z0-9_-]{1,12}(/[a-z0-9_-]{1,12}){0,3}"
BAD_KEYS = [
    "",
    "/",
    "/a",
    "a/",
    "a//b",
    ".",
    "..",
    "../a",
    "a/../b",
    "a/./b",
    "a.b",
    "A",
    "å",
    "a b",
    "a\n",
    "a\0",
    "a\\b",
    "a%2fb",
    "a" * 201,
]

store_settings = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def put(store: FileStore, key: str, data: bytes) -> StoredFile:
    return store.put(key, io.BytesIO(data), size=len(data), sha256=sha256(data))


def read(store: FileStore, key: str, offset: int = 0, length: int | None = None) -> bytes:
    return b"".join(store.open(key, offset=offset, length=length))


def listed(store: FileStore, prefix: str = "") -> list[str]:
    return [key for key, _ in store.keys(prefix)]


class BrokenStream(io.BytesIO):
    """Gives ``good`` bytes, then the connection of the person uploading is gone."""

    def __init__(self, good: int) -> None:
        super().__init__()
        self._good = good

    def read(self, size: int | None = -1, /) -> bytes:
        assert size is not None
        if self._good <= 0:
            raise ConnectionResetError("the upload was cut off")
        count = min(size, self._good)
        self._good -= count
        return b"x" * count


class Drip(io.BytesIO):
    """A stream that gives a few bytes at a time, as a slow line does."""

    def __init__(self, data: bytes, step: int) -> None:
        super().__init__(data)
        self._step = step

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(self._step if size is None or size < 0 else min(size, self._step))


class StoreContract:
    """``base`` keeps the tests of one shared store apart."""

    @pytest.fixture
    def store(self) -> FileStore:
        raise NotImplementedError("the subclass gives the store")

    @pytest.fixture
    def base(self) -> str:
        return f"t-{secrets.token_hex(6)}"

    # --- storing and reading ----------------------------------------------------------------

    @pytest.mark.parametrize("size", [0, 1, 1000, MIB - 1, MIB, MIB + 1, 5 * MIB + 17])
    def test_what_is_put_comes_back(self, store: FileStore, base: str, size: int) -> None:
        data = secrets.token_bytes(size)
        put_as = put(store, f"{base}/file", data)
        assert put_as == StoredFile(f"{base}/file", size, sha256(data))
        assert store.stat(f"{base}/file") == put_as
        chunks = list(store.open(f"{base}/file"))
        assert b"".join(chunks) == data
        assert all(0 < len(chunk) <= MIB for chunk in chunks)

    def test_a_slow_stream_comes_back_whole(self, store: FileStore, base: str) -> None:
        data = secrets.token_bytes(2 * MIB)
        store.put(f"{base}/f", Drip(data, 70_001), size=len(data), sha256=sha256(data))
        assert read(store, f"{base}/f") == data

    @store_settings
    @given(offset=st.integers(0, 120), length=st.none() | st.integers(0, 120))
    def test_any_part_can_be_read(
        self, store: FileStore, base: str, offset: int, length: int | None
    ) -> None:
        data = bytes(range(100))
        with contextlib.suppress(Conflict):  # put by the example before this one
            put(store, f"{base}/part", data)
        end = None if length is None else offset + length
        assert read(store, f"{base}/part", offset, length) == data[offset:end]

    def test_a_part_across_chunks(self, store: FileStore, base: str) -> None:
        data = secrets.token_bytes(3 * MIB)
        put(store, f"{base}/f", data)
        part = read(store, f"{base}/f", MIB - 5, MIB + 10)
        assert part == data[MIB - 5 : 2 * MIB + 5]

    @pytest.mark.parametrize(("offset", "length"), [(-1, None), (0, -1)])
    def test_a_range_counts_upward(
        self, store: FileStore, base: str, offset: int, length: int | None
    ) -> None:
        put(store, f"{base}/f", b"data")
        with pytest.raises(ValueError, match="from 0"):
            store.open(f"{base}/f", offset=offset, length=length)

    def test_a_reader_may_stop_in_the_middle(self, store: FileStore, base: str) -> None:
        data = secrets.token_bytes(3 * MIB)
        put(store, f"{base}/f", data)
        chunks = iter(store.open(f"{base}/f"))
        assert data.startswith(next(chunks))
        chunks.close()  # type: ignore[attr-defined]
        assert read(store, f"{base}/f") == data

    # --- what is not there ------------------------------------------------------------------

    def test_missing_is_said_before_the_first_chunk(self, store: FileStore, base: str) -> None:
        with pytest.raises(FileMissing):
            store.stat(f"{base}/none")
        with pytest.raises(FileMissing):
            store.open(f"{base}/none")

    def test_a_folder_of_keys_is_not_a_file(self, store: FileStore, base: str) -> None:
        put(store, f"{base}/a/b", b"x")
        with pytest.raises(FileMissing):
            store.stat(f"{base}/a")

    def test_delete_removes_that_file_only(self, store: FileStore, base: str) -> None:
        for key in (f"{base}/a", f"{base}/a/b", f"{base}/ab"):
            put(store, key, key.encode())
        store.delete(f"{base}/a")
        with pytest.raises(FileMissing):
            store.stat(f"{base}/a")
        assert listed(store, base) == [f"{base}/a/b", f"{base}/ab"]
        store.delete(f"{base}/a")
        store.delete(f"{base}/never/was")
        assert read(store, f"{base}/a/b") == f"{base}/a/b".encode()

    def test_a_deleted_key_can_be_written_again(self, store: FileStore, base: str) -> None:
        put(store, f"{base}/a", b"first")
        store.delete(f"{base}/a")
        put(store, f"{base}/a", b"second")
        assert read(store, f"{base}/a") == b"second"

    # --- what is refused --------------------------------------------------------------------

    def test_a_key_is_written_once(self, store: FileStore, base: str) -> None:
        put(store, f"{base}/a", b"first")
        with pytest.raises(Conflict):
            put(store, f"{base}/a", b"second")
        assert read(store, f"{base}/a") == b"first"

    @pytest.mark.parametrize("size", [10, 2 * MIB])
    def test_of_eight_at_once_exactly_one_wins(
        self, store: FileStore, base: str, size: int
    ) -> None:
        start = threading.Barrier(8)

        def attempt(number: int) -> int | None:
            data = bytes([number]) * size
            start.wait()
            try:
                put(store, f"{base}/raced", data)
            except Conflict:
                return None
            return number

        with ThreadPoolExecutor(8) as threads:
            winners = [number for number in threads.map(attempt, range(8)) if number is not None]
        assert len(winners) == 1
        assert read(store, f"{base}/raced") == bytes(winners) * size
        assert listed(store, base) == [f"{base}/raced"]

    @pytest.mark.parametrize("size", [5, 3 * MIB])
    @pytest.mark.parametrize("claimed", [-1, +1])
    def test_a_wrong_size_leaves_nothing(
        self, store: FileStore, base: str, size: int, claimed: int
    ) -> None:
        data = secrets.token_bytes(size)
        with pytest.raises(FileCorrupt):
            store.put(f"{base}/f", io.BytesIO(data), size=size + claimed, sha256=sha256(data))
        self._nothing_is_there(store, base)

    @pytest.mark.parametrize("size", [0, 5, 3 * MIB])
    def test_a_wrong_hash_leaves_nothing(self, store: FileStore, base: str, size: int) -> None:
        with pytest.raises(FileCorrupt):
            store.put(
                f"{base}/f", io.BytesIO(bytes(size)), size=size, sha256=sha256(b"something else")
            )
        self._nothing_is_there(store, base)

    @pytest.mark.parametrize("good", [0, 100, 3 * MIB])
    def test_an_upload_cut_off_leaves_nothing(self, store: FileStore, base: str, good: int) -> None:
        with pytest.raises(ConnectionResetError):
            store.put(f"{base}/f", BrokenStream(good), size=4 * MIB, sha256="0" * 64)
        self._nothing_is_there(store, base)
        put(store, f"{base}/f", b"the next try works")

    @pytest.mark.parametrize("key", BAD_KEYS)
    def test_a_bad_key_reaches_no_store(self, store: FileStore, key: str) -> None:
        for use in (
            lambda: put(store, key, b"x"),
            lambda: store.open(key),
            lambda: store.stat(key),
            lambda: store.delete(key),
            lambda: store.internal_path(key),
        ):
            with pytest.raises(ValueError, match="storage key"):
                use()

    @store_settings
    @given(key=st.text(max_size=20).filter(lambda key: not _is_good(key)))
    def test_no_text_but_a_key_is_taken(self, store: FileStore, key: str) -> None:
        with pytest.raises(ValueError, match="storage key"):
            store.stat(key)

    @pytest.mark.parametrize("claimed", ["", "0" * 63, "g" * 64, "A" * 64, "0" * 64 + "\n"])
    def test_a_hash_is_64_hex_digits(self, store: FileStore, base: str, claimed: str) -> None:
        with pytest.raises(ValueError, match="hex"):
            store.put(f"{base}/f", io.BytesIO(b""), size=0, sha256=claimed)

    # --- listing ----------------------------------------------------------------------------

    @settings(store_settings, max_examples=10)
    @given(keys=st.sets(st.from_regex(GOOD_KEY, fullmatch=True), max_size=8))
    def test_keys_come_in_order_with_their_time(self, store: FileStore, keys: set[str]) -> None:
        base = f"l-{secrets.token_hex(6)}"
        before = datetime.now(UTC) - timedelta(seconds=2)
        for key in keys:
            put(store, f"{base}/{key}", b"x")
        listed = list(store.keys(f"{base}/"))
        assert [key for key, _ in listed] == sorted(f"{base}/{key}" for key in keys)
        after = datetime.now(UTC) + timedelta(seconds=2)
        assert all(before <= at <= after for _, at in listed)

    def test_order_and_prefix_are_those_of_the_text(self, store: FileStore, base: str) -> None:
        names = ["a", "a-b", "a/b", "a/b/c", "a0", "a_b", "ab", "b/a", "b-a"]
        keys = sorted(f"{base}/{name}" for name in names)
        for key in keys:
            put(store, key, b"x")
        for prefix in ("", "a", "a/", "a-", "a/b", "a/b/", "b", "b/a", "c", "/"):
            wanted = [key for key in keys if key.startswith(f"{base}/{prefix}")]
            assert listed(store, f"{base}/{prefix}") == wanted
        assert set(keys) <= set(listed(store))

    @pytest.mark.parametrize("prefix", ["..", "A", "a b", "a\0"])
    def test_a_bad_prefix_is_refused(self, store: FileStore, prefix: str) -> None:
        with pytest.raises(ValueError, match="storage key"):
            store.keys(prefix)

    # --- health -----------------------------------------------------------------------------

    def test_the_check_leaves_no_trace(self, store: FileStore) -> None:
        before = listed(store)
        store.check()
        assert listed(store) == before

    @staticmethod
    def _nothing_is_there(store: FileStore, base: str) -> None:
        assert list(store.keys(base)) == []
        with pytest.raises(FileMissing):
            store.stat(f"{base}/f")


def _is_good(key: str) -> bool:
    """Said in other words than the stores say it."""
    allowed = set("abcdefghijklmnopqrstuvwxyz0123456789_-/")
    return 1 <= len(key) <= 200 and set(key) <= allowed and all(key.split("/"))
