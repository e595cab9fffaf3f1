"""The contract of ``Scanner``. Subclass it, give the fixture ``scanner``, and every test runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dask_platform.kernel.errors import FileMissing, ScanRefused
from dask_platform.kernel.ports import Scanner
from tests.services.clamav import EICAR, STREAM_LIMIT

MIB = 1024 * 1024


def scan_bytes(scanner: Scanner, data: bytes, step: int = MIB) -> str | None:
    """The signature found in ``data``, given in pieces of ``step`` bytes."""
    return scanner.scan(data[at : at + step] for at in range(0, len(data), step)).signature


class ScannerContract:
    @pytest.fixture
    def scanner(self) -> Scanner:
        raise NotImplementedError("the subclass gives the scanner")

    @pytest.mark.parametrize("data", [b"", b"a", b"plain words\n" * 1000, bytes(5 * MIB)])
    def test_a_harmless_file_is_clean(self, scanner: Scanner, data: bytes) -> None:
        result = scanner.scan(iter([data] if data else []))
        assert result.clean
        assert result.signature is None

    def test_the_test_virus_is_found(self, scanner: Scanner) -> None:
        assert "Eicar" in (scan_bytes(scanner, EICAR) or "")

    @settings(
        max_examples=25,
        deadline=None,
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.differing_executors,
        ],
    )
    @given(step=st.integers(1, len(EICAR)))
    def test_it_is_found_however_it_is_cut(self, scanner: Scanner, step: int) -> None:
        assert scan_bytes(scanner, EICAR, step) is not None

    def test_an_empty_chunk_is_not_the_end(self, scanner: Scanner) -> None:
        assert scanner.scan(iter([b"", EICAR[:20], b"", b"", EICAR[20:], b""])).signature

    def test_it_is_found_at_the_end_of_a_long_file(self, scanner: Scanner) -> None:
        assert scan_bytes(scanner, b"plain words\n" * 400_000 + EICAR) is not None

    def test_a_file_over_the_limit_is_refused(self, scanner: Scanner) -> None:
        with pytest.raises(ScanRefused):
            scanner.scan(bytes(MIB) for _ in range(STREAM_LIMIT // MIB + 1))

    def test_an_error_of_the_source_comes_out_as_it_is(self, scanner: Scanner) -> None:
        def source() -> Iterator[bytes]:
            yield b"the beginning"
            raise FileMissing("gone in the middle")

        with pytest.raises(FileMissing):
            scanner.scan(source())
        assert scan_bytes(scanner, b"the next one works") is None

    def test_it_says_what_it_is(self, scanner: Scanner) -> None:
        assert scanner.version().strip()
