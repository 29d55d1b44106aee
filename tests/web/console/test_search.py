"""Search: any column, in the address, a page at a time, as a file; and never a row of another tenant."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from stepwatch.console import searching
from stepwatch.console.searching import PAGE_ROWS, BadSearch, search_of
from stepwatch.schemas.times import DAY_US
from stepwatch.store.migrate import migrate
from tests.servers import ClickHouseSettings
from tests.store.conftest import emptied, settings_of
from tests.store.rows import at, audit, load
from tests.web.console.pages import NOW_US, Site

HOSTILE = '=HYPERLINK("http://evil.example")'


@pytest.mark.parametrize(
    ("params", "filters"),
    [
        ({}, {}),
        ({"subject": " alice ", "foreign": "x"}, {"subject": "alice"}),
        ({"verdict": "blind", "action": "payments.*"}, {"verdict": "blind", "action": "payments.*"}),
    ],
)
def test_an_address_says_which_columns_are_asked_for(params: dict[str, str], filters: dict[str, str]) -> None:
    found = search_of(params, NOW_US)
    assert found.filters == filters
    assert found.since_us == NOW_US - 7 * DAY_US
    assert found.said() == filters


@pytest.mark.parametrize(
    ("since", "until", "back_us"),
    [("24h", "", DAY_US), ("2d", "2026-11-20", 2 * DAY_US), ("2026-11-18", "2026-11-20T00:00:00Z", 2 * DAY_US)],
)
def test_a_span_ends_at_its_end_and_a_day_begins_at_midnight(since: str, until: str, back_us: int) -> None:
    found = search_of({"since": since, "until": until}, NOW_US)
    assert found.since_us == (found.until_us if until else NOW_US) - back_us


@pytest.mark.parametrize(
    ("params", "named"),
    [
        ({"verdict": "maybe"}, "verdict"),
        ({"outcome": "ok"}, "outcome"),
        ({"since": "yesterday"}, "since"),
        ({"until": "7d"}, "until"),
        ({"after": "1.x"}, "after"),
    ],
)
def test_what_no_column_can_hold_is_named(params: dict[str, str], named: str) -> None:
    with pytest.raises(BadSearch, match=f"^{named}: "):
        search_of(params, NOW_US)


@pytest.mark.parametrize("text", ["x' OR 1=1 --", "{tenants:Array(String)}", "%", "\\"])
def test_what_somebody_types_is_a_value_and_never_a_part_of_the_query(text: str) -> None:
    plain, _ = search_of({"subject": "alice"}, NOW_US).rows(False, ["acme"])
    typed, values = search_of({"subject": text}, NOW_US).rows(False, ["acme"])
    assert typed == plain
    assert values["f_subject"] == text
    pattern, _ = search_of({"subject": "alice*"}, NOW_US).rows(False, ["acme"])
    starred, values = search_of({"subject": f"{text}*"}, NOW_US).rows(False, ["acme"])
    assert starred == pattern
    assert values["f_subject"] == re.sub(r"([\\%_])", r"\\\1", text) + "%"


@pytest.fixture(scope="module")
def site(clickhouse: ClickHouseSettings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A console beside tables with a small world: two tenants, and more of one second than a page takes."""
    settings = settings_of(clickhouse)
    with emptied(clickhouse) as db:
        migrate(db, settings.clickhouse_database)
        many = [audit(f"many-{n:03}", subject="carol", time=at("09:00:00")) for n in range(2 * PAGE_ROWS + 1)]
        load(
            db, "audit", *many,
            audit("a-1", resource_id=HOSTILE, time=at("09:01:00")),
            audit("a-2", verdict="verified", reason="step_up", verification="v-1", time=at("09:02:00")),
            audit("b-1", tenant="globex", subject="bob_1", action="iam.role.grant", time=at("09:01:30")),
            audit("old", time="2026-10-01T00:00:00.000000Z"),
        )  # fmt: skip
        changes = {name: getattr(settings, name) for name in settings.model_fields_set if "clickhouse" in name}
        site = Site(tmp_path_factory.mktemp("search"), **changes)
        for name, tenants in (("of-acme", ["acme"]), ("of-all", ["*"])):
            site.user(name, "viewer", *tenants)
        yield site
        site.console.tables.close()


