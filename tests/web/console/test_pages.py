"""What stands on the pages: names of strangers made harmless, filters in the address, what is away said in words."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest

from stepwatch.console.shown import coded, moment, outer_link, path, shown, us_of, when
from tests.web.console.pages import Site, alert, csrf_of

HOSTILE = "\"><img src=x onerror=alert(1)><script>alert(2)</script>\u202e\x1b[2J'&"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path, alert())


def test_whatever_a_producer_names_a_thing_it_is_text_on_the_page(tmp_path: Path) -> None:
    texts = dict.fromkeys(
        ("subject", "policy", "reason", "title", "explanation", "runbook", "owner", "tenant"), HOSTILE
    )
    site = Site(tmp_path, alert(alert_id="al_" + "1" * 32, actions=[HOSTILE], **texts))
    browser = site.signed_in()
    for page in (browser.get("/"), browser.get("/alerts"), browser.get("/alerts/al_" + "1" * 32)):
        assert page.status_code == 200
        assert "<img" not in page.text
        assert "<script>" not in page.text
        assert "\u202e" not in page.text
        assert "\x1b" not in page.text
        assert "&lt;img src=x onerror=alert(1)&gt;" in page.text
        for address in re.findall(r'href="([^"]*)"', page.text):
            assert html.unescape(address).startswith(("/", "#main"))
            assert " " not in address


def test_a_runbook_is_a_link_only_where_it_is_an_address_of_the_web() -> None:
    assert outer_link("https://runbooks.example/a") == "https://runbooks.example/a"
    assert [
        outer_link(text) for text in ("javascript:alert(1)", "call rosa", "http://[", "//evil.example", "data:x")
    ] == [""] * 5


def test_words_in_backticks_are_code_and_all_of_it_is_escaped() -> None:
    assert coded("run `a <b>` now & then") == "run <code>a &lt;b&gt;</code> now &amp; then"


def test_an_address_quotes_what_it_holds_and_leaves_out_what_is_empty() -> None:
    assert (
        path("/subject", tenant="a b", subject="x&y=z/é", until="") == "/subject?tenant=a+b&subject=x%26y%3Dz%2F%C3%A9"
    )


def test_a_time_is_utc_with_its_age_beside_it() -> None:
    at_us = us_of("2026-11-24 09:02:20.000000")
    assert moment(at_us) == "2026-11-24 09:02:20"
    assert ">2026-11-24 09:02:20</time>" in when(at_us, at_us + 59_900_000)
    ages = [re.sub("<[^>]*>", "", str(when(0, age_s * 1_000_000)))[20:] for age_s in (59, 60, 36_000, 172_800)]
    assert ages == ["59 s ago", "1 min ago", "10 h ago", "2 d ago"]
    assert "in 1 min" in when(at_us, at_us - 60_000_000)


def test_a_long_value_is_cut_and_says_so() -> None:
    assert shown("x" * 5000, 10) == "x" * 9 + "…"


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        ("", {"al_open", "al_ack"}),
        ("state=all", {"al_open", "al_ack", "al_done"}),
        ("state=resolved", {"al_done"}),
        ("state=acknowledged", {"al_ack"}),
        ("severity=high", {"al_ack"}),
        ("kind=blind&state=all", {"al_done"}),
        ("policy=grant", {"al_ack"}),
        ("subject=bob&state=all", {"al_done"}),
        ("tenant=nobody", set()),
    ],
)
def test_filters_stand_in_the_address(tmp_path: Path, query: str, titles: set[str]) -> None:
    site = Site(
        tmp_path,
        alert("al_open"),
        alert("al_ack", state="acknowledged", severity="high", policy="grant"),
        alert("al_done", state="resolved", resolved_by="person", kind="blind", subject="bob"),
    )
    page = site.signed_in().get(f"/alerts?{query}").text
    assert set(re.findall(r"title of (\w+)<", page)) == titles


@pytest.mark.parametrize("query", ["state=gone", "severity=worst", "kind=x", "after=!!"])
def test_a_filter_that_there_is_not_is_refused_in_words(site: Site, query: str) -> None:
    answer = site.signed_in().get(f"/alerts?{query}")
    assert answer.status_code == 400
    assert "<h1>No such" in answer.text


def test_more_alerts_than_a_page_takes_are_on_the_next_each_once(tmp_path: Path) -> None:
    site = Site(tmp_path, *(alert(f"al_{number}") for number in range(120)))
    browser, where, seen = site.signed_in(), "/alerts", []
    for _ in range(3):
        page = browser.get(where).text
        seen += re.findall(r"title of (\w+)<", page)
        found = re.search(r'href="([^"]+)" rel="next"', page)
        where = html.unescape(found[1]) if found else ""
    assert where == ""
    assert sorted(seen) == sorted(f"al_{number}" for number in range(120))


def test_with_no_alert_the_pages_say_what_that_means_and_what_to_do(tmp_path: Path) -> None:
    browser = Site(tmp_path).signed_in()
    assert "No alert waits for anybody" in browser.get("/alerts").text
    assert "No alert is so" in browser.get("/alerts?severity=low").text
    assert "No alert is open. When somebody" in browser.get("/").text


def test_alerts_that_are_not_read_any_more_stay_on_the_page_which_says_so(site: Site) -> None:
    browser = site.signed_in()
    site.console.board.as_of_us = us_of("2026-11-24T09:02:20Z")
    site.console.board.stops("no answer from Kafka at 127.0.0.1:9")
    for where in ("/", "/alerts", "/alerts/al_1"):
        page = browser.get(where).text
        assert "title of al_1" in page
        assert "no answer from Kafka at 127.0.0.1:9; what is shown was read until 2026-11-24 09:02:20 UTC" in page


def test_an_alert_before_all_were_read_is_not_said_to_be_unknown(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.console.board.alerts, site.console.board.away = None, "they are being read for the first time"
    browser = site.signed_in()
    assert browser.get("/alerts/al_1").status_code == 503
    assert "being read for the first time" in browser.get("/alerts").text


def test_a_page_that_lives_from_clickhouse_says_that_it_is_away_and_an_alert_shows_what_it_has(site: Site) -> None:
    browser = site.signed_in()
    for where in ("/action?tenant=acme&source=/a&id=1", "/subject?tenant=acme&subject=alice"):
        answer = browser.get(where)
        assert answer.status_code == 503
        assert "ClickHouse is away" in answer.text
    page = browser.get("/alerts/al_1")
    assert page.status_code == 200
    assert "which holds verdicts and proofs, cannot say" in page.text
    assert "the last proof was too old" in page.text


@pytest.mark.parametrize("where", ["/action?tenant=acme&source=/a", "/action", "/subject?tenant=acme"])
def test_an_address_that_is_not_whole_is_refused_by_what_it_lacks(site: Site, where: str) -> None:
    assert "missing" in site.signed_in().get(where).text


@pytest.mark.parametrize(
    ("decision", "form", "status", "words"),
    [
        ("note", {"note": "  "}, 400, "the note is empty"),
        ("acknowledge", {"note": "n" * 1001}, 400, "expected at most 1,000"),
        ("acknowledge", {"seen": "2"}, 400, "expected 1 to 1"),
        ("acknowledge", {"seen": "0"}, 400, "expected 1 to 1"),
        ("acknowledge", {"seen": "x"}, 400, "expected 1 to 1"),
        ("acknowledge", {"seen": "9" * 5000}, 400, "expected 1 to 1"),
        ("resolve", {}, 503, "Kafka does not answer"),
    ],
)
def test_a_decision_that_cannot_be_taken_says_why(
    site: Site, decision: str, form: dict[str, str], status: int, words: str
) -> None:
    browser = site.signed_in()
    said = {"csrf": csrf_of(browser.get("/")), "seen": "1", "note": "why", **form}
    answer = browser.post(f"/alerts/al_1/{decision}", data=said)
    assert (answer.status_code, words in answer.text) == (status, True)


def test_a_decision_that_would_change_nothing_is_refused_and_the_note_is_kept(tmp_path: Path) -> None:
    site = Site(tmp_path, alert(state="resolved", resolved_by="person"))
    browser = site.signed_in()
    said = {"csrf": csrf_of(browser.get("/")), "seen": "1", "note": "a long story"}
    answer = browser.post("/alerts/al_1/acknowledge", data=said)
    assert answer.status_code == 409
    assert "resolved already by person" in answer.text
    assert ">a long story</textarea>" in answer.text


def test_the_overview_begins_with_what_is_wrong_and_what_to_do(tmp_path: Path) -> None:
    site = Site(tmp_path, alert())
    page = site.signed_in().get("/").text
    head = re.search(r"<h1>(.*?)</h1><p>(.*?)</p>", page)
    assert head is not None
    assert head[1].startswith("The watcher is not well: ClickHouse: away")


def test_a_piece_that_refreshes_itself_is_the_page_without_its_frame(site: Site) -> None:
    browser = site.signed_in()
    piece = browser.get("/alerts", headers={"HX-Request": "true"}).text
    assert "<html" not in piece
    assert 'id="list"' in piece


def test_the_board_holds_the_newest_version_only(site: Site) -> None:
    site.put(alert(version=2, state="acknowledged"))
    site.put(alert(version=1, state="open"))
    page = site.signed_in().get("/alerts/al_1").text
    assert "acknowledged</span>" in page
    assert "open</span>" not in page
