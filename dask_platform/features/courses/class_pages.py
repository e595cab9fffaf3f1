"""The two pages that are read most, each in one statement.

A statement costs the web process as much as the HTML of a page, so lists come inside it as JSON.
They are built once, from the statements of ``queries``; the policy is asked before them.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Boolean, any_, bindparam, func, select
from sqlalchemy.dialects.postgresql import aggregate_order_by

from dask_platform.db.unit_of_work import UnitOfWork
from dask_platform.features.courses.models import (
    ClassTeacher,
    CompetenceAim,
    Course,
    CourseClass,
    Item,
)
from dask_platform.features.courses.queries import (
    AIMS,
    CLASSES,
    ITEMS,
    NOTHING_HERE,
    PERSON,
    wanted_by,
)
from dask_platform.features.courses.shapes import (
    AimView,
    ClassView,
    ItemView,
    OverviewView,
    PageView,
    StudentView,
)
from dask_platform.kernel.actor import Actor
from dask_platform.kernel.errors import NotVisible

_items = ITEMS.subquery()
_CONTENTS = select(func.jsonb_agg(func.jsonb_build_array(*_items.c))).scalar_subquery()
_AIMS = (
    select(
        func.jsonb_agg(
            aggregate_order_by(func.jsonb_build_array(*AIMS.selected_columns), CompetenceAim.code)
        )
    )
    .where(CompetenceAim.course_id == Course.id, CompetenceAim.code == any_(Item.aims))
    .correlate(Course, Item)
    .scalar_subquery()
)
_TEACHERS = (
    select(
        func.jsonb_agg(
            aggregate_order_by(
                func.jsonb_build_array(PERSON.c.id, PERSON.c.display_name, PERSON.c.username),
                PERSON.c.display_name,
                PERSON.c.id,
            )
        )
    )
    .select_from(ClassTeacher)
    .join(PERSON, PERSON.c.id == ClassTeacher.person_id)
    .where(ClassTeacher.class_id == CourseClass.id)
    .correlate(CourseClass)
    .scalar_subquery()
)
_OVERVIEW = CLASSES.add_columns(_TEACHERS, _CONTENTS).where(CourseClass.id == bindparam("in_class"))
_PAGE = (
    CLASSES.add_columns(
        Item.id, Item.slug, Item.title, Item.kind, Item.published, Item.body_html, _AIMS, _CONTENTS
    )
    .join(Item, Item.course_id == CourseClass.course_id)
    .where(
        CourseClass.id == bindparam("in_class"),
        Item.slug == bindparam("slug"),
        Item.removed.is_(False),
        Item.published | bindparam("drafts", type_=Boolean()),
    )
)


def class_overview(uow: UnitOfWork, actor: Actor, class_id: UUID) -> OverviewView:
    """A class with its teachers and its course's contents. Raises ``NotVisible``."""
    wanted = wanted_by(actor, class_id)
    row = uow.execute(_OVERVIEW, wanted).first() if wanted else None
    if row is None:
        raise NotVisible(NOTHING_HERE)
    *head, teachers, contents = row
    return OverviewView(
        ClassView(*head),
        [StudentView(UUID(person_id), *names) for person_id, *names in teachers or ()],
        [ItemView.from_json(*one) for one in contents or ()],
    )


def class_page(uow: UnitOfWork, actor: Actor, class_id: UUID, slug: str) -> PageView:
    """A page with its class, its competence aims and the table of contents.

    Raises ``NotVisible`` for another class's page, a draft to a student, and what is withdrawn.
    """
    wanted = wanted_by(actor, class_id)
    row = uow.execute(_PAGE, {**wanted, "slug": slug}).first() if wanted else None
    if row is None:
        raise NotVisible(NOTHING_HERE)
    *head, item_id, item_slug, title, kind, published, body_html, aims, contents = row
    return PageView(
        ClassView(*head), item_id, item_slug, title, kind, published, body_html,
        [AimView.from_json(*one) for one in aims or ()],
        [ItemView.from_json(*one) for one in contents or ()],
    )  # fmt: skip
