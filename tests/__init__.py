"""The test bench. Its tree mirrors ``dask_platform``; ``tests/services`` holds the real servers."""
