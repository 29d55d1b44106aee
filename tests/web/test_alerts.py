"""Alerts as the API holds them: what is held, in which order, what is asked, and what waits for a slow client."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass
from typing import Any

import pytest
from starlette.datastructures import QueryParams

from stepwatch.agents.alert_log import AlertState, WantedAlerts, read_state, worst_first
from stepwatch.agents.responding import build_response
from stepwatch.ingest.alert_routes import name_of
from stepwatch.ingest.alerts import STEPS_MAX, Alerts, BadCursor, cursor_of, place_from
from stepwatch.ingest.asked import LIMIT_MAX, NAME_MAX, TEXT_MAX, read_cursor, read_decision, read_limit, read_wanted
from stepwatch.ingest.problems import Problem
from stepwatch.ingest.streams import WAITING_MAX, Ended, Stream, Streams
from stepwatch.ingest.tokens import Token
from stepwatch.schemas.times import parse_time
from tests.store.rows import alert, at

ALL = WantedAlerts()


@dataclass(frozen=True)
class Record:
    """A record of Kafka, as far as it is looked at."""

    value: bytes | None
    key: bytes = b""
    partition: int = 1
    timestamp: int = 1_795_511_000_000


def anybody(tenant: str) -> bool:
    return True


def state(version: int = 1, **columns: Any) -> AlertState:
    said = read_state(alert(version, **columns))
    assert said is not None
    return said


def holding(*values: bytes, **bounds: int) -> Alerts:
    alerts = Alerts(**bounds)
    for value in values:
        alerts.take_alert(Record(value))
    return alerts


def decision(alert_id: str = "al_1", note: str = "", **changes: Any) -> Record:
    said = build_response(state(alert_id=alert_id), "note", "rosa", note, 1, 1_795_511_000_000_000)
    return Record(said.model_copy(update=changes).model_dump_json().encode())


def test_a_newer_version_replaces_an_older_one_and_never_the_other_way_round() -> None:
    alerts = holding(alert(1), alert(3, state="acknowledged"))
    assert alerts.take_alert(Record(alert(2))) is None
    standing = alerts.get("al_1")
    assert standing is not None
    assert (standing.alert["version"], standing.partition) == (3, 1)


def test_a_tombstone_takes_the_alert_its_history_and_its_decisions() -> None:
    alerts = holding(alert(1))
    alerts.take_response(decision())
    assert alerts.take_alert(Record(None, b"acme/al_1")) is None
    assert (len(alerts), alerts.get("al_1"), alerts.history("al_1")) == (0, None, ([], 0))
    assert not alerts.has_decision("al_1", "any")


@pytest.mark.parametrize("value", [b"", b"{}", b"\xff", b'{"alert_id":7}'])
def test_a_record_that_is_no_alert_changes_nothing(value: bytes) -> None:
    alerts = holding(alert(1))
    assert alerts.take_alert(Record(value, b"acme/al_1")) is None
    alerts.take_response(Record(value))
    assert len(alerts) == 1


def test_the_history_has_each_version_and_each_decision_once_in_order_of_time() -> None:
    alerts = holding(alert(1, updated_at=at("09:15:02")), alert(2, state="resolved", updated_at=at("23:15:02")))
    for _ in range(2):
        alerts.take_response(decision(at=at("10:00:00"), note="on a train"))
    steps, omitted = alerts.history("al_1")
    assert [(step.what, step.version, step.note) for step in steps] == [
        ("change", 1, "payout approved without proof"),
        ("decision", 1, "on a train"),
        ("change", 2, "payout approved without proof"),
    ]
    assert omitted == 0


def test_of_a_long_history_the_newest_hundred_are_held_and_the_others_are_counted() -> None:
    alerts = holding(*(alert(version) for version in range(1, STEPS_MAX + 1)))
    assert alerts.history("al_1")[1] == 0
    alerts.take_alert(Record(alert(STEPS_MAX + 1)))
    steps, omitted = alerts.history("al_1")
    assert (steps[0].version, steps[-1].version, omitted) == (2, STEPS_MAX + 1, 1)


def test_beyond_the_bound_the_alert_that_was_resolved_first_goes_and_an_open_one_never_does() -> None:
    over = [alert(1, alert_id=f"al_{name}", state="resolved") for name in "xy"]
    alerts = holding(alert(1, alert_id="al_open"), *over, alerts_max=2)
    assert {one["alert_id"] for one in alerts} == {"al_open", "al_y"}
    for name in "abc":
        alerts.take_alert(Record(alert(1, alert_id=f"al_{name}")))
    assert {one["alert_id"] for one in alerts} == {"al_open", "al_a", "al_b", "al_c"}


def test_an_alert_that_opened_again_is_not_the_first_to_go() -> None:
    alerts = holding(alert(1, state="resolved"), alert(2, state="open"), alerts_max=1)
    alerts.take_alert(Record(alert(1, alert_id="al_2", state="resolved")))
    assert alerts.get("al_1") is not None
    assert alerts.get("al_2") is None


def test_beyond_the_bound_the_decisions_that_came_first_go() -> None:
    alerts = Alerts(decided_max=1)
    for name in ("al_1", "al_2"):
        alerts.take_response(decision(name))
    assert [len(alerts.history(name)[0]) for name in ("al_1", "al_2")] == [0, 1]


def many() -> Alerts:
    """One alert of each state, severity and time."""
    told = itertools.product(
        ("open", "acknowledged", "resolved"), ("low", "high", "critical"), ("09:00:00", "10:00:00")
    )
    return holding(
        *(
            alert(1, alert_id=f"al_{n}", state=state, severity=severity, updated_at=at(clock))
            for n, (state, severity, clock) in enumerate(told)
        )
    )


@pytest.mark.parametrize("limit", [1, 4, 18, 19])
def test_the_pages_hold_each_alert_once_in_the_order_of_the_console(limit: int) -> None:
    alerts, seen, cursor = many(), list[AlertState](), ""
    while True:
        page, count = alerts.page(ALL, anybody, limit, place_from(cursor) if cursor else None)
        assert count == 18
        seen += page.rows
        cursor = page.next
        if not cursor:
            break
    assert seen == worst_first(alerts)


def test_a_page_shows_neither_what_is_not_wanted_nor_what_may_not_be_seen() -> None:
    alerts = holding(alert(1), alert(1, alert_id="al_2", tenant="other"), alert(1, alert_id="al_3", severity="low"))
    page, count = alerts.page(WantedAlerts(severities=("critical",)), lambda tenant: tenant == "acme", 10, None)
    assert ([one["alert_id"] for one in page.rows], count) == (["al_1"], 1)


@pytest.mark.parametrize("text", ["x", "!", "é", "bnVsbA", cursor_of(state())[:-2], "WzEsMiwzLDRd"])
def test_what_is_no_cursor_of_ours_is_refused(text: str) -> None:
    with pytest.raises(BadCursor):
        place_from(text)
    with pytest.raises(Problem, match=r"^cursor: expected `next` of the page before"):
        read_cursor(QueryParams({"cursor": text}))


def test_alerts_that_another_reading_missed_are_found_by_their_version() -> None:
    before, now = holding(alert(1), alert(1, alert_id="al_2")), holding(alert(2), alert(1, alert_id="al_2"))
    assert [one["version"] for one in now.newer_than(before)] == [2]
    assert len(now.newer_than(Alerts())) == 2


def test_a_request_names_its_filters_and_an_empty_one_counts_as_missing() -> None:
    params = QueryParams("state=open&state=resolved&severity=low&tenant=&kind=blind&since=2026-11-24T09:00:00Z")
    wanted = read_wanted(params, states=("acknowledged",))
    assert (wanted.states, wanted.severities, wanted.tenant, wanted.kind) == (
        ("open", "resolved"),
        ("low",),
        None,
        "blind",
    )
    assert wanted.since_us == parse_time("2026-11-24T09:00:00Z")
    assert read_wanted(QueryParams("state="), states=("open",)).states == ("open",)
    assert read_wanted(QueryParams("state=all&state=open"), states=("open",)).states == ()


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("state=closed", "state: expected one of open, acknowledged, resolved, all, got 'closed'"),
        ("severity=high,low", "severity: expected one of low, medium, high, critical"),
        ("policy=a&policy=b", "policy is given twice"),
        ("sevrity=high", "'sevrity' is no parameter of this page: expected state, severity"),
        ("since=yesterday", "since: expected an RFC 3339 time"),
        ("limit=5", "'limit' is no parameter of this page"),
    ],
)
def test_a_filter_that_is_wrong_is_named(query: str, said: str) -> None:
    with pytest.raises(Problem) as refused:
        read_wanted(QueryParams(query), states=())
    assert refused.value.status == 400
    assert refused.value.detail.startswith(said)


def test_a_page_has_at_most_a_thousand_alerts_and_at_least_one() -> None:
    assert [read_limit(QueryParams({"limit": text})) for text in ("1", str(LIMIT_MAX), "")] == [1, LIMIT_MAX, 50]
    for text in ("0", str(LIMIT_MAX + 1), "-1", "1.5", "²", "9" * 5000):
        with pytest.raises(Problem, match=f"^limit: expected a whole number from 1 to {LIMIT_MAX}"):
            read_limit(QueryParams({"limit": text}))


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"[]", "json"),
        (b"{", "json"),
        (b'{"by": 7}', "by"),
        (b'{"seen_version": 0}', "seen_version"),
        (b'{"seen_version": "1"}', "seen_version"),
        (b'{"reason": "x"}', "reason"),
        (b'{"note": "\\ud800"}', "json"),
        (b'{"note": "%b"}' % (b"x" * (TEXT_MAX + 1)), "note"),
        (b'{"by": "%b"}' % (b"x" * (NAME_MAX + 1)), "by"),
    ],
)
def test_a_decision_that_cannot_be_read_is_named_by_its_field(body: bytes, field: str) -> None:
    with pytest.raises(Problem, match=f"^{field}: ") as refused:
        read_decision("application/json", body)
    assert refused.value.status == 400


def test_a_decision_may_say_nothing_and_what_it_says_is_json() -> None:
    assert read_decision("", b" ").seen_version is None
    assert len(read_decision("application/json; charset=utf-8", b'{"note": "%b"}' % (b"x" * TEXT_MAX)).note) == TEXT_MAX
    with pytest.raises(Problem) as refused:
        read_decision("text/plain", b"{}")
    assert refused.value.status == 415


def test_on_record_is_the_token_and_behind_it_who_its_holder_says_it_was() -> None:
    token = Token(name="pager", hash="0" * 64, tenants=["acme"], may=["respond"], created_at=at("09:00:00"))
    assert name_of(token, "") == "token:pager"
    assert name_of(token, "rosa") == "token:pager/rosa"


async def told(stream: Stream) -> list[str]:
    """The ids of the alerts that wait for a client."""
    found = []
    while (change := await stream.next(0)) is not None:
        found.append(change.alert_id)
    return found


def test_a_stream_is_told_what_it_wants_and_may_see() -> None:
    async def story() -> list[str]:
        streams = Streams(1)
        with streams.open(WantedAlerts(severities=("critical",)), lambda tenant: tenant == "acme") as stream:
            streams.tell(state(alert_id="al_mine"))
            streams.tell(state(alert_id="al_low", severity="low"))
            streams.tell(state(alert_id="al_theirs", tenant="other"))
            return await told(stream)

    assert asyncio.run(story()) == ["al_mine"]


def test_a_client_for_whom_a_thousand_changes_wait_is_kept_and_with_one_more_it_is_cut() -> None:
    async def story() -> None:
        streams = Streams(2)
        with streams.open(ALL, anybody) as slow, streams.open(ALL, anybody) as quick:
            for version in range(WAITING_MAX):
                streams.tell(state(version + 1))
            assert len(await told(quick)) == WAITING_MAX
            first = await slow.next(0)
            assert (first is not None and first.version) == 1
            streams.tell(state(WAITING_MAX + 1))
            streams.tell(state(WAITING_MAX + 2))
            with pytest.raises(Ended):
                await slow.next(0)
            assert len(await told(quick)) == 2

    asyncio.run(story())


def test_there_are_no_more_streams_than_there_may_be_and_none_once_the_process_ends() -> None:
    async def story() -> None:
        streams = Streams(1)
        with streams.open(ALL, anybody), pytest.raises(Problem) as refused, streams.open(ALL, anybody):
            pass
        assert (refused.value.status, refused.value.headers["Retry-After"]) == (503, "30")
        with streams.open(ALL, anybody) as stream:
            waiting = asyncio.ensure_future(stream.next(3600))
            await asyncio.sleep(0)
            streams.close()
            with pytest.raises(Ended):
                await waiting
        with pytest.raises(Problem), streams.open(ALL, anybody):
            pass

    asyncio.run(story())
