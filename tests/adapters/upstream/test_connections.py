"""Connections are used again where that is safe, and only there."""

from __future__ import annotations

import ipaddress
import ssl
import threading
import time

import pytest

from dask_platform.adapters.upstream import HttpsUpstream, tls_context
from dask_platform.adapters.upstream import pool as pools
from dask_platform.adapters.upstream.line import Watch, connect
from dask_platform.kernel.errors import UpstreamAnswerRefused, UpstreamUnavailable
from dask_platform.kernel.ports import UpstreamRequest
from dask_platform.security.addresses import Outside
from tests.adapters.upstream.authority import Authority
from tests.adapters.upstream.conftest import HOST, PUBLIC, Setting
from tests.adapters.upstream.servers import saying

PAGE = UpstreamRequest(f"https://{HOST}/")
FORM = UpstreamRequest(f"https://{HOST}/", method="POST", form=b"a=1")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def get(upstream: HttpsUpstream, asked: UpstreamRequest = PAGE) -> bytes:
    with upstream.fetch(asked, largest=1000, seconds=5) as answer:
        return b"".join(answer.body)


def test_one_connection_serves_many_pages(setting: Setting, upstream: HttpsUpstream) -> None:
    for _ in range(5):
        assert get(upstream) == b"ok"
    assert setting.web.accepted == 1
    assert setting.dns.queries == [(HOST, "A"), (HOST, "AAAA")]


def test_a_chunked_answer_leaves_it_free(setting: Setting, upstream: HttpsUpstream) -> None:
    setting.web.answer = saying(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", more=True
    )
    assert get(upstream) + get(upstream) == b"okok"
    assert setting.web.accepted == 1


def test_an_answer_without_body_leaves_it_free(setting: Setting, upstream: HttpsUpstream) -> None:
    setting.web.answer = saying(b"HTTP/1.1 204 None\r\n\r\n", more=True)
    get(upstream)
    get(upstream)
    assert setting.web.accepted == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nConnection: X-A, Close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ],
)
def test_one_that_is_to_be_closed_is(
    setting: Setting, upstream: HttpsUpstream, answer: bytes
) -> None:
    setting.web.answer = saying(answer, more=True)
    assert get(upstream) + get(upstream) == b"okok"
    assert setting.web.accepted == 2


def test_one_with_an_unread_answer_is_not_used_again(
    setting: Setting, upstream: HttpsUpstream
) -> None:
    setting.web.answer = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", more=True, pause=0)
    upstream.fetch(PAGE, largest=1000, seconds=5).close()
    setting.web.answer = saying(OK, more=True)
    assert get(upstream) == b"ok"
    assert setting.web.accepted == 2


def test_an_answer_that_nobody_asked_for_is_never_read(
    setting: Setting, upstream: HttpsUpstream
) -> None:
    """A site that slips a second answer in would otherwise choose what the next student sees."""

    def twice(line: ssl.SSLSocket, request: bytes) -> bool:
        line.sendall(OK)
        time.sleep(0.1)
        line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        return True

    setting.web.answer = twice
    assert get(upstream) == b"ok"
    time.sleep(0.2)
    setting.web.answer = saying(OK, more=True)
    assert get(upstream) == b"ok"
    assert setting.web.accepted == 2


def test_an_answer_behind_the_answer_is_refused(setting: Setting, upstream: HttpsUpstream) -> None:
    setting.web.answer = saying(OK + OK, more=True)
    with pytest.raises(UpstreamAnswerRefused):
        get(upstream)


def test_one_that_was_closed_meanwhile_is_replaced(
    setting: Setting, upstream: HttpsUpstream
) -> None:
    setting.web.answer = saying(OK)
    for _ in range(3):
        assert get(upstream) == b"ok"
        time.sleep(0.05)
    assert setting.web.accepted == 3


