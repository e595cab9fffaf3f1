"""Who reaches what: every endpoint × method × kind of person.

The expectation comes from the endpoint's own declaration and the policy's table, never from the
code under test's behaviour; a dozen rows that matter stand below it word for word, so that a wrong
declaration is noticed too.
"""

from __future__ import annotations

import hashlib
import io
from typing import Any
from uuid import UUID, uuid4

import pytest
from werkzeug.routing import Rule

from dask_platform.features.courses.models import Course, CourseClass, Item, Media
from dask_platform.features.handins.models import Attempt, HandinFile
from dask_platform.features.whitelists.models import SiteRequest, Stop
from dask_platform.kernel.actor import Actor
from dask_platform.kernel.ids import new_code
from dask_platform.security.permissions import Permission
from dask_platform.security.policy import grants, may_ever, permits
from dask_platform.web.access import access_of
from tests.features.whitelists.office import Office, elsewhere
from tests.world import World

ACTORS = {
    "anonymous": None,
    "student": "anna",
    "other student of the class": "bo",
    "student elsewhere": "cem",
    "teacher of the class": "tora",
    "teacher elsewhere": "siri",
    "teacher of the unit, not of the class": "even",
    "workshop officer": "odd",
    "security": "sigrid",
    "operator": "olga",
}


@pytest.fixture(scope="module")
def school(shared_world: World) -> World:
    """With a piece of anna's work, handed in, with a clean file, and a course of nord's school."""
    world = shared_world
    now = world.clock.now()
    with world.owner() as uow:
        attempt = Attempt(
            id=uuid4(), class_id=world.id("class nord"), item_id=world.id("brev"),
            person_id=world.id("anna"), number=1, state="handed_in", text="svar", text_sha256="0",
            receipt=new_code(), started_at=now, saved_at=now, handed_in_at=now, file_count=1,
        )  # fmt: skip
        uow.add(attempt)
        uow.flush()
        key = "handins/matrix"
        digest = hashlib.sha256(b"pdf").hexdigest()
        world.platform.files.put(key, io.BytesIO(b"pdf"), size=3, sha256=digest)
        file = HandinFile(
            id=uuid4(), attempt_id=attempt.id, person_id=world.id("anna"), name="brev.pdf",
            storage_key=key, size=3, sha256=digest, mime="application/pdf", family="pdf",
            extension="pdf", added_at=now, scan_state="clean",
        )  # fmt: skip
        course = Course(
            id=uuid4(), slug="eget", school_id=world.id("school nord"), language="nb",
            title="Eget", summary="", updated_at=now,
        )  # fmt: skip
        uow.add_all([file, course])
        uow.flush()
        world.ids |= {"attempt": attempt.id, "file": file.id, "own course": course.id}
    office = Office(world)
    office.load(elsewhere(world, "leksikon"))
    world.ids |= {
        "proposal": office.propose("stein", elsewhere(world, "kart"), unit="nord"),
        "stop": office.stop("stein", "stop_student", world.id("anna")),
        "wish": office.wish("anna"),
    }
    return world


def arguments(world: World, rule: Rule) -> dict[str, Any]:
    """Values for the places in an address: things of nord, anna's work."""
    known: dict[str, Any] = {
        "class_id": world.id("class nord"), "item_id": world.id("brev"), "slug": "les",
        "attempt_id": world.id("attempt"), "file_id": world.id("file"),
        "course_id": world.id("own course"), "person_id": world.id("dag"),
        "room_id": world.id("room"), "stop_id": world.id("stop"), "request_id": world.id("wish"),
        "rule_id": "leksikon", "kind": "unit",
        "version": "0", "filename": "css/app.css", "name": "bilde.svg",
    }  # fmt: skip
    return {place: known.get(place, uuid4()) for place in rule.arguments}


MODELS: dict[str, type[Any]] = {
    "class_id": CourseClass, "attempt_id": Attempt, "course_id": Course,
    "file_id": HandinFile, "item_id": Item, "media_id": Media,
    "request_id": SiteRequest, "stop_id": Stop,
}  # fmt: skip


def things(world: World, values: dict[str, Any]) -> dict[type[Any], UUID]:
    return {MODELS[place]: value for place, value in values.items() if place in MODELS}


def cases(world: World) -> list[tuple[Rule, str]]:
    return [
        (rule, method)
        for rule in sorted(world.app.url_map.iter_rules(), key=lambda rule: rule.rule)
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
    ]


def _refused(school: World, actor: Actor, permission: Permission, values: dict[str, Any]) -> bool:
    """Whether the policy refuses the actor any of the things that the address names."""
    with school.owner() as uow:
        uow.act_as(actor.person_id)
        named = things(school, values)
        models = {grant.model for grant in grants(permission)} & set(named)
        loaded = [uow.get(model, named[model]) for model in models]
        return any(thing is not None and not permits(actor, permission, thing) for thing in loaded)


@pytest.mark.parametrize("who", sorted(ACTORS))
def test_nobody_reaches_what_the_policy_does_not_give_them(school: World, who: str) -> None:
    name = ACTORS[who]
    actor = school.actor(name) if name else None
    wrong = []
    for rule, method in cases(school):
        access = access_of(school.app.view_functions[rule.endpoint])
        assert access is not None
        if access.permission is None or rule.endpoint == "identity.logout":
            continue
        values = arguments(school, rule)
        with school.app.test_request_context():
            url = school.app.url_for(rule.endpoint, **values)
        # Before the request: afterwards the thing may be one that nobody may change any more.
        refused = actor is not None and _refused(school, actor, access.permission, values)
        client = school.client(name) if name else school.anonymous()
        response = client.open(url, method=method) if method == "GET" else client.post_form(url)
        status = response.status_code
        if actor is None:
            expected = status == 401 or (status == 303 and "/login" in response.location)
        elif not may_ever(actor, access.permission):
            expected = status == 404
        else:
            # Never 403: that would tell that there is something.
            expected = status == 404 if refused else status not in (401, 403)
        if not expected:
            wrong.append(f"{method} {rule.rule}: {status}")
        assert status < 500, f"{method} {url} as {who}"
    assert not wrong, f"{who}:\n" + "\n".join(wrong)


