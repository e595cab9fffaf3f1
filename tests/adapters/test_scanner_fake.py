"""The fake keeps the same contract as the real scanner."""

from __future__ import annotations

import pytest

from dask_platform.adapters.scanner import FakeScanner
from dask_platform.kernel.errors import ScannerUnavailable
from tests.contracts.scanner_contract import ScannerContract


class TestFakeScanner(ScannerContract):
    @pytest.fixture
    def scanner(self) -> FakeScanner:
        return FakeScanner()


def test_it_can_be_made_silent() -> None:
    scanner = FakeScanner()
    scanner.available = False
    with pytest.raises(ScannerUnavailable):
        scanner.scan(iter([b"x"]))
    with pytest.raises(ScannerUnavailable):
        scanner.version()
