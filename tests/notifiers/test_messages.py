"""What each message says, for every kind, reason and step; and what it must not say."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path

import msgspec
import pytest

from stepwatch.notifiers.console import build_lines
from stepwatch.notifiers.delivery import Message, Step
from stepwatch.notifiers.disclosure import Deed, Disclosure, deed_of, disclosed, pseudonym
from stepwatch.notifiers.messages import build_digest, build_message, build_not_judged_message
from stepwatch.notifiers.notices import Happening, Notice, read_alert
from stepwatch.streams.wording import PATTERNS, REASONS
from tests.notifiers.told import BUG, CONSOLE, as_text, examples, of_pattern, of_reason, shown
from tests.scenarios.form import load
from tests.scenarios.test_scenarios import FILES, Story
from tests.store.rows import at

GOLDEN = Path(__file__).parent / "golden" / "messages.txt"
HOSTILE = "a\x1b[2J\r\nOPENED low\u202e\u2028\u200b\x00b'\"$(id)`id`"


def test_every_message_is_as_the_golden_file_has_it() -> None:
    """After a wanted change of wording: `WRITE_GOLDEN=1`, and read the difference."""
    now = "\n".join(as_text(name, message) for name, message in examples())
    if os.environ.get("WRITE_GOLDEN") == "1":
        GOLDEN.write_text(now, encoding="utf-8")
        pytest.skip(f"{GOLDEN.name} is written anew; read what changed")
    assert now == GOLDEN.read_text(encoding="utf-8")


def test_the_golden_file_has_every_reason_and_pattern_of_the_contract() -> None:
    names = {name for name, _ in examples()}
    assert {f"opened, {name}" for name in (*REASONS, *PATTERNS)} <= names


def everything(message: Message) -> str:
    """All text of a message in one."""
    facts = [text for fact in message.facts for text in fact]
    rest = [message.severity, message.kind, message.tenant, message.policy, message.owner, message.first_time]
    return "\n".join([message.title, *message.lines, *facts, *rest, message.runbook, message.console, message.command])


@pytest.mark.parametrize("level", [Disclosure.IDS, Disclosure.MINIMAL])
@pytest.mark.parametrize("step", list(Step))
def test_below_full_nobody_is_named(level: Disclosure, step: Step) -> None:
    alerts = [*map(of_reason, REASONS), *map(of_pattern, PATTERNS), shown(kind="of_the_future", title="alice did it")]
    texts = [everything(build_message(alert, step, shown=level, console_url=CONSOLE)) for alert in alerts]
    texts.append(everything(build_not_judged_message(BUG, shown=level)))
    texts.append(everything(build_digest(alerts, why="many", shown=level)))
    assert [text for text in texts if "alice" in text or "bob" in text] == []


def test_at_minimal_no_resource_and_no_session_is_named_either() -> None:
    texts = [everything(build_message(of_reason(r), Step.TRIGGER, shown=Disclosure.MINIMAL)) for r in REASONS]
    assert [text for text in texts if "po_991" in text or "s-77" in text or "subject-" in text] == []
    stale = build_message(of_reason("stale"), Step.TRIGGER, shown=Disclosure.MINIMAL)
    assert stale.lines[0] == "the last proof was too old; nearest: a proof 42 s too old"


def test_at_ids_a_resource_and_a_session_are_named() -> None:
    message = build_message(of_reason("wrong_session"), Step.TRIGGER, shown=Disclosure.IDS)
    assert "po_991" in message.title
    assert "in session s-77" in message.lines[0]


def test_a_pseudonym_is_the_same_each_time_and_another_for_another_person_tenant_or_key() -> None:
    assert pseudonym("acme", "alice", b"k") == pseudonym("acme", "alice", b"k")
    others = {pseudonym("acme", "alice", b"k"), pseudonym("acme", "bob", b"k"), pseudonym("b", "alice", b"k")}
    assert len(others | {pseudonym("acme", "alice", b"")}) == 4


def test_an_alert_about_no_person_is_shown_as_it_is_at_every_level() -> None:
    silence = of_pattern("source_silence")
    assert {disclosed(silence, level) for level in Disclosure} == {silence}


@pytest.mark.parametrize(
    ("title", "deed"),
    [
        ("alice: a.b on payout po_1: not verified", Deed("", "a.b", "payout po_1", "not verified")),
        ("alice for bob: a.b: cannot be judged", Deed("bob", "a.b", "", "cannot be judged")),
        ("alice: a.b on x: not verified (and 3 more)", Deed("", "a.b", "x", "not verified (and 3 more)")),
        ("alice: a.b on k: no policy speaks of it", Deed("", "a.b", "k", "no policy speaks of it")),
        ("alice: flooded with prompts", Deed()),
        ("", Deed()),
        ("alice: a.b on x: words of the future", Deed()),
    ],
)
def test_the_deed_is_read_from_the_title(title: str, deed: Deed) -> None:
    assert deed_of(shown(title=title)) == deed


def test_the_deed_is_found_in_every_title_that_the_core_gives_to_an_alert_of_actions() -> None:
    titles = []
    for path in FILES:
        story = Story(load(path))
        for step in story.scenario.steps:
            if not isinstance(step, str):  # a restart changes no title
                story.go(step)
        alerts = [read_alert(json.dumps(row).encode()) for row in story.driver.alerts]
        titles += [alert for alert in alerts if alert.kind in ("unverified_action", "blind", "policy_gap")]
    assert len(titles) > 10
    assert [row.title for row in titles if not deed_of(row).action] == []


def test_a_subject_that_looks_like_a_title_is_taken_as_the_subject() -> None:
    row = shown(subject="x: a.b on y: not verified", title="x: a.b on y: not verified: c.d: not verified")
    assert deed_of(row).action == "c.d"


@pytest.mark.parametrize(
    "field", ["subject", "title", "explanation", "runbook", "owner", "policy", "reason", "tenant", "kind", "alert_id"]
)
def test_no_value_breaks_a_line_moves_a_cursor_or_enters_the_command(field: str) -> None:
    message = build_message(shown(**{field: HOSTILE}), Step.TRIGGER, console_url=CONSOLE)
    for text in (message.title, *message.lines, *(text for fact in message.facts for text in fact), message.console):
        assert text.isprintable(), ascii(text)
    assert "$(" not in message.command
    assert len(shlex.split(message.command)) in (0, 3)


@pytest.mark.parametrize("nearest", ["{", "[]", "null", '{"sentence":1}', '{"by_us":"x","failed":1}', "\ud800"])
def test_a_nearest_miss_that_is_garbled_is_left_out(nearest: str) -> None:
    for level in Disclosure:
        row = msgspec.structs.replace(shown(reason="stale"), nearest_miss=nearest)
        message = build_message(row, Step.TRIGGER, shown=level)
        assert "nearest proof" not in dict(message.facts)


@pytest.mark.parametrize(
    ("closes", "words"),
    [
        (at("10:14:00"), "may still be withdrawn until 10:14 UTC"),
        ("2026-11-25T00:10:00.000000Z", "may still be withdrawn until 2026-11-25 00:10 UTC"),
        (at("09:15:02"), None),
        ("", None),
    ],
)
def test_it_is_said_until_when_an_alert_may_be_withdrawn(closes: str, words: str | None) -> None:
    message = build_message(shown(closes_at=closes), Step.TRIGGER)
    assert dict(message.facts).get("until") == words


def test_it_is_not_said_of_a_time_that_is_past_when_it_is_said() -> None:
    row = shown(closes_at=at("10:14:00"))
    for now, words in ((at("10:13:59"), "may still be withdrawn until 10:14 UTC"), (at("10:14:00"), None)):
        assert dict(build_message(row, Step.TRIGGER, now=now).facts).get("until") == words
    next_day = build_message(shown(closes_at="2026-11-25T00:10:00.000000Z"), Step.TRIGGER, now="2026-11-25T00:05:00Z")
    assert dict(next_day.facts)["until"] == "may still be withdrawn until 00:10 UTC"


def test_an_incident_that_ends_while_its_alert_is_open_again_says_that_a_page_follows() -> None:
    message = build_message(of_reason("stale"), Step.RESOLVE)
    assert message.lines == ("opened again after somebody took it: a new page follows", "do: see the next page")
    assert "resolved" not in dict(message.facts)


def test_many_alerts_are_told_by_what_is_done_to_their_incident() -> None:
    def lines(step: Step, state: str) -> tuple[str, str]:
        return build_digest([shown(state=state), shown(state="resolved")], why="many", key="st_1", step=step).lines

    assert lines(Step.TRIGGER, "open")[1].startswith("do: look at them together")
    assert lines(Step.ACKNOWLEDGE, "acknowledged")[1] == "somebody is on it"
    assert lines(Step.RESOLVE, "resolved") == ("all of them are over", "do: nothing")
    assert lines(Step.RESOLVE, "open")[1] == "do: see the next page"


@pytest.mark.parametrize("action", ["$(id)", "--json", "a b", "x" * 65, ""])
def test_an_id_that_others_chose_enters_no_command(action: str) -> None:
    facts = dict(build_message(shown(actions=[action]), Step.TRIGGER).facts)
    assert "explain" not in facts
    assert dict(build_message(shown(actions=["po-991"]), Step.TRIGGER).facts)["explain"] == (
        "stepwatch explain po-991 --tenant acme"
    )


def test_the_console_on_a_terminal_and_a_message_use_the_same_words() -> None:
    alert = of_reason("stale")
    message = build_message(alert, Step.TRIGGER)
    first, second = build_lines(Notice(Happening.OPENED, alert, None))
    assert f"{message.title}: {message.lines[0]}" in first
    assert message.lines[1] in second


def test_a_link_to_the_console_names_the_alert() -> None:
    message = build_message(shown(), Step.TRIGGER, console_url=CONSOLE + "/")
    assert message.console == f"{CONSOLE}/alerts/al_0123456789abcdef0123456789abcdef"
    assert build_message(shown(), Step.TRIGGER).console == ""
    assert build_message(shown(alert_id="../x?y"), Step.TRIGGER, console_url=CONSOLE).console.endswith("/..%2Fx%3Fy")
