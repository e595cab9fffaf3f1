"""One request, one transaction.

A :class:`UnitOfWork` is a SQLAlchemy session that knows who acts. Row-level security reads the
actor from a setting that lives as long as the transaction; without it no personal row is visible.
Work that must come last, such as linking audit rows into their chain, registers with
``before_commit`` so that the chain's lock is held for as short a time as possible.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, TextClause, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

ACT_AS = text("SELECT set_config('dask.actor', :person, true)")
DEFER = text("SELECT dask_defer(:task, CAST(:args AS jsonb), :queue, :lock)")


def make_engine(url: str, *, pool: int = 8) -> Engine:
    """An engine that fails rather than waits for ever. ``pool`` is the most connections it opens.

    The pool does not ask each connection whether it still lives before use (a round trip per
    request): a server that was restarted costs each pooled connection one failed request.
    """
    parsed = make_url(url).set(drivername="postgresql+psycopg")
    return create_engine(
        parsed,
        pool_size=pool,
        max_overflow=0,
        hide_parameters=True,  # an error that is logged must not tell what somebody wrote
        pool_timeout=10,
        pool_recycle=1800,
        connect_args={
            "connect_timeout": 5,
            "options": "-c statement_timeout=30000 -c lock_timeout=10000"
            " -c idle_in_transaction_session_timeout=60000",
        },
    )


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request came from, for the log."""

    address: str | None = None
    request_id: str | None = None


class UnitOfWork(Session):
    """A session with an actor and with work to be done just before the commit."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine, autoflush=True, expire_on_commit=False)
        self._before_commit: list[Callable[[UnitOfWork], None]] = []
        self.acting: UUID | None = None
        self.bag: dict[str, Any] = {}
        self.origin = Origin()

    def act_as(self, person_id: UUID | None) -> None:
        """Tell row-level security who acts, until the transaction ends."""
        self.execute(ACT_AS, {"person": str(person_id) if person_id else ""})

    def act_from_now(self, person_id: UUID) -> None:
        """The same for each transaction from here on, once it begins: where none does, the database
        is not asked at all."""
        self.acting = person_id

    def before_commit(self, work: Callable[[UnitOfWork], None]) -> None:
        """Run ``work`` once, last before the commit."""
        self._before_commit.append(work)

    def commit(self) -> None:
        self.flush()
        pending, self._before_commit = self._before_commit, []
        for work in pending:
            work(self)
        super().commit()

    def rollback(self) -> None:
        self._before_commit.clear()
        self.bag.clear()
        super().rollback()

    def enqueue(
        self, task: str, *, queue: str = "default", lock: str | None = None, **args: Any
    ) -> None:
        """Put a job in the queue, in this transaction: it exists exactly if the commit does.

        ``args`` carry ids only, never personal data: jobs are readable to the worker's operator.
        """
        self.execute(
            DEFER,
            {"task": task, "args": json.dumps(args, default=str), "queue": queue, "lock": lock},
        )


@event.listens_for(UnitOfWork, "after_begin")
def _say_who_acts(uow: UnitOfWork, _transaction: object, connection: Connection) -> None:
    if uow.acting is not None:
        connection.execute(ACT_AS, {"person": str(uow.acting)})


class Database:
    """Where units of work come from."""

    def __init__(self, url: str, *, pool: int = 8) -> None:
        self.engine = make_engine(url, pool=pool)

    def begin(self) -> UnitOfWork:
        """A new unit of work; the caller commits or closes it."""
        return UnitOfWork(self.engine)

    @contextmanager
    def work(self, person_id: UUID | None = None) -> Iterator[UnitOfWork]:
        """A unit of work that commits at the end of the block and rolls back on an error."""
        uow = self.begin()
        try:
            if person_id is not None:
                uow.act_as(person_id)
            yield uow
            uow.commit()
        except BaseException:
            uow.rollback()
            raise
        finally:
            uow.close()

    def ask(self, question: TextClause, values: dict[str, Any]) -> Any:
        """The one value that ``question`` gives, in a transaction of its own and in one round trip:
        what is asked at every request is asked so."""
        with self.engine.connect() as connection:
            alone = connection.execution_options(isolation_level="AUTOCOMMIT")
            return alone.execute(question, values).scalar()

    def dispose(self) -> None:
        self.engine.dispose()
