"""The base of every table.

A table states whether it holds personal data: ``__personal__ = True`` or a class that does not
derive one cannot be mapped. ``tests/db/test_row_security.py`` reads that declaration and holds the
row policies in the database against it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import DateTime, MetaData, Uuid
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from dask_platform.kernel.ids import new_id

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Every mapped class. ``__personal__`` is compulsory: does a row tell something of a person?"""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: DateTime(timezone=True),
        UUID: Uuid(as_uuid=True),
    }
    __personal__: ClassVar[bool]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if "__tablename__" in cls.__dict__ and "__personal__" not in cls.__dict__:
            raise TypeError(
                f"{cls.__name__} must say __personal__ = True or False: whether a row tells "
                "something of a person. True needs a row policy in a migration."
            )
        super().__init_subclass__(**kwargs)
        if "__tablename__" in cls.__dict__:
            cls.metadata.tables[cls.__tablename__].info["personal"] = cls.__personal__


def pk() -> Mapped[UUID]:
    """A random primary key, made in Python so that no INSERT needs to read its row back."""
    return mapped_column(primary_key=True, default=new_id)
