"""The broker's benchmark: its pages are what they say, its client reads what it says, and a missed
aim is said."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tools.bench import broker_addon
from tools.bench.broker import Brokered, Large, Line, Students
from tools.bench.broker_load import Address, LoadError, drain, hammer, one_by_one, request
from tools.bench.broker_pages import PAGE, PICTURES, page, write

MIB = 1024 * 1024
LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"


@contextmanager
def answering(*answers: bytes) -> Iterator[Address]:
    """A server that gives each request on a connection the next answer, the last one for ever."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    line, _from = server.accept()
                except OSError:
                    return
                # Who measures closes in the middle of an answer when the time is up.
                with line, suppress(ConnectionError):
                    at = 0
                    while line.recv(65536):
                        line.sendall(answers[min(at, len(answers) - 1)])
                        at += 1

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield Address(server.getsockname()[1])
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize("number", [0, 7, 199])
def test_a_page_is_48_kb_of_what_pages_hold(number: int) -> None:
    made = page(number)
    assert PAGE - 2048 < len(made.encode()) <= PAGE
    assert made == page(number)
    assert made != page(number + 1)
    assert made.count("<a ") > 100
    assert made.count("<img ") == PICTURES + 1
    for part in ("<script", "<iframe", "onload=", "<table", "<form", "style=", "</html>"):
        assert part in made


def test_a_site_has_every_picture_that_its_pages_show(tmp_path: Path) -> None:
    write(tmp_path, pages=2)
    for number in range(2):
        shown = (tmp_path / "artikkel" / str(number)).read_text()
        for at in range(PICTURES):
            assert f"/bilde/{number}-{at}.png" in shown
            assert (tmp_path / "bilde" / f"{number}-{at}.png").exists()
    assert (tmp_path / "bilde/logo.png").stat().st_size == 1024
    assert (tmp_path / "fil/film.webm").stat().st_size == 50 * MIB


@pytest.mark.parametrize("answer", [LENGTH, CHUNKED])
def test_whole_answers_are_counted(answer: bytes) -> None:
    with answering(answer) as address:
        found = hammer(address, [request("/", "x")], connections=1, seconds=0.2)
    assert len(found.seconds) > 10
    assert found.per_second == len(found.seconds) / 0.2


def test_one_by_one_and_a_large_one() -> None:
    with answering(LENGTH) as address:
        assert len(one_by_one(address, [request("/", "x")], count=5, rest=0).seconds) == 5
        assert drain(address, request("/", "x"), 5) > 0


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nno end",
    ],
)
def test_anything_but_an_answer_ends_the_measuring(answer: bytes) -> None:
    with answering(LENGTH, answer) as address, pytest.raises(LoadError):
        hammer(address, [request("/", "x")], connections=1, seconds=0.2)


def test_the_yardstick_rewrites() -> None:
    class Flow:
        class response:  # noqa: N801 - as mitmproxy has it
            headers = {"content-type": "text/html; charset=utf-8"}  # noqa: RUF012
            text = page(1)

    broker_addon.response(Flow)
    made = Flow.response.text
    assert "<script" not in made
    assert "<iframe" not in made
    assert "onload" not in made
    assert "http://facebook-com.ressurs.localhost/leksikon" in made


def found(**changed: float) -> Brokered:
    given = {
        "ours": 1000.0, "added": 2.0, "page": 200.0, "rate": 200.0, "growth": MIB, "p95": 150.0,
    } | changed  # fmt: skip
    return Brokered(
        small=[Line("ours", given["ours"], given["added"]), Line("squid", 4000.0, 0.5)],
        pages=[Line("ours, one page", given["page"]), Line("mitmdump", 90.0), Line("pywb", 9.0)],
        large=[Large("ours", given["rate"], int(given["growth"])), Large("nginx", 300.0, 0)],
        students=[
            Students("quiet", 1, 1, 50.0, 100.0, 200.0, {}),
            Students("disturbed", 1, 1, 50.0, given["p95"], 200.0, {}),
        ],
    )


def missed(of: Brokered) -> list[str]:
    return [aim for aim, met, _value in of.aims() if not met]


def test_all_aims_can_be_met() -> None:
    assert missed(found()) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"ours": 790.0}, "of squid"),
        ({"added": 3.1}, "added"),
        ({"page": 179.0}, "of pywb"),
        ({"rate": 149.0}, "of nginx"),
        ({"growth": 30.0 * MIB}, "memory"),
        ({"p95": 201.0}, "students' p95"),
    ],
)
def test_a_missed_aim_is_said(changed: dict[str, float], said: str) -> None:
    assert any(said in aim for aim in missed(found(**changed)))


def test_what_is_not_installed_is_no_yardstick() -> None:
    made = found()
    made.pages[1:] = [Line("mitmdump", None), Line("pywb", None)]
    assert not [aim for aim, _met, _value in made.aims() if "mitmdump" in aim or "pywb" in aim]