def ids(text: str) -> list[str]:
    """The actions that a page links to, in their order."""
    return re.findall(r'href="/action\?[^"]*?id=([^&"]+)', html.unescape(text))


@pytest.mark.live
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("subject=alice", ["a-2", "a-1"]),
        ("subject=ali*", ["a-2", "a-1"]),
        ("subject=bob_*", ["b-1"]),
        ("subject=bo__1", []),
        ("subject=alice&verdict=unverified", ["a-1"]),
        ("verification=v-1", ["a-2"]),
        ("action=iam.*", ["b-1"]),
        ("tenant=globex", ["b-1"]),
        ("subject=alice&since=90d", ["a-2", "a-1", "old"]),
        ("subject=alice&until=2026-11-24T09:02:00Z", ["a-1"]),
        ("subject=nobody", []),
    ],
)
def test_a_search_finds_by_any_column_the_newest_first(site: Site, query: str, found: list[str]) -> None:
    page = site.signed_in("of-all").get(f"/search?{query}")
    assert page.status_code == 200
    assert ids(page.text) == found
    assert ("Nothing was found" in page.text) == (not found)


@pytest.mark.live
def test_pages_go_on_where_the_last_one_ended_within_one_second_too(site: Site) -> None:
    browser, seen = site.signed_in("of-all"), []
    where = "/search?subject=carol"
    for _ in range(3):
        page = browser.get(where).text
        seen += ids(page)
        following = re.search(r'<a href="([^"]+)" rel="next">', page)
        where = html.unescape(following[1]) if following else ""
    assert where == ""
    assert seen == [f"many-{n:03}" for n in range(2 * PAGE_ROWS + 1)]


@pytest.mark.live
def test_a_viewer_of_one_tenant_finds_and_takes_along_nothing_of_another(site: Site) -> None:
    browser = site.signed_in("of-acme")
    for query in ("", "?tenant=globex", "?subject=bob_1", "?subject=*"):
        assert "b-1" not in ids(browser.get(f"/search{query}").text)
        assert "globex" not in browser.get(f"/search.csv{query}").text
    assert "globex" in site.signed_in("of-all").get("/search.csv?subject=*").text


@pytest.mark.live
def test_a_search_is_taken_along_whole_and_no_cell_is_a_formula(site: Site) -> None:
    browser = site.signed_in("of-all")
    answer = browser.get("/search.csv?subject=alice")
    assert answer.headers["content-disposition"].startswith('attachment; filename="stepwatch-2026-11-24T')
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["action_id"] for row in rows] == ["a-2", "a-1"]
    assert rows[1]["resource_id"] == f"'{HOSTILE}"
    parquet = browser.get("/search.parquet?subject=alice").content
    assert (parquet[:4], parquet[-4:]) == (b"PAR1", b"PAR1")


@pytest.mark.live
def test_a_file_that_is_too_long_ends_at_the_newest_rows(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "EXPORT_ROWS_MAX", 3)
    rows = list(csv.DictReader(io.StringIO(site.signed_in("of-all").get("/search.csv?subject=*").text)))
    assert [row["action_id"] for row in rows] == ["a-2", "b-1", "a-1"]


@pytest.mark.live
def test_beyond_a_few_exports_at_a_time_the_next_is_asked_to_wait(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = site.signed_in("of-all")
    monkeypatch.setattr(site.console.exporting, "locked", lambda: True)
    answer = browser.get("/search.csv")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")


def test_a_wrong_search_is_a_page_that_says_what_was_expected(tmp_path: Path) -> None:
    answer = Site(tmp_path).signed_in().get("/search?verdict=maybe")
    assert answer.status_code == 400
    assert "verdict: expected one of unverified, blind" in answer.text


def test_while_clickhouse_is_away_the_page_says_so_and_keeps_the_search(tmp_path: Path) -> None:
    answer = Site(tmp_path).signed_in().get("/search?subject=alice")
    assert answer.status_code == 503
    assert "ClickHouse" in answer.text
    assert 'name="subject" value="alice"' in answer.text
