"""The routing file: what it says, and that a fault in it is refused with line and field."""

from __future__ import annotations

from pathlib import Path

import pytest

from stepwatch.notifiers.disclosure import Disclosure
from stepwatch.notifiers.routing import Routes, RoutesRefused, load_routes, parse_routes
from tests.notifiers.world import AWAY, REFUSED, Counting, World, shown

ROOT = Path(__file__).parents[2]
GOOD = """\
version: 1
disclosure: ids
channels:
  - {name: pager, type: console}
  - {name: chat, type: console, rate: {per_minute: 6}, disclosure: full}
routes:
  - match: {tenant: "test-*"}
    to: []
  - match: {severity: critical, policy: ["payout-*", "wire"]}
    to: [pager]
    continue: true
  - to: [chat]
"""
ESCALATING = """
version: 1
channels: [{name: pager, type: console}, {name: sms, type: console}]
routes: [{to: [pager], escalate: {to: sms, %s}}]
"""


def parse(text: str) -> Routes:
    return parse_routes("routes.yaml", text)


def channels(routes: Routes, **alert: object) -> list[str]:
    return [target.channel for target in routes.targets(shown(**alert))]  # type: ignore[arg-type]


def test_the_first_route_that_matches_applies_and_those_after_a_continue() -> None:
    routes = parse(GOOD)
    assert channels(routes, policy="payout-approve") == ["pager", "chat"]
    assert channels(routes, policy="wire") == ["pager", "chat"]
    assert channels(routes, policy="wired") == ["chat"]
    assert channels(routes, policy="payout-approve", severity="high") == ["chat"]
    assert channels(routes, tenant="test-1") == []


def test_a_channel_sees_as_much_as_it_says_or_else_as_the_file_says() -> None:
    routes = parse(GOOD)
    assert routes.disclosure_of("pager") is Disclosure.IDS
    assert routes.disclosure_of("chat") is Disclosure.FULL


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ("version: 1", "version: 2", "routes.yaml:1: version: expected 1"),
        ("disclosure: ids", "disclosure: all", "routes.yaml:2: disclosure: expected full, ids or minimal"),
        ("to: [chat]", "to: [chart]", "routes.yaml:12: routes[2].to[0]: chart: no such channel; there are pager, chat"),
        ("  - to: [chat]", "", "routes.yaml:9: routes[1].match: the last route must match every alert"),
        ("per_minute: 6", "per_minute: 0", "routes.yaml:5: channels[1].rate.per_minute: Input should be greater"),
        ("name: chat,", "name: pager,", "routes.yaml:5: channels[1].name: pager: there are two channels"),
        ("type: console}", "type: pigeon}", "routes.yaml:4: channels[0]"),
        ("type: console}", "type: console, colour: red}", "routes.yaml:4: channels[0].colour: unknown key"),
        ("type: console}", "type: pagerduty}", "routes.yaml:4: channels[0].routing_key_file: this key is required"),
        ("continue: true", "continue: perhaps", "routes.yaml:11: routes[1].continue"),
        ("severity: critical", "sevrity: critical", "routes.yaml:9: routes[1].match.sevrity: unknown key"),
        ("severity: critical", "tenant: 7", "routes.yaml:9: routes[1].match.tenant"),
        ("to: [pager]", "to: [pager]\n    to: [chat]", "this key was given before"),
        ("disclosure: ids", "pseudonym_key_file: /nowhere/key", "routes.yaml:2: pseudonym_key_file: /nowhere/key"),
        ("to: [pager]", "to: [pager]\n    escalate: {to: chat}", "routes[1].escalate: expected `after_failures`"),
        ("to: [pager]", "to: [pager]\n    escalate: {to: sms, after: 5m}", "routes[1].escalate.to: sms: no such"),
        ("to: [pager]", "to: [pager]\n    escalate: {to: pager, after: 5m}", "the route goes there already"),
        ("version: 1", "version: 1\nmutes: [{match: {}, until: 2026-12-01T00:00:00Z, by: olga}]", "mutes[0].reason"),
        ("version: 1", "version: 1\nmutes: [{match: {}, until: tomorrow, by: olga, reason: x}]", "mutes[0].until"),
    ],
)
def test_a_fault_is_refused_with_its_line_and_field(before: str, after: str, complaint: str) -> None:
    assert before in GOOD
    with pytest.raises(RoutesRefused) as refused:
        parse(GOOD.replace(before, after, 1))
    assert complaint in str(refused.value)


@pytest.mark.parametrize("text", ["", "[]", "7", "version: 1", "channels: []", "\x00", "a: &a [*a]"])
def test_what_is_no_routing_file_is_refused_in_words(text: str) -> None:
    with pytest.raises(RoutesRefused) as refused:
        parse(text)
    assert str(refused.value).startswith("routes.yaml")
    assert "policies" not in str(refused.value)


def test_a_file_that_is_not_there_or_no_text_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    for name in ("missing", "bytes"):
        with pytest.raises(RoutesRefused, match="cannot be read"):
            load_routes(tmp_path / name)


def test_a_secret_that_is_not_there_is_found_before_an_alert_is() -> None:
    routes = parse(GOOD.replace("type: console}", "type: pagerduty, routing_key_file: /nowhere/key}", 1))
    with pytest.raises(RoutesRefused, match=r"channels\[pager\]"):
        routes.open_receivers()


def test_the_example_that_is_shipped_is_good() -> None:
    routes = load_routes(ROOT / "deploy" / "notify" / "routes.yaml")
    assert set(routes.channels) == {"pager", "chat", "mail"}
    assert channels(routes) == ["chat", "pager"]
    assert channels(routes, severity="low", kind="policy_gap") == ["mail"]
    assert channels(routes, severity="high", kind="source_silence", tenant="") == ["chat", "pager"]


def test_the_example_in_the_page_for_on_call_is_good() -> None:
    page = (ROOT / "agents" / "README.md").read_text(encoding="utf-8")
    section = page.partition("## Where alerts go")[2].partition("\n## ")[0]
    routes = parse(section.partition("```yaml\n")[2].partition("```")[0])
    assert channels(routes) == ["pager", "chat"]


def escalating(world: World) -> Counting:
    return world.receivers["sms"]


@pytest.mark.parametrize("how", ["after_failures: 3", "after: 5m"])
def test_another_channel_is_told_where_the_first_does_not_take_it(how: str) -> None:
    world = World(Counting(always=AWAY), Counting("sms"), routes=ESCALATING % how)
    world.see(shown())
    world.pass_time(299 if how == "after: 5m" else 0.001)
    assert escalating(world).log == []
    world.pass_time(1200)
    assert escalating(world).incidents == {"al_1": "open"}
    world.pager.always = None
    world.pass_time(1200)
    world.see(shown(version=2, state="resolved"))
    world.pass_time(60)
    # Each channel keeps its incident, and each is taken back.
    assert escalating(world).incidents == world.pager.incidents == {"al_1": "resolved"}


def test_what_a_receiver_refuses_goes_to_the_other_channel_at_once() -> None:
    world = World(Counting(answers=[REFUSED]), Counting("sms"), routes=ESCALATING % "after: 5m")
    world.see(shown())
    world.pass_time(1)
    assert escalating(world).incidents == {"al_1": "open"}


def test_a_channel_that_hangs_or_fails_delays_no_other() -> None:
    world = World(Counting(always=AWAY), Counting("chat"), routes=GOOD)
    world.see(shown())
    world.pass_time(1)
    assert world.receivers["chat"].incidents == {"al_1": "open"}
