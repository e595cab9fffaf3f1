"""The benchmark's own parts: what it sends is what it says it sends."""

from __future__ import annotations

import io
import re

import pytest

from dask_platform.security.filetypes import Family, sniff
from tools.bench.__main__ import BenchError, Figure, _aims, _check
from tools.bench.decide import Decided
from tools.bench.load import HandIns, Result, _form, pdf

MIB = 1024 * 1024


def test_the_file_is_a_pdf_of_just_that_size_and_like_no_other() -> None:
    one, other = pdf(MIB, "one"), pdf(MIB, "other")
    assert len(one) == len(other) == MIB
    assert one != other
    assert sniff(io.BytesIO(one)).family is Family.PDF


def test_the_form_holds_the_token_and_the_whole_file() -> None:
    kind, body = _form(HandIns((), "the-token", 2000), "x")
    boundary = kind.partition("boundary=")[2].encode()
    parts = body.split(b"--" + boundary)
    assert parts[-1] == b"--\r\n"
    values = {
        re.search(rb'name="([^"]+)"', part)[1]: part.partition(b"\r\n\r\n")[2][:-2]  # type: ignore[index]
        for part in parts[1:-1]
    }
    assert values[b"csrf_token"] == b"the-token"
    assert len(values[b"file"]) == 2000


@pytest.mark.parametrize(
    "result",
    [
        Result([0.1] * 100, ["/x: 500"]),
        Result([0.1] * 100, [], ran_out=True),
        Result([0.1] * 3, []),
    ],
)
def test_figures_of_a_run_that_went_wrong_are_refused(result: Result) -> None:
    with pytest.raises(BenchError):
        _check("a page", result)


def test_a_missed_aim_is_said() -> None:
    def figure(name: str, per_second: float, sql: float, of_hello: float) -> Figure:
        return Figure(name, per_second, 1.0, 2.0, sql, of_hello, 100)

    figures = [
        figure("course page, student", 100, 6.0, 0.19),
        figure("hand-in of 1 MiB", 20.0, 30.0, 0.1),
    ]
    decided = [Decided(1_000, 9.0, 2.0), Decided(1_000_000, 16.0, 2.0)]
    met = [good for _aim, good, _value in _aims(figures, [100 * MIB, 251 * MIB], decided)]
    assert met == [False, True, True, False, True, False]
