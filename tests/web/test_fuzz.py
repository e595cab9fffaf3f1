"""Bad input, everywhere: no answer is a fault, and what is refused has changed nothing.

Two ways in. The first walks the pages as each person, collects the forms as a browser would see
them, and spoils one field after the other. The second takes every address of the platform, with
ids of oneself, of others and of nobody, and sends bodies that no browser would.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle, islice
from urllib.parse import quote_from_bytes, unquote_to_bytes
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dask_platform.features.courses.models import Course, Module
from dask_platform.features.identity.views import HASHER
from dask_platform.security.passwords import CHEAP, PasswordHasher
from tests.features.handins.desk import Desk, pdf
from tests.web.fuzzing import (
    CACHE,
    DATES,
    DAYS,
    FIELDS,
    FILE_NAMES,
    KEEPS_SOMETHING,
    NUMBERS,
    ON_PURPOSE,
    PEOPLE,
    RAW,
    TEXTS,
    WORDS,
    Tables,
    addresses,
    bodies,
    browser,
    cases,
    is_public,
    nasty,
    send,
    sound,
    walk,
)
from tests.world import World


@pytest.fixture(scope="module")
def school(shared_world: World) -> World:
    """With work handed in at both units, and a course that tora may edit."""
    world, desk = shared_world, Desk(shared_world)
    world.app.extensions[HASHER] = PasswordHasher(CHEAP)
    file_id = desk.add(pdf("a"))
    desk.scan(file_id)
    with world.owner() as uow:
        course = Course(
            id=uuid4(), slug="eget", school_id=world.id("school nord"), language="nb",
            title="Eget", summary="Vårt.", published=True, updated_at=world.clock.now(),
        )  # fmt: skip
        uow.add(course)
        uow.flush()
        module = Module(id=uuid4(), course_id=course.id, slug="en", title="En", position=1)
        uow.add(module)
        uow.flush()
        world.ids |= {"own course": course.id, "own module": module.id, "file": file_id}
    world.ids["attempt"] = desk.handed_in()
    world.ids["attempt bo"] = desk.handed_in(name="bo")
    world.ids["attempt cem"] = desk.handed_in(name="cem", in_class="class sor")
    return world


@pytest.fixture(scope="module")
def tables(school: World) -> Iterator[Tables]:
    made = Tables(school)
    yield made
    made.close()


@pytest.mark.parametrize("name", PEOPLE)
def test_every_field_of_every_form_spoiled(school: World, tables: Tables, name: str | None) -> None:
    """One field wrong and the others as they were. A refusal changes nothing."""
    forms = walk(school, name)
    assert forms, f"{name} met no form at all"
    texts, tried = cycle(TEXTS), 0
    for form in forms.values():
        client = browser(school, name)
        if form.action.endswith(("/end-sessions", "/logout")):
            continue  # ends the sessions of the others; tried in the second way
        for field_name in set(form.kinds) - {"csrf_token"}:
            kind, value = form.kinds[field_name], form.values[field_name]
            special = nasty(kind, value)
            wrong = special if special is not TEXTS else list(islice(texts, 8))
            for one in wrong[:14]:
                before = tables.now()
                answer = send(client, form, {**form.values, field_name: one})
                what = f"{name}: {form.method} {form.action} {field_name}={one[:40]!r}"
                sound(answer, what)
                tried += 1
                if answer.status_code >= 400 and not KEEPS_SOMETHING.search(form.action):
                    changed = {t for t, mark in tables.now().items() if mark != before[t]}
                    assert changed <= ON_PURPOSE, f"{what}: {answer.status_code}, yet {changed}"
    assert tried > 10


@pytest.mark.parametrize("name", ["anna", "tora", "olga", "sigrid"])
def test_forms_sent_twice_or_without_their_token(school: World, tables: Tables, name: str) -> None:
    for form in walk(school, name).values():
        if form.method != "POST" or form.action.endswith(("/logout", "/end-sessions")):
            continue
        client = browser(school, name)
        stale = client.csrf_token()
        before = tables.now()
        for token in (None, "", "wrong", "ImEi.aaaa.bbbb", stale[:-3] + "AAA"):
            values = {k: v for k, v in form.values.items() if k != "csrf_token"}
            if token is not None:
                values["csrf_token"] = token
            answer = client.post(form.action, data=values)
            assert answer.status_code == 400, f"{form.action} with {token!r}"
        assert tables.now() == before, f"{form.action} changed something without its token"
        token_of_another = school.anonymous().csrf_token()
        strange = browser(school, name)
        with strange.session_transaction() as session:
            session["csrf_token"] = "another"
        answer = strange.post(form.action, data={**form.values, "csrf_token": token_of_another})
        assert answer.status_code == 400, f"{form.action} with the token of another browser"
        for _ in range(2):
            sound(send(client, form, dict(form.values)), f"again {form.action}")


@settings(
    max_examples=120,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_several_fields_at_once(school: World, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["anna", "tora", "olga", "sigrid"]))
    key = f"forms {name}"
    if key not in CACHE:
        CACHE[key] = (list(walk(school, name).values()), browser(school, name))
    forms, client = CACHE[key]
    form = data.draw(st.sampled_from([one for one in forms if "session" not in one.action]))
    if form.action == "/logout":
        return
    names = sorted(form.kinds) or ["x"]
    spoiled = data.draw(st.dictionaries(st.sampled_from(names), WORDS, min_size=1))
    sound(send(client, form, {**form.values, **spoiled}), f"{name} {form.action} {spoiled}")


@pytest.mark.parametrize("name", PEOPLE)
def test_every_address_with_bodies_that_no_browser_sends(school: World, name: str | None) -> None:
    posts = [(endpoint, places) for endpoint, method, places in cases(school) if method == "POST"]
    for at, (endpoint, places) in enumerate(posts):
        own, *strange = addresses(school, endpoint, places)
        client = browser(school, name)
        light, heavy = bodies(client)
        for number, body in enumerate([*light, heavy[at % len(heavy)]]):
            sound(client.post(own, **body), f"{name}: POST {own} body {number}")
        for url in strange:
            answer = client.post_form(url, dict.fromkeys(FIELDS, str(uuid4())))
            sound(answer, f"{name}: POST {url}")


@pytest.mark.parametrize("name", PEOPLE)
def test_no_post_without_its_token_reaches_a_view(
    school: World, tables: Tables, name: str | None
) -> None:
    before = tables.now()
    client = browser(school, name)
    before["login_session"] = tables.now()["login_session"]
    for endpoint, method, places in cases(school):
        if method == "POST":
            for url in addresses(school, endpoint, places):
                answer = client.post(url, data=dict.fromkeys(FIELDS, "x"))
                allowed = {400} if name is None and is_public(school, endpoint) else {400, 401, 404}
                assert answer.status_code in allowed, f"{name}: {url} {answer.status_code}"
    assert tables.now() == before


@pytest.mark.parametrize("name", PEOPLE)
def test_every_address_with_strange_queries_and_paths(school: World, name: str | None) -> None:
    values = cycle(
        [*RAW, *(one.encode() for one in (*DATES, *NUMBERS, "\x00", "\u202e", "'", "%"))]
    )
    client = browser(school, name)
    for endpoint, method, places in cases(school):
        if method != "GET":
            continue
        for url in addresses(school, endpoint, places):
            for _ in range(4):
                query = "&".join(f"{field}={quote_from_bytes(next(values))}" for field in FIELDS)
                answer = client.get(url, query_string=query)
                sound(answer, f"{name}: GET {url}?{query}")
            raw = client.get(url, environ_overrides={"QUERY_STRING": "next=\xff\xed\xa0\x80&\x00"})
            sound(raw, f"{name}: GET {url} with raw bytes")
        for tail in ("%00", "%ff", "/", "//", "/..", "%2f..%2f", "\u202e", "a" * 3000, ";a", "%0a"):
            path = unquote_to_bytes(url + tail).decode("latin-1")
            answer = client.get("/", environ_overrides={"PATH_INFO": path})
            sound(answer, f"{name}: GET {url}{tail[:20]}")


@pytest.mark.parametrize("day", DAYS)
@pytest.mark.parametrize("place", ["first", "last"])
def test_the_first_and_the_last_day_there_are(school: World, day: str, place: str) -> None:
    client = school.client("sigrid")
    for path in ("/log", "/log.csv"):
        sound(client.get(path, query_string={place: day}), f"{path}?{place}={day}")
    unit = str(school.id("nord"))
    signed = client.post_form("/log/weeks", {"unit": unit, "monday": day, "note": "x"})
    sound(signed, f"signing {day}")
    assert signed.status_code >= 400, "nobody signs such a week"


# -- names of files --------------------------------------------------------------------------


@pytest.mark.parametrize("given", FILE_NAMES, ids=range(len(FILE_NAMES)))
def test_a_file_may_be_called_anything(world: World, given: str) -> None:
    """The name is made harmless, the file is kept, and both pages that show it stand."""
    client = world.client("anna")
    root = f"/classes/{world.id('class nord')}/assignments/{world.id('brev')}"
    body = "".join(
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in (("csrf_token", client.csrf_token()), ("version", "0"), ("text", "a"))
    )
    head = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{given}"\r\n\r\n'
    data = body.encode() + head.encode() + pdf(given) + b"\r\n--b--\r\n"
    kind = "multipart/form-data; boundary=b"
    answer = client.post(f"{root}/files", data=data, content_type=kind)
    assert answer.status_code == 303, answer.text[:300]
    with world.owner() as uow:
        kept = uow.connection().exec_driver_sql("SELECT name FROM handin_file").scalar_one()
    assert len(kept.encode()) <= 120
    assert not set(kept) & set("/\\\x00\u202e\u2066\u200b\t")
    page = client.get(root)
    assert page.status_code == 200
    assert "<img src=x>" not in page.text
