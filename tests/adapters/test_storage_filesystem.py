"""The folder store: the contract, and what only a folder can have."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from dask_platform.adapters.storage import FilesystemStore
from dask_platform.kernel.errors import Conflict, FileCorrupt, FileMissing, StorageUnavailable
from tests.contracts.store_contract import MIB, StoreContract, listed, put, read


@pytest.fixture
def store(tmp_path: Path) -> FilesystemStore:
    store = FilesystemStore(tmp_path / "store", accel_prefix="/_files/")
    store.ensure_folder()
    return store


class TestFilesystemStore(StoreContract):
    @pytest.fixture
    def store(self, store: FilesystemStore) -> FilesystemStore:
        return store


@pytest.fixture
def root(store: FilesystemStore, tmp_path: Path) -> Path:
    return tmp_path / "store"


def stored(root: Path, key: str) -> Path:
    """The one file behind a key."""
    [path] = (root / "files" / f"{key}.file").iterdir()
    return path


def incoming(root: Path) -> list[str]:
    return os.listdir(root / "incoming")


def test_only_its_owner_may_read_it(store: FilesystemStore, root: Path) -> None:
    before = os.umask(0)
    try:
        put(store, "a/b", b"x")
    finally:
        os.umask(before)
    for path in [root, *root.rglob("*")]:
        wanted = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path


def test_an_nginx_of_the_same_group_may_read_it_where_so_set_up(tmp_path: Path) -> None:
    store = FilesystemStore(tmp_path / "store", group_readable=True)
    store.ensure_folder()
    before = os.umask(0o077)
    try:
        put(store, "a/b", b"x")
    finally:
        os.umask(before)
    for path in (tmp_path / "store").rglob("*"):
        wanted = 0o750 if path.is_dir() else 0o640
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path


def test_a_copy_of_the_folder_keeps_the_hashes(store: FilesystemStore, root: Path) -> None:
    file = put(store, "a/b", b"kept")
    shutil.copytree(root, root.with_name("restored"))
    restored = FilesystemStore(root.with_name("restored"))
    assert restored.stat("a/b") == file
    assert read(restored, "a/b") == b"kept"


def test_nginx_is_told_the_real_path(store: FilesystemStore, root: Path) -> None:
    put(store, "a/b", b"x")
    path = store.internal_path("a/b")
    assert path is not None
    assert (root / "files" / path.removeprefix("/_files/")).read_bytes() == b"x"
    with pytest.raises(FileMissing):
        store.internal_path("a/c")
    assert FilesystemStore(root).internal_path("a/b") is None


def test_changed_bytes_are_found_before_the_end(store: FilesystemStore, root: Path) -> None:
    data = bytes(3 * MIB)
    put(store, "a", data)
    with stored(root, "a").open("r+b") as file:
        file.seek(2 * MIB)
        file.write(b"!")
    came: list[bytes] = []
    with pytest.raises(FileCorrupt):
        came.extend(store.open("a"))
    assert sum(map(len, came)) < len(data)


def test_a_shortened_file_is_corrupt(store: FilesystemStore, root: Path) -> None:
    put(store, "a", b"12345")
    os.truncate(stored(root, "a"), 3)
    for use in (lambda: store.stat("a"), lambda: store.open("a"), lambda: read(store, "a", 1, 2)):
        with pytest.raises(FileCorrupt):
            use()


def test_no_symbolic_link_leads_out(store: FilesystemStore, root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "b.file").mkdir(parents=True)
    secret = b"secret"
    name = f"{hashlib.sha256(secret).hexdigest()}-{len(secret)}"
    (outside / "b.file" / name).write_bytes(secret)
    (root / "files" / "a").symlink_to(outside)
    (root / "files" / "c.file").symlink_to(outside / "b.file")
    (root / "files" / "d.file").mkdir()
    (root / "files" / "d.file" / name).symlink_to(outside / "b.file" / name)
    for key in ("a/b", "c"):
        with pytest.raises(FileMissing):
            store.open(key)
    with pytest.raises(FileCorrupt):
        store.open("d")
    for key in ("a/new", "c"):
        with pytest.raises(StorageUnavailable):
            put(store, key, b"x")
    assert listed(store) == ["d"]
    for key in ("a/b", "c", "d"):
        store.delete(key)
    assert [path.name for path in outside.rglob("*") if path.is_file()] == [name]


def test_a_disk_that_is_not_mounted_is_not_an_empty_store(tmp_path: Path) -> None:
    store = FilesystemStore(tmp_path)
    for use in (
        store.check,
        store.sweep,
        lambda: list(store.keys()),
        lambda: store.stat("a"),
        lambda: store.open("a"),
        lambda: store.delete("a"),
        lambda: put(store, "a", b"x"),
    ):
        with pytest.raises(StorageUnavailable):
            use()
    assert list(tmp_path.iterdir()) == []


def test_delete_leaves_no_empty_folders(store: FilesystemStore, root: Path) -> None:
    put(store, "a/b/c", b"x")
    put(store, "a/d", b"x")
    store.delete("a/b/c")
    assert sorted(path.name for path in (root / "files" / "a").iterdir()) == ["d.file"]
    store.delete("a/d")
    assert list((root / "files").iterdir()) == []
    assert incoming(root) == []


def test_puts_and_deletes_of_neighbours_do_not_disturb_each_other(
    store: FilesystemStore, root: Path
) -> None:
    """A delete removes the folder it emptied; a put may be on its way into that folder."""

    def come_and_go(number: int) -> None:
        for _ in range(40):
            put(store, f"a/b/{number}", b"x")
            store.delete(f"a/b/{number}")

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(come_and_go, range(4)))
    assert list((root / "files").iterdir()) == []
    assert incoming(root) == []


KILLED_IN_THE_MIDDLE = """
import io, sys, time
from pathlib import Path
from dask_platform.adapters.storage import FilesystemStore

