"""The application for approved sites, on a domain of its own."""

from __future__ import annotations

from dask_platform.features.broker.application import BrokerFlask, make_broker
from dask_platform.web.platform import Platform


def make_resources(platform: Platform) -> BrokerFlask:
    """The broker. It shares the school's database, and none of its pages or cookies."""
    return make_broker(platform)
