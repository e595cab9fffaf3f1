"""A school in which things have happened, so that no page is looked at empty."""

from __future__ import annotations

from datetime import timedelta
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from sqlalchemy import text

from dask_platform.adapters.scanner.fake import EICAR
from dask_platform.features.courses.load import load_content
from dask_platform.features.courses.models import (
    ClassTeacher,
    CompetenceAim,
    Course,
    CourseClass,
    Enrolment,
    Item,
    Module,
)
from dask_platform.features.handins import marking, service
from dask_platform.features.handins.marking import Given
from dask_platform.features.identity.service import second_factor
from dask_platform.features.whitelists.service import requests
from tests.copies import PNG, File, make_zim, page
from tests.features.handins.desk import Desk, pdf
from tests.features.whitelists.office import Office, elsewhere, good
from tests.world import World

CONTENT = Path(__file__).parents[2] / "content"
#: Who reads the pages in another language than bokmål.
LOCALES = {"tora": "nn", "olga": "en", "bo": "en", "stein": "nn"}
#: Staff with a second factor.
WITH_SECOND_FACTOR = "stein"


def fill(world: World) -> None:
    """A draft with a file, returned work, work that waits, a stopped file, the real courses, a
    course of the school's own, a second factor, and a week that nobody has reviewed."""
    with world.owner() as uow:
        load_content(uow, world.platform.files, CONTENT, now=world.clock.now())
        for name, locale in LOCALES.items():
            uow.execute(
                text("UPDATE person SET locale = :locale WHERE id = :id"),
                {"locale": locale, "id": world.id(name)},
            )
    _classes(world)
    _handed_in(world)
    _second_factor(world)
    _whitelists(world)
    _copy(world)
    # Sessions begin after this: what happened so far lies in a week that is over.
    world.clock.move(timedelta(days=8))


def _classes(world: World) -> None:
    now = world.clock.now()
    with world.owner() as uow:
        real = uow.scalars(text("SELECT id FROM course WHERE slug = 'digital-grunnkurs'")).one()
        own = Course(
            id=uuid4(), slug="eget", school_id=world.id("school nord"), language="nb",
            title="Eget kurs", summary="Skolens eget.", updated_at=now,
        )  # fmt: skip
        taught = CourseClass(
            id=uuid4(), course_id=real, unit_id=world.id("nord"), name="Digital", created_at=now
        )
        uow.add_all([own, taught])
        uow.flush()
        uow.add(ClassTeacher(class_id=taught.id, person_id=world.id("tora"), since=now))
        uow.add(Enrolment(class_id=taught.id, person_id=world.id("anna"), enrolled_at=now))
        module = Module(id=uuid4(), course_id=own.id, slug="del", title="Del 1", position=1)
        aim = CompetenceAim(
            course_id=own.id, code="KM1", curriculum="NOR01-06", text="lese noe", as_of=now.date()
        )
        uow.add_all([module, aim])
        uow.flush()
        for position, kind in enumerate(("page", "assignment"), 1):
            uow.add(
                Item(
                    id=uuid4(),
                    course_id=own.id,
                    module_id=module.id,
                    kind=kind,
                    slug=kind,
                    title=f"Egen {kind}",
                    position=position,
                    body_source="## Les\n\nOm noe.",
                    body_html="<h2>Les</h2><p>Om noe.</p>",
                    published=position == 1,
                    aims=["KM1"],
                    grading="grade" if kind == "assignment" else None,
                    files_most=2,
                    file_bytes_most=1024 * 1024,
                    file_types=["pdf", "text"],
                    updated_at=now,
                )
            )