@pytest.mark.parametrize("who", sorted(ACTORS))
def test_head_answers_as_get_and_without_a_body(school: World, who: str) -> None:
    """Views see HEAD as GET (``web.requests.DaskRequest``): none of them need think of it."""
    name = ACTORS[who]
    wrong = []
    for rule in sorted(school.app.url_map.iter_rules(), key=lambda rule: rule.rule):
        if "GET" not in (rule.methods or ()):
            continue
        with school.app.test_request_context():
            url = school.app.url_for(rule.endpoint, **arguments(school, rule))
        seen = {}
        for method in ("GET", "HEAD"):
            # A browser each: a page may be another one the second time it is opened.
            client = school.client(name) if name else school.anonymous()
            with client.open(url, method=method) as answer:
                headers = [answer.headers.get(one) for one in ("Content-Type", "Location")]
                seen[method] = (answer.status_code, *headers)
                body = answer.data
        if seen["GET"] != seen["HEAD"] or body:
            wrong.append(f"{rule.rule}: {seen}, {len(body)} bytes by HEAD")
    assert not wrong, f"{who}:\n" + "\n".join(wrong)


OK, GONE, LOGIN = 200, 404, 303
LITERAL: list[tuple[str, dict[str, int]]] = [
    ("/", {"anonymous": LOGIN, "student": OK, "teacher of the class": OK, "operator": OK}),
    ("/classes/{class nord}",
     {"anonymous": LOGIN, "student": OK, "other student of the class": OK,
      "student elsewhere": GONE,
      "teacher of the class": OK, "teacher elsewhere": GONE,
      "teacher of the unit, not of the class": GONE, "workshop officer": GONE, "security": GONE,
      "operator": GONE}),
    ("/classes/{class nord}/items/les",
     {"student": OK, "student elsewhere": GONE, "teacher of the class": OK, "security": GONE}),
    ("/classes/{class nord}/items/kladd", {"student": GONE, "teacher of the class": OK}),
    ("/classes/{class nord}/assignments/{brev}",
     {"student": OK, "other student of the class": OK, "student elsewhere": GONE,
      "security": GONE}),
    ("/attempts/{attempt}",
     {"anonymous": LOGIN, "other student of the class": GONE, "student elsewhere": GONE,
      "teacher of the class": OK, "teacher elsewhere": GONE,
      "teacher of the unit, not of the class": GONE, "workshop officer": GONE, "security": GONE,
      "operator": GONE}),
    ("/attempts/{attempt}/receipt",
     {"student": OK, "other student of the class": GONE, "student elsewhere": GONE}),
    ("/attempts/{attempt}/files/{file}",
     {"other student of the class": GONE, "teacher elsewhere": GONE, "security": GONE,
      "operator": GONE, "teacher of the unit, not of the class": GONE}),
    ("/classes/{class nord}/work",
     {"student": GONE, "teacher of the class": OK, "teacher elsewhere": GONE, "operator": GONE}),
    ("/log", {"anonymous": LOGIN, "student": GONE, "teacher of the class": GONE,
              "workshop officer": GONE, "operator": GONE, "security": OK}),
    ("/quarantine", {"student": GONE, "teacher of the class": GONE, "operator": GONE,
                     "security": OK}),
    ("/people", {"student": GONE, "workshop officer": GONE, "operator": OK}),
    ("/rooms", {"student": GONE, "operator": OK, "security": OK}),
    ("/sites", {"anonymous": LOGIN, "student": OK, "teacher elsewhere": OK, "workshop officer": OK,
                "security": GONE, "operator": GONE}),
    ("/whitelists", {"anonymous": LOGIN, "student": GONE, "teacher of the class": GONE,
                     "workshop officer": GONE, "operator": GONE, "security": OK}),
    ("/whitelists/proposals/{proposal}", {"student": GONE, "teacher of the class": GONE,
                                          "operator": GONE, "security": OK}),
    ("/whitelists/stops", {"student": GONE, "operator": GONE, "security": OK}),
    ("/whitelists/wishes/{wish}", {"student": GONE, "other student of the class": GONE,
                                   "teacher of the class": GONE, "security": OK}),
]  # fmt: skip


@pytest.mark.parametrize(("path", "expected"), LITERAL, ids=[row[0] for row in LITERAL])
def test_the_rows_that_matter(school: World, path: str, expected: dict[str, int]) -> None:
    for name, value in school.ids.items():
        path = path.replace("{" + name + "}", str(value))
    for who, status in expected.items():
        name = ACTORS[who]
        client = school.client(name) if name else school.anonymous()
        assert client.get(path).status_code == status, f"{who} at {path}"


def test_a_stranger_and_a_thing_that_is_not_there_look_the_same(school: World) -> None:
    """Not the status alone: the page is the same to the letter, but for the request's number."""
    there = school.client("cem").get(f"/attempts/{school.id('attempt')}")
    nowhere = school.client("cem").get(f"/attempts/{uuid4()}")
    assert there.status_code == nowhere.status_code == 404

    def body(response: Any) -> list[str]:
        dynamic = ("csrf_token", response.headers["X-Request-Id"], "/attempts/")
        lines = response.get_data(as_text=True).splitlines()
        return [line for line in lines if not any(mark in line for mark in dynamic)]

    assert body(there) == body(nowhere)
