"""The fake keeps the same contract as the real stores."""

from __future__ import annotations

import pytest

from dask_platform.adapters.storage import MemoryStore
from dask_platform.kernel.errors import StorageUnavailable
from tests.contracts.store_contract import StoreContract, listed, put


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()


def test_it_can_be_made_to_fail_as_a_real_one() -> None:
    store = MemoryStore()
    put(store, "a", b"x")
    store.available = False
    for use in (
        store.check,
        store.keys,
        lambda: store.stat("a"),
        lambda: store.open("a"),
        lambda: store.delete("a"),
        lambda: put(store, "b", b"x"),
    ):
        with pytest.raises(StorageUnavailable):
            use()
    store.available = True
    assert listed(store) == ["a"]