def _handed_in(world: World) -> None:
    desk = Desk(world)
    desk.deadline(desk.now + timedelta(days=20), desk.now + timedelta(days=30))
    returned = desk.save("Først skrev jeg dette.")
    desk.scan(desk.add(pdf("en")))
    desk.hand_in(returned)
    tora = desk.actor("tora")
    with world.uow("tora") as uow:
        marking.return_marking(uow, tora, returned, Given("5", "Fint. Skriv mer.", 0), desk.now)
    with desk.acting("anna") as (uow, anna, task):
        service.start_again(uow, anna, task, desk.now)
    desk.add(pdf("to"))
    desk.handed_in("Ferdig.", item="skjema")
    waiting = desk.save("Bo sitt svar.", name="bo")
    desk.scan(desk.add(pdf("tre"), name="bo"))
    desk.scan(desk.add(b"tekst " + EICAR, "spill.txt", name="bo"))
    desk.hand_in(waiting, name="bo")


def _whitelists(world: World) -> None:
    """Rules of every kind, one with a history, proposals that wait and one that is decided, stops
    in every state, wishes that wait and one that is refused."""
    office, today = Office(world), world.clock.now().date()
    hours = [{"days": ["mon", "tue"], "from": "08:00", "to": "15:30"}]
    office.load(
        good(world),
        good(world, paths=["/katt", "/hund"], closed=["/katt/prat"], examples={
            "pass": ["https://leksikon.no/katt"], "refuse": ["https://leksikon.no/katt/prat"]}),
        elsewhere(world, "kart", supervised=True, hours=hours),
        elsewhere(world, "snart", expires=(today + timedelta(days=20)).isoformat()),
        good(world, id="steng", effect="deny", paths=["/prat"],
             examples={"pass": [], "refuse": ["https://leksikon.no/prat"]}),
    )  # fmt: skip
    office.load(elsewhere(world, "verksted", scope={"units": ["nord"]}), unit="nord")
    office.propose("sigrid", good(world, subdomains=True))
    office.propose("sverre", elsewhere(world, "ny"))
    office.propose("stein", None, rule_id="verksted", unit="nord")
    office.refuse("sverre", office.propose("sigrid", elsewhere(world, "avslag")))
    for who in ("sigrid", "stein"):
        office.ask_reopen(who, office.stop(who, "stop_rule", "leksikon", world.id("nord")))
        office.agree("stein" if who == "sigrid" else "sigrid",
                     office.stop(who, "stop_rule", "leksikon", world.id("nord")))  # fmt: skip
    office.stop("sigrid", "stop_room", world.id("room"))
    office.ask_reopen("sigrid", office.stop("sigrid", "stop_student", world.id("dag")))
    with world.uow("sigrid") as uow:
        requests.refuse(
            uow, world.actor("sigrid"), office.wish("anna"), "Siden har chat.", world.clock.now()
        )
    office.wish("anna", "https://leksikon.no/en/ganske/lang/adresse/med/mange/deler?side=12345678")
    office.wish("tora", class_id=world.id("class nord"), wanted_until=today + timedelta(days=60))


def _copy(world: World) -> None:
    """A copy of a site that no rule shows yet."""
    files = (
        page("Start", "Verktøy", '<p>Om <a href="Hammer">hammer</a></p><img src="h.png" alt="H">'),
        page("Hammer", "Hammer", "<p>Slår spiker.</p>"),
        File("h.png", PNG, "image/png"),
    )
    with TemporaryDirectory() as folder:
        zim = make_zim(Path(folder) / "verktoy.zim", files, main="Start")
        added = {"file": (BytesIO(zim.read_bytes()), zim.name)}
        answer = world.client("sigrid").post_form("/whitelists/copies/add", added)
    assert answer.status_code == 303, answer.text


def _second_factor(world: World) -> None:
    actor = world.actor(WITH_SECOND_FACTOR)
    with world.uow(WITH_SECOND_FACTOR) as uow:
        second_factor.begin(uow, actor, world.settings)
    with world.owner() as uow:
        uow.execute(
            text("UPDATE totp_secret SET confirmed_at = :now WHERE person_id = :id"),
            {"now": world.clock.now(), "id": actor.person_id},
        )
