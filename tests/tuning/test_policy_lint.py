"""`policy lint`: what is hardly meant is found where it stands, and what is meant is left alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stepwatch.schemas.times import parse_time
from stepwatch.streams.replay import Gathered, gather
from stepwatch.streams.sets import PolicySets, build_set, load_files
from stepwatch.streams.tuning.lint import lint, may_meet
from stepwatch.streams.tuning.lint_seen import lint_seen
from tests.cli.console import ROOT, run
from tests.tuning.world import NINE_US, Event, act, event, lines, prove, sets_of

HEAD = "version: 1\npolicies:\n"
READY = sorted((ROOT / "deploy" / "policies" / "sources").glob("*.yaml"))


def found(*policies: str, head: str = "") -> list[tuple[int, str, str]]:
    """(line, field, code) of each finding; the first policy stands on line 3, and `head` in front of it."""
    text = f"version: 1\n{head}policies:\n" + "".join(f"  - {policy}\n" for policy in policies)
    (policy_set,) = sets_of(text).sets
    return [(one.line, one.field, one.code) for one in lint(policy_set)]


def seen(events: list[Event], *policies: str, since_us: int = 0) -> list[tuple[str, str]]:
    """(field, code) of each finding by events."""
    sets, gathered = sets_of(HEAD + "".join(f"  - {policy}\n" for policy in policies)), Gathered()
    assert list(gather(lines(events), sets, gathered)) == []
    return [(one.field, one.code) for one in lint_seen(gathered, sets, since_us)]


SHADOWS = {
    "any name": ("{id: a}", '{id: b, match: {action: ["x.y"]}}'),
    "a wider pattern": ('{id: a, match: {action: ["x.*"]}}', '{id: b, match: {action: ["x.y*", "x.z"]}}'),
    "a star within": ('{id: a, match: {action: ["x.*.z"]}}', '{id: b, match: {action: ["x.*y.z"]}}'),
    "a wider tenant": ('{id: a, match: {tenant: ["ac*"]}}', '{id: b, match: {tenant: ["acme"]}}'),
    "any type": ('{id: a, match: {resource_type: ["*"]}}', "{id: b}"),
    "more sensitivities": ("{id: a, match: {sensitivity: [high, critical]}}", "{id: b, match: {sensitivity: [high]}}"),
    "all sensitivities": ("{id: a, match: {sensitivity: [low, moderate, high, critical]}}", "{id: b}"),
    "the same condition": (
        """{id: a, match: {when: "subject == 'x'"}}""",
        """{id: b, match: {when: "subject == 'x'"}}""",
    ),
}


@pytest.mark.parametrize("policies", SHADOWS.values(), ids=SHADOWS)
def test_a_policy_that_an_earlier_one_takes_wholly_is_unreachable(policies: tuple[str, str]) -> None:
    assert found(*policies) == [(4, "policies[1].id", "unreachable")]


REACHED = {
    "another name": ('{id: a, match: {action: ["x.y"]}}', '{id: b, match: {action: ["x.z"]}}'),
    "a narrower pattern": ('{id: a, match: {action: ["x.y"]}}', '{id: b, match: {action: ["x.*"]}}'),
    "a narrower tenant": ('{id: a, match: {tenant: ["acme"]}}', '{id: b, match: {tenant: ["*"]}}'),
    "a missing type": ('{id: a, match: {resource_type: ["a*"]}}', "{id: b}"),
    "fewer sensitivities": ("{id: a, match: {sensitivity: [high]}}", "{id: b, match: {sensitivity: [high, low]}}"),
    "a condition": ("""{id: a, match: {when: "subject == 'x'"}}""", "{id: b}"),
}


@pytest.mark.parametrize("policies", REACHED.values(), ids=REACHED)
def test_a_policy_that_some_action_reaches_is_left_alone(policies: tuple[str, str]) -> None:
    assert found(*policies) == []


def test_a_pattern_that_an_earlier_policy_takes_is_named_by_its_line_and_the_rest_stays() -> None:
    second = '{id: b, match: {action: [\n    "x.z",\n    "x.y.a"]}}'
    assert found('{id: a, match: {action: ["x.y.*"]}}', second) == [(6, "policies[1].match.action[1]", "shadowed")]


def test_two_policies_may_take_a_third_between_them() -> None:
    policies = ('{id: a, match: {action: ["x.*"]}}', '{id: b, match: {action: ["y.*"]}}')
    assert found(*policies, '{id: c, match: {action: ["x.a", "y.b"]}}') == [(5, "policies[2].id", "unreachable")]


@pytest.mark.parametrize(
    ("require", "codes"),
    [
        ("accept: [login]", ["login_without_amr"]),
        ("accept: [step_up, login]", ["login_without_amr"]),
        ("accept: [login], amr_any: [otp]", []),
        ("accept: [login], acr_any: [phr]", []),
        ("accept: [step_up]", []),
    ],
)
def test_a_login_that_counts_whatever_it_was_made_with_is_found(require: str, codes: list[str]) -> None:
    assert [code for _, _, code in found(f"{{id: a, require: {{{require}}}}}")] == codes


def test_same_session_on_products_without_sessions_is_found() -> None:
    duo, app = "{name: /duo, proves: [step_up]}", "{name: /idp, proves: [step_up]}"
    said = (4, "policies[0]", "no_session")
    (line, _, code) = said
    assert [(one[0], one[2]) for one in found("{id: a}", head=f"sources: [{duo}]\n")] == [(line, code)]
    assert found("{id: a}", head=f"sources: [{duo}, {app}]\n") == []
    assert found("{id: a, require: {same_session: false}}", head=f"sources: [{duo}]\n") == []


def test_actions_that_two_owners_share_are_found_and_those_of_one_owner_are_not() -> None:
    one, two = '{id: a, owner: x, match: {action: ["p.*.q"]}}', '{{id: b, owner: {}, match: {{action: ["p.r.*"]}}}}'
    assert found(one, two.format("y")) == [(4, "policies[1].match.action[0]", "owners_overlap")]
    assert found(one, two.format("x")) == []


def test_a_pattern_that_another_owner_takes_wholly_is_told_once_as_a_shadow() -> None:
    policies = ('{id: a, owner: x, match: {action: ["p.*"]}}', '{id: b, owner: y, match: {action: ["p.q", "z.*"]}}')
    assert found(*policies) == [(4, "policies[1].match.action[0]", "shadowed")]


@pytest.mark.parametrize("apart", ["resource_type: [b]", "sensitivity: [low]", "tenant: [b]", "when: 'true'"])
def test_policies_that_no_action_or_only_a_condition_brings_together_do_not_overlap(apart: str) -> None:
    one = "{id: a, owner: x, match: {action: [p.q, p.s], resource_type: [a], sensitivity: [high], tenant: [a]}}"
    said = {"resource_type": "[a]", "sensitivity": "[high]", "tenant": "[a]"}
    name, _, value = apart.partition(": ")
    match = ", ".join(f"{key}: {text}" for key, text in {**said, name: value}.items())
    assert found(one, f"{{id: b, owner: y, match: {{action: [p.q, p.r], {match}}}}}") == (
        [(4, "policies[1].match.action[0]", "shadowed")] if name == "when" else []
    )


@pytest.mark.parametrize(
    ("one", "two", "meet"),
    [
        ("a*c", "ab*", True),
        ("*", "", True),
        ("a*", "b*", False),
        ("*a", "*b", False),
        ("a*b*c", "a*c", True),
        ("abc", "a*d", False),
        ("x" * 600, "y" * 600, True),
    ],
)
def test_two_patterns_meet_where_some_text_matches_both(one: str, two: str, meet: bool) -> None:
    assert may_meet(one, two) is may_meet(two, one) is meet


def test_a_policy_of_which_nothing_was_seen_is_one_finding_and_a_pattern_another() -> None:
    policies = ('{id: a, match: {action: ["payout.*", "refund.*"]}}', '{id: b, match: {action: ["loan.*"]}}')
    assert seen([act("a1", 0), prove("v", 0)], *policies) == [
        ("policies[0].match.action[1]", "unseen"),
        ("policies[1].match", "unseen"),
    ]


def test_actions_that_no_policy_concerns_show_that_its_pattern_matches_nothing() -> None:
    assert seen([act("a1", 0)], '{id: b, match: {action: ["loan.*"]}}') == [("policies[0].match", "unseen")]


def test_a_set_in_whose_time_nothing_happened_has_no_finding_by_events() -> None:
    policy = "policies: [{id: a, match: {action: [loan.grant]}}]"
    begin = {"old": "2026-11-20T00:00:00Z", "new": "2026-11-25T00:00:00Z"}
    files = [build_set([(name, f"version: 1\n{policy}")], parse_time(at)) for name, at in begin.items()]
    sets, gathered = PolicySets(files), Gathered()
    assert list(gather(lines([prove("v", 0)]), sets, gathered)) == []
    assert [(one.file, one.code) for one in lint_seen(gathered, sets)] == [("old", "unseen")]


def test_a_sensitivity_that_no_action_says_is_met_by_those_that_say_none() -> None:
    assert seen([act("a1", 0)], '{id: a, match: {action: ["payout.*"], sensitivity: [high, critical]}}') == []


def test_what_was_seen_before_the_period_counts_as_not_seen() -> None:
    policies = ('{id: a, match: {action: ["payout.*"]}}', '{id: b, match: {action: ["loan.*"]}}')
    events = [act("a1", 0), act("a2", 60, action="loan.grant")]
    assert seen(events, *policies, since_us=NINE_US + 60_000_000) == [("policies[0].match", "unseen")]


def test_a_policy_whose_condition_never_holds_has_judged_nothing() -> None:
    policy = """{id: a, match: {action: ["payout.*"], when: "subject == 'nobody'"}}"""
    assert seen([act("a1", 0)], policy) == [("policies[0].id", "never_matched")]
    assert seen([act("a1", 0, "nobody")], policy) == []


def test_actions_of_a_source_without_any_session_are_found_and_one_session_is_enough() -> None:
    without = [act(f"a{n}", n, source="/batch", session="") for n in range(3)]
    policy = '{id: a, match: {action: ["payout.*"]}}'
    assert seen([*without, act("a9", 9)], policy) == [("policies[0].require.same_session", "no_session")]
    assert seen([*without, act("a9", 9, source="/batch", session="", root_session="r")], policy) == []
    assert seen(without, policy.replace("}}", "}, require: {same_session: false}}")) == []


def test_proofs_without_any_session_are_found_by_the_kind_that_is_accepted() -> None:
    policy = '{id: a, match: {action: ["payout.*"]}}'
    login = event("session.started", "l", 0, amr=["pwd"])
    events = [act("a1", 0), prove("v1", 0, session=""), login]
    assert seen(events, policy) == [("policies[0].require.same_session", "no_session")]
    assert seen([*events, prove("v2", 0)], policy) == []


def test_actions_that_two_owners_matched_are_found_even_where_conditions_decide() -> None:
    first = """{id: a, owner: x, match: {action: ["payout.*"], when: "subject == 'alice'"}}"""
    second = """{id: b, owner: y, match: {action: ["payout.*"], when: "source == '/app'"}}"""
    events = [act("a1", 0), act("a2", 1, "bob")]
    assert seen(events, first, second) == [("policies[1].match", "owners_overlap")]
    assert seen(events, first, second.replace("owner: y", "owner: x")) == []


@pytest.mark.parametrize("path", READY, ids=lambda path: path.stem)
def test_the_ready_policies_have_no_finding(path: Path) -> None:
    assert [str(one) for policy_set in load_files([path]).sets for one in lint(policy_set)] == []


def test_the_command_names_file_and_line_and_ends_with_one(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(HEAD + "  - id: a\n    require: {accept: [login]}\n")
    done = run(tmp_path, "policy", "lint", "p.yaml")
    assert done.status == 1
    first, last = done.out.splitlines()
    assert first.startswith("p.yaml:4: policies[0].require.accept: login_without_amr: a login counts whatever")
    assert last == "1 finding"
    (row,) = run(tmp_path, "policy", "lint", "p.yaml", "--json").rows
    assert (row["file"], row["line"], row["code"], row["policy"]) == ("p.yaml", 4, "login_without_amr", "a")


def test_the_command_reads_events_and_ends_with_nought_where_nothing_is_found(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(HEAD + '  - {id: a, match: {action: ["payout.*", "refund.*"]}}\n')
    (tmp_path / "e.jsonl").write_text(json.dumps(act("a1", 0)) + "\n")
    done = run(tmp_path, "policy", "lint", "p.yaml", "--events", "e.jsonl")
    assert (done.status, "'refund.*' matches nothing seen" in done.out) == (1, True)
    clean = run(tmp_path, "policy", "lint", "p.yaml")
    assert (clean.status, clean.out) == (0, "ok: nothing found\n")


def test_the_command_refuses_a_faulty_set_and_a_period_without_a_begin(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("version: 2\n")
    assert run(tmp_path, "policy", "lint", "p.yaml").status == 2
    (tmp_path / "p.yaml").write_text("version: 1\n")
    done = run(tmp_path, "policy", "lint", "p.yaml", "--tenant", "acme")
    assert (done.status, "--since 7d" in done.err) == (2, True)
