"""The dead-man's beat: when detection goes on, and what is sent where it does."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Response

from stepwatch.agents.deadman import STANDS_S, Look, is_detecting, read_url, send_beat, standing_still
from stepwatch.agents.errors import SettingWrong
from stepwatch.agents.lateness import LAG_MAX_S, OVERDUE_MAX_S, behind, due
from stepwatch.agents.settings import Settings
from tests.cli.console import NOBODY

ONE = ("stepwatch.actions", 0)
OTHER = ("stepwatch.actions", 1)


def look(at_s: float, ends: dict[Any, int], noted: dict[Any, int]) -> Look:
    return Look(at_s, ends, noted)


def test_a_position_that_moves_is_detection_however_far_behind_it_is() -> None:
    before = look(0, {ONE: 1000}, {ONE: 10})
    assert standing_still(before, look(STANDS_S, {ONE: 9000}, {ONE: 11})) == []


def test_a_position_that_stands_while_there_was_something_to_read_is_none() -> None:
    before = look(0, {ONE: 11, OTHER: 5}, {ONE: 10, OTHER: 5})
    assert standing_still(before, look(STANDS_S, {ONE: 11, OTHER: 5}, {ONE: 10, OTHER: 5})) == [ONE]


def test_where_nothing_was_to_be_read_nothing_need_be_read() -> None:
    before = look(0, {ONE: 10}, {ONE: 10})
    # What came a moment ago may well be on its way.
    assert standing_still(before, look(STANDS_S, {ONE: 500}, {ONE: 10})) == []


def test_a_partition_that_is_not_read_stops_the_beat_and_is_named() -> None:
    assert is_detecting([], {0: 0.0}) == (True, "")
    assert is_detecting([ONE], {0: 0.0}) == (False, "not read for 11 s or longer: stepwatch.actions-0")
    detecting, why = is_detecting([("t", number) for number in range(5)], {})
    assert (detecting, why) == (False, "not read for 11 s or longer: t-0, t-1, t-2 and 2 more")


def test_a_decision_that_is_overdue_stops_the_beat_and_one_that_is_not_yet_does_not() -> None:
    assert is_detecting([], {0: OVERDUE_MAX_S}) == (True, "")
    detecting, why = is_detecting([], {0: 1.0, 3: OVERDUE_MAX_S + 1})
    assert not detecting
    assert "partition 3 is due for 31 s" in why


def test_what_is_read_late_is_said_from_a_minute_on_the_worst_of_all() -> None:
    assert behind({}) == ""
    assert behind({ONE: LAG_MAX_S}) == ""
    assert behind({ONE: 61.0, OTHER: 312.4}).startswith("stepwatch.actions-1 is read 312 s late")
    assert due({}) == ""


def test_a_beat_is_one_request_and_any_status_but_2xx_is_none(httpserver: HTTPServer) -> None:
    httpserver.expect_ordered_request("/ping/s3cret").respond_with_data("")
    httpserver.expect_ordered_request("/ping/s3cret").respond_with_data("", status=404)
    url = httpserver.url_for("/ping/s3cret")
    assert send_beat(url) == ""
    assert send_beat(url) == "it answered with status 404; expected 2xx"
    assert len(httpserver.log) == 2


def test_a_redirect_is_not_followed(httpserver: HTTPServer) -> None:
    elsewhere = httpserver.url_for("/elsewhere")
    httpserver.expect_request("/ping").respond_with_response(Response(status=302, headers={"Location": elsewhere}))
    assert send_beat(httpserver.url_for("/ping")) == "it answered with status 302; expected 2xx"
    assert [request.path for request, _ in httpserver.log] == ["/ping"]


def test_where_nobody_answers_that_is_said_without_the_address(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        said = send_beat(f"http://{NOBODY}/s3cret")
    assert said == "no answer (Connection refused)"
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize("text", ["", "ftp://host/s3cret", "s3cret", "http:///s3cret", "http://a/s3cret\nhttp://b/"])
def test_a_file_without_an_address_is_refused_and_not_shown(text: str, tmp_path: Path) -> None:
    file = tmp_path / "deadman"
    file.write_text(text)
    with pytest.raises(SettingWrong, match="expected one address") as refused:
        read_url(Settings(deadman_url_file=file))
    assert "s3cret" not in str(refused.value)


def test_the_address_is_read_from_its_file_and_where_none_is_set_there_is_none(tmp_path: Path) -> None:
    file = tmp_path / "deadman"
    file.write_text("https://hc.example/ping/s3cret\n")
    assert read_url(Settings(deadman_url_file=file)) == "https://hc.example/ping/s3cret"
    assert read_url(Settings()) is None
    with pytest.raises(SettingWrong, match="cannot be read: No such file"):
        read_url(Settings(deadman_url_file=tmp_path / "none"))