class Stream(io.RawIOBase):
    given = 0
    def read(self, size=-1):
        if self.given > 5_000_000:
            print("in the middle", flush=True)
            time.sleep(60)
        self.given += size
        return bytes(size)

FilesystemStore(Path(sys.argv[1])).put("a/b", Stream(), size=10_000_000, sha256="0" * 64)
"""


def test_a_killed_process_leaves_nothing_visible_and_the_sweep_clears_up(
    store: FilesystemStore, root: Path
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KILLED_IN_THE_MIDDLE, root], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "in the middle\n"
        process.send_signal(signal.SIGKILL)
    assert list(store.keys()) == []
    assert len(incoming(root)) == 1
    assert store.sweep() == 0, "an upload may still be on its way"
    yesterday = time.time() - timedelta(hours=25).total_seconds()
    [left] = (root / "incoming").iterdir()
    os.utime(left, (yesterday, yesterday))
    assert store.sweep() == 1
    assert incoming(root) == []
    put(store, "a/b", b"the next try works")


def test_a_full_disk_is_unavailable_and_leaves_nothing(tmp_path: Path) -> None:
    script = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from dask_platform.adapters.storage import FilesystemStore\n"
        "from dask_platform.kernel.errors import StorageUnavailable\n"
        "from tests.contracts.store_contract import put\n"
        "store = FilesystemStore(Path(sys.argv[1])); store.ensure_folder()\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))\n"
        "try: put(store, 'a', bytes(3_000_000))\n"
        "except StorageUnavailable: print('refused')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "s"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "refused\n"
    store = FilesystemStore(tmp_path / "s")
    assert list(store.keys()) == []
    assert incoming(tmp_path / "s") == []


def test_a_put_that_loses_leaves_no_temporary_file(store: FilesystemStore, root: Path) -> None:
    put(store, "a", b"first")
    with pytest.raises(Conflict):
        put(store, "a", b"second")
    assert incoming(root) == []


def test_the_check_finds_a_store_that_cannot_be_written(store: FilesystemStore, root: Path) -> None:
    shutil.rmtree(root / "incoming")
    with pytest.raises(StorageUnavailable):
        store.check()