def test_one_that_closes_on_being_asked_is_replaced_once(
    setting: Setting, upstream: HttpsUpstream
) -> None:
    seen = 0

    def tired(line: ssl.SSLSocket, request: bytes) -> bool:
        nonlocal seen
        seen += 1
        if seen == 2:
            return False
        line.sendall(OK)
        return True

    setting.web.answer = tired
    assert get(upstream) == b"ok"
    assert get(upstream) == b"ok"
    assert setting.web.accepted == 2
    assert seen == 3


def test_a_form_is_never_sent_twice(setting: Setting, upstream: HttpsUpstream) -> None:
    assert get(upstream) == b"ok"
    setting.web.answer = saying(b"")
    with pytest.raises(UpstreamUnavailable):
        get(upstream, FORM)
    assert setting.web.accepted == 2
    assert sum(request.startswith(b"POST") for request in setting.web.requests) == 1


def test_after_its_time_the_name_is_asked_again(setting: Setting) -> None:
    upstream = setting.upstream(oldest=0.2)
    get(upstream)
    get(upstream)
    assert setting.web.accepted == 1
    time.sleep(0.25)
    get(upstream)
    assert setting.web.accepted == 2
    assert len(setting.dns.queries) == 4
    upstream.close()


def test_none_is_kept_where_that_is_so_set(setting: Setting) -> None:
    upstream = setting.upstream(oldest=0)
    get(upstream)
    get(upstream)
    assert setting.web.accepted == 2
    upstream.close()


def test_one_host_never_gets_the_connection_of_another(
    setting: Setting, authority: Authority, upstream: HttpsUpstream
) -> None:
    setting.web.tls = authority.server(HOST, "other.example")
    setting.dns.zone.answers["other.example", "A"] = [PUBLIC]
    get(upstream)
    get(upstream, UpstreamRequest("https://other.example/"))
    assert setting.web.accepted == 2


def test_no_more_are_kept_than_is_set(setting: Setting, upstream: HttpsUpstream) -> None:
    gate = threading.Barrier(pools.MOST_PER_HOST + 4)

    def together(line: ssl.SSLSocket, request: bytes) -> bool:
        gate.wait(5)
        line.sendall(OK)
        return True

    setting.web.answer = together
    threads = [threading.Thread(target=get, args=(upstream,)) for _ in range(gate.parties)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert setting.web.accepted == gate.parties
    assert upstream.kept() == pools.MOST_PER_HOST


def test_an_address_that_has_been_closed_since_is_not_used_again(
    setting: Setting, authority: Authority
) -> None:
    # TLS 1.2 says nothing after its handshake, so that the connection is quiet without a request.
    setting.web.tls = authority.server(HOST, newest=ssl.TLSVersion.TLSv1_2)
    line = connect(
        HOST,
        ipaddress.ip_address(PUBLIC),
        tls_context(setting.ca_file),
        Watch(5, lambda: False),
        seconds=5,
        places={ipaddress.ip_address(PUBLIC): ("127.0.0.1", setting.web.port)},
    )
    still_open = pools.Pool(Outside(opened=[PUBLIC]))
    still_open.put(HOST, line)
    assert still_open.take(HOST) is line
    closed_since = pools.Pool(Outside())
    closed_since.put(HOST, line)
    assert closed_since.take(HOST) is None
    assert len(closed_since) == 0


def test_many_students_at_once(setting: Setting, upstream: HttpsUpstream) -> None:
    """Nobody gets another's answer."""

    def echo(line: ssl.SSLSocket, request: bytes) -> bool:
        path = request.split(b" ")[1]
        line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(path), path))
        return True

    setting.web.answer = echo
    wrong: list[bytes] = []

    def student(number: int) -> None:
        for turn in range(20):
            path = f"/{number}/{turn}"
            said = get(upstream, UpstreamRequest(f"https://{HOST}{path}"))
            if said != path.encode():
                wrong.append(said)

    threads = [threading.Thread(target=student, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert wrong == []
    assert len(setting.web.requests) == 240
    assert setting.web.accepted < 60
