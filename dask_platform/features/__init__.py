"""One folder per thing that people do. A feature uses another's service or queries, not its models.

``all_models`` imports every table, for migrations and for tests that walk them.
"""

from __future__ import annotations

from importlib import import_module

from sqlalchemy import MetaData

FEATURES = ("audit", "broker", "courses", "handins", "identity", "recorder", "whitelists")


def all_models() -> MetaData:
    """Import the tables of every feature and return the metadata they fill."""
    for name in FEATURES:
        import_module(f"dask_platform.features.{name}.models")
    from dask_platform.db.base import Base

    return Base.metadata
