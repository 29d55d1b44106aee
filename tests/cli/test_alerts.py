"""`stepwatch alerts`: each misuse is a sentence, and what a decision would change is known before it is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stepwatch.agents.alert_log import Step, WantedAlerts, read_state, worst_first
from stepwatch.agents.responding import build_response, refusal_of
from stepwatch.cli.alerts import conditions_like
from stepwatch.cli.alerts_found import Alerts
from stepwatch.cli.alerts_show import show_alert, show_list
from stepwatch.schemas.times import parse_time
from tests.cli.console import NOBODY, run
from tests.shell.test_notify import HOSTILE
from tests.store.rows import alert, at


def state(version: int = 1, **changes: Any) -> dict[str, Any]:
    said = read_state(alert(version, **changes))
    assert said is not None
    return said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("list", "--state", "closed"), "--state closed: expected one of open, acknowledged, resolved, all"),
        (("list", "--severity", "urgent"), "--severity urgent: expected one of low, medium, high, critical"),
        (("list", "--since", "yesterday"), "--since yesterday: expected a duration like 2h or 7d"),
        (("ack", "al_1", "--by", " "), "--by: expected a name of 1 to 4,000 characters"),
        (("ack", "al_1", "--note", "x" * 4001), "--note has 4,001 characters: expected at most 4,000"),
        (("note", "al_1", "  "), "the note is empty"),
    ],
)
def test_a_command_line_that_means_nothing_is_refused_before_anybody_is_asked(
    words: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    done = run(tmp_path, "alerts", *words, "--bootstrap", NOBODY)
    assert (done.status, done.out) == (2, "")
    assert said in done.err


@pytest.mark.parametrize("words", [("list",), ("show", "al_1"), ("ack", "al_1")])
def test_where_kafka_and_clickhouse_are_away_that_is_a_sentence(words: tuple[str, ...], tmp_path: Path) -> None:
    done = run(
        tmp_path,
        *("alerts", *words, "--bootstrap", NOBODY),
        STEPWATCH_START_TIMEOUT_MS="0",
        STEPWATCH_CLICKHOUSE_URL=f"http://{NOBODY}",
    )
    assert (done.status, done.out) == (3, "")
    assert f"no answer from Kafka at {NOBODY}" in done.err


def test_a_decision_that_would_change_nothing_is_refused_in_words() -> None:
    taken = state(2, state="acknowledged")
    over = state(3, state="resolved", resolved_by="late_verification")
    assert refusal_of(state(), "acknowledge") == refusal_of(state(), "resolve") == refusal_of(taken, "resolve") == ""
    assert refusal_of(taken, "acknowledge").startswith("it is acknowledged already, since 2026-11-24T09:15:02Z")
    assert refusal_of(over, "resolve") == "it is resolved already by late_verification, since 2026-11-24T09:15:02Z"
    assert refusal_of(over, "note") == ""


def test_the_same_decision_said_twice_has_one_id_and_another_has_its_own() -> None:
    def id_of(decision: str = "resolve", by: str = "rosa", note: str = "", seen: int = 1, now_us: int = 0) -> str:
        return build_response(state(), decision, by, note, seen, now_us).id

    assert id_of() == id_of(now_us=1)
    assert len({id_of(), id_of("note"), id_of(by="bob"), id_of(note="why"), id_of(seen=2)}) == 5


def test_each_condition_leaves_out_what_it_does_not_mean() -> None:
    one = state(tenant="acme", kind="blind", policy="p", subject="alice", severity="high", updated_at=at("10:00:00"))
    since = parse_time(at("10:00:00"))
    assert since is not None
    matching = [
        WantedAlerts(),
        WantedAlerts(states=("open", "resolved"), severities=("high",)),
        WantedAlerts(tenant="acme", kind="blind", policy="p", subject="alice", since_us=since),
    ]
    others = [
        WantedAlerts(states=("resolved",)),
        WantedAlerts(severities=("low", "critical")),
        WantedAlerts(tenant="other"),
        WantedAlerts(kind="unverified_action"),
        WantedAlerts(policy=""),
        WantedAlerts(subject="Alice"),
        WantedAlerts(since_us=since + 1),
    ]
    assert [wanted.holds(one) for wanted in matching] == [True] * len(matching)
    assert [wanted.holds(one) for wanted in others] == [False] * len(others)


def test_the_severest_that_is_not_resolved_comes_first_and_of_equals_the_newest() -> None:
    alerts = [
        state(alert_id="al_resolved", severity="critical", state="resolved"),
        state(alert_id="al_low", severity="low"),
        state(alert_id="al_old", severity="high", updated_at=at("09:00:00")),
        state(alert_id="al_new", severity="high", updated_at=at("10:00:00")),
        state(alert_id="al_critical", severity="critical", state="acknowledged"),
    ]
    order = [alert["alert_id"] for alert in worst_first(alerts)]
    assert order == ["al_critical", "al_new", "al_old", "al_low", "al_resolved"]


def test_a_mute_means_alerts_of_the_same_kind_policy_and_subject_or_only_the_one_where_that_would_mean_others() -> None:
    same = ["tenant=acme", "kind=unverified_action", "policy=payout-approve", "subject=alice"]
    assert conditions_like(state()) == same
    assert conditions_like(state(policy="", kind="mfa_fatigue")) == [same[0], "kind=mfa_fatigue", same[3]]
    assert conditions_like(state(subject="*")) == ["alert_id=al_1"]
    assert conditions_like(state(subject="", tenant="", kind="source_silence")) == ["alert_id=al_1"]


@pytest.mark.parametrize("value", [None, b"", b"{", b"\xff", b"[]", b'{"alert_id": "al_1"}'])
def test_a_record_that_is_no_alert_is_none(value: bytes | None) -> None:
    assert read_state(value) is None


def test_what_others_wrote_moves_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    one = state(title=HOSTILE, explanation=HOSTILE, subject=HOSTILE, owner=HOSTILE, actions=[HOSTILE])
    show_list(Alerts([one], 1, "from here"), as_json=False)
    show_alert(one, [Step(at("09:16:00"), "decision", 1, "note", HOSTILE, HOSTILE)], "from here", as_json=False)
    said = capsys.readouterr()
    assert all(char.isprintable() or char == "\n" for char in said.out + said.err)
    assert "from here" in said.err


@pytest.mark.parametrize(
    ("changes", "may"),
    [
        ({"closes_at": "2261-01-01T00:00:00.000000Z"}, True),
        ({"closes_at": "2261-01-01T00:00:00.000000Z", "state": "resolved", "resolved_by": "person"}, False),
        ({"closes_at": at("10:14:00").replace("2026", "2020")}, False),
    ],
)
def test_an_alert_may_change_only_until_it_is_over_or_closed(
    changes: dict[str, Any], may: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    show_alert(state(**changes), [], "from here", as_json=False)
    assert ("may change" in capsys.readouterr().out) is may
