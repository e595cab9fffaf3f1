"""Figures for the operator (Prometheus), and the count of SQL statements a request."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from prometheus_client import Counter, Histogram
from sqlalchemy import Engine, event

REQUESTS = Counter("dask_requests_total", "Requests", ["endpoint", "method", "status"])
SECONDS = Histogram("dask_request_seconds", "Time to answer", ["endpoint"])
STATEMENTS = Histogram(
    "dask_request_sql_statements", "SQL statements a request", ["endpoint"],
    buckets=(0, 1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 40),
)  # fmt: skip

_sql: ContextVar[list[int] | None] = ContextVar("dask_sql", default=None)


def start_counting_sql() -> None:
    _sql.set([0])


def sql_statements() -> int:
    count = _sql.get()
    return count[0] if count else 0


def count_sql(engine: Engine) -> None:
    """Count the statements of this engine from now on; once, however many applications use it."""
    if not event.contains(engine, "before_cursor_execute", _one_more):
        event.listen(engine, "before_cursor_execute", _one_more)


def _one_more(*_arguments: Any) -> None:
    count = _sql.get()
    if count is not None:
        count[0] += 1


def observe(endpoint: str, method: str, status: int, seconds: float, statements: int) -> None:
    REQUESTS.labels(endpoint, method, str(status)).inc()
    SECONDS.labels(endpoint).observe(seconds)
    STATEMENTS.labels(endpoint).observe(statements)
