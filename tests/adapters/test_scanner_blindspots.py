"""What ClamAV would pass over in silence is refused; ordinary archives are not."""

from __future__ import annotations

import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_platform.adapters.scanner.blindspots import ZipWatch
from dask_platform.kernel.errors import ScanRefused


def watch(data: bytes, step: int) -> None:
    zip_watch = ZipWatch()
    for at in range(0, len(data), step):
        zip_watch.see(data[at : at + step])


def packed(members: list[bytes], method: int, *, zip64_at: int | None = None) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for number, data in enumerate(members):
            with archive.open(f"{number}", "w", force_zip64=number == zip64_at) as member:
                member.write(data)
    return out.getvalue()


@given(
    members=st.lists(st.binary(max_size=200), max_size=4),
    method=st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2]),
    step=st.integers(1, 100),
)
def test_ordinary_archives_pass(members: list[bytes], method: int, step: int) -> None:
    watch(packed(members, method), step)


@given(
    members=st.lists(st.binary(max_size=200), min_size=1, max_size=4),
    data=st.data(),
    step=st.integers(1, 100),
)
def test_a_zip64_member_is_refused_wherever_it_is(
    members: list[bytes], data: st.DataObject, step: int
) -> None:
    position = data.draw(st.integers(0, len(members) - 1))
    archive = packed(members, zipfile.ZIP_DEFLATED, zip64_at=position)
    with pytest.raises(ScanRefused):
        watch(archive, step)


@pytest.mark.parametrize("step", [1, 7, 30, 10_000])
def test_a_method_the_scanner_does_not_know_is_refused(step: int) -> None:
    with pytest.raises(ScanRefused):
        watch(packed([b"x"], zipfile.ZIP_LZMA), step)


@given(data=st.binary(max_size=300), step=st.integers(1, 100))
def test_what_is_not_a_zip_passes(data: bytes, step: int) -> None:
    watch(b"%PDF" + data + packed([b"x"], zipfile.ZIP_LZMA), step)


def test_the_mark_by_chance_is_not_a_member() -> None:
    watch(packed([b"PK\x03\x04" + b"\xff" * 60], zipfile.ZIP_STORED), 10)
