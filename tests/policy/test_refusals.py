"""A faulty set is refused whole, with file, line and field of every fault (contract section 4)."""

from __future__ import annotations

from pathlib import Path

import pytest

from stepwatch.streams.loading import PolicyRefused
from stepwatch.streams.sets import build_set, load_files
from tests.policy.given import a_set, refusal


def one(text: str, place: str, *words: str) -> None:
    """The file (this text, from line 2 on) has one fault at `line: field`, with these words in it."""
    problems = refusal(text).problems
    assert [f"{problem.line}: {problem.field}" for problem in problems] == [place]
    for word in words:
        assert word in problems[0].message


def policy(said: str) -> str:
    return f"policies:\n  - id: p\n    {said}\n"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("polices: []\n", "2: polices"),
        ("defaults: {max_agee: 5m}\n", "2: defaults.max_agee"),
        ("sources:\n  - name: /idp\n    silent: 5m\n", "4: sources[0].silent"),
        ("identities: [{subject: a, alias: [b]}]\n", "2: identities[0].alias"),
        (policy("max_age: 5m"), "4: policies[0].max_age"),
        (policy("match: {actions: [a]}"), "4: policies[0].match.actions"),
        (policy("require: {lookback: 5m}"), "4: policies[0].require.lookback"),
        (policy("exempt: {unless: 'true'}"), "4: policies[0].exempt.unless"),
        (policy("alert: {severty: low}"), "4: policies[0].alert.severty"),
        (
            policy("tests: [{name: n, given: [{action: a}], expect: {verdict: exempt, reasons: x}}]"),
            "4: policies[0].tests[0].expect.reasons",
        ),
        (policy("match: {<<: {action: [a]}}"), "4: policies[0].match.<<"),
    ],
)
def test_an_unknown_key_is_refused_wherever_it_stands(text: str, place: str) -> None:
    one(text, place, "unknown key")


def test_a_misspelt_key_is_told_what_it_may_have_meant() -> None:
    one("defaults: {max_agee: 5m}\n", "2: defaults.max_agee", "did you mean `max_age`?")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("policies: []\npolicies: []\n", "3: policies"),
        ("version: 1\n", "2: version"),
        ("defaults: {grace: 1s, grace: 1s}\n", "2: defaults.grace"),
        (policy("require:\n      max_age: 5m\n      max_age: 24h"), "6: policies[0].require.max_age"),
        (policy("match: {when: 'true', 'when': 'true'}"), "4: policies[0].match.when"),
        (
            policy("tests: [{name: n, given: [{action: a, x: {y: 1, y: 1}}], expect: {verdict: exempt}}]"),
            "4: policies[0].tests[0].given[0].x.y",
        ),
    ],
)
def test_a_key_given_twice_in_one_mapping_is_refused(text: str, place: str) -> None:
    one(text, place, "given before, on line ")


@pytest.mark.parametrize(
    ("text", "place", "word"),
    [
        ("defaults: []\n", "2: defaults", "a mapping"),
        ("sources: /idp\n", "2: sources", "a list"),
        ("sources: [{name: 7}]\n", "2: sources[0].name", "the number 7"),
        ("sources: [{name: no}]\n", "2: sources[0].name", "quote it"),
        ("sources: [{name: /idp, proves: login}]\n", "2: sources[0].proves", "a list"),
        ("identities: [{subject: yes}]\n", "2: identities[0].subject", "a text"),
        ("identities: [{subject: a, aliases: b}]\n", "2: identities[0].aliases", "a list"),
        ("identities: [{subject: a, aliases: [1.5]}]\n", "2: identities[0].aliases[0]", "a text"),
        ("identities: [{subject: a, aliases: [~]}]\n", "2: identities[0].aliases[0]", "nothing"),
        ("policies: {id: p}\n", "2: policies", "a list"),
        ("policies: [p]\n", "2: policies[0]", "a mapping"),
        ("policies: [{id: 1}]\n", "2: policies[0].id", "a text"),
        (policy("owner: no"), "4: policies[0].owner", "a text"),
        (policy("match: {action: payments.*}"), "4: policies[0].match.action", "a list"),
        (policy("match: {action: [1]}"), "4: policies[0].match.action[0]", "a text"),
        (policy("match: {when: true}"), "4: policies[0].match.when", "a text"),
        (policy("require: {amr_any: otp}"), "4: policies[0].require.amr_any", "a list"),
        (policy("require: {amr_any: [no]}"), "4: policies[0].require.amr_any[0]", "a text"),
        (policy("require: {same_session: 'yes'}"), "4: policies[0].require.same_session", "true or false"),
        (policy("require: {same_ip: 1}"), "4: policies[0].require.same_ip", "true or false"),
        (policy("require: {max_uses: '1'}"), "4: policies[0].require.max_uses", "a whole number"),
        (policy("require: {max_uses: 1.0}"), "4: policies[0].require.max_uses", "a whole number"),
        (policy("require: {max_uses: true}"), "4: policies[0].require.max_uses", "a whole number"),
        (policy("match: [payments.*]"), "4: policies[0].match", "a mapping"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_and_never_converted(text: str, place: str, word: str) -> None:
    one(text, place, word)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("defaults: {severity: urgent}\n", "2: defaults.severity"),
        ("sources: [{name: /a, proves: [stepup]}]\n", "2: sources[0].proves[0]"),
        ("identities: [{subject: a, aliases: [b], tenant: [ac*]}]\n", "2: identities[0].tenant[0]"),
        (policy("match: {sensitivity: [severe]}"), "4: policies[0].match.sensitivity[0]"),
        (policy("require: {binding: session}"), "4: policies[0].require.binding"),
        (policy("require: {accept: [push]}"), "4: policies[0].require.accept[0]"),
        (policy("alert: {severity: High}"), "4: policies[0].alert.severity"),
    ],
)
def test_a_value_outside_its_list_is_refused(text: str, place: str) -> None:
    one(text, place, "expected ")


@pytest.mark.parametrize("version", ["2", "0", "'1'", "1.0", "yes", "[1]"])
def test_another_version_is_refused(version: str) -> None:
    with pytest.raises(PolicyRefused) as caught:
        build_set([("p.yaml", f"version: {version}\n")], None)
    assert [(problem.line, problem.field) for problem in caught.value.problems] == [(1, "version")]


@pytest.mark.parametrize("text", ["policies: []\n", "version: ~\n"])
def test_a_file_that_does_not_say_its_version_is_refused(text: str) -> None:
    with pytest.raises(PolicyRefused, match="version: this key is required"):
        build_set([("p.yaml", text)], None)


@pytest.mark.parametrize(
    "written",
    [
        "5",
        "5 m",
        "m",
        "''",
        "-5m",
        "1.5m",
        "5M",
        "5min",
        "5m30s",
        "' 5m'",
        "1_0s",
        "٥m",
        "5us",
        "[5m]",
        "36501d",
    ],
)
def test_a_malformed_duration_is_refused(written: str) -> None:
    one(f"defaults: {{dedup: {written}}}\n", "2: defaults.dedup", "expected")


def test_durations_of_every_unit_are_microseconds() -> None:
    written = "{clock_skew: 7ms, grace: 0s, revise_within: 3m, accept_late: 2h, lookback: 36500d}"
    required = a_set(f"defaults: {written}\npolicies: [{{id: p}}]\n").requirements["p"]
    assert required.clock_skew_us == 7_000
    assert required.grace_us == 0
    assert required.revise_within_us == 180_000_000
    assert required.accept_late_us == 7_200_000_000
    assert required.lookback_us == 36_500 * 86_400_000_000


@pytest.mark.parametrize(
    "when",
    [
        "2026-11-01",
        "2026-11-01T00:00:00",
        "yesterday",
        "5",
        "2026-13-01T00:00:00Z",
        "2262-01-01T00:00:00Z",
        "''",
    ],
)
def test_an_effective_from_that_is_no_rfc_3339_time_with_a_zone_is_refused(when: str) -> None:
    one(f"effective_from: {when}\n", "2: effective_from", "RFC 3339")


def test_max_uses_below_one_is_refused_and_one_is_not() -> None:
    one(policy("require: {max_uses: 0}"), "4: policies[0].require.max_uses", "1 or more")
    assert a_set(policy("require: {max_uses: 1}")).requirements["p"].max_uses == 1


def test_an_empty_accept_is_refused() -> None:
    one(policy("require: {accept: []}"), "4: policies[0].require.accept", "at least one")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("defaults: {lookback: 1h}\n" + policy("require: {max_age: 61m}"), "5: policies[0].require.max_age"),
        ("defaults: {lookback: 1m}\n" + policy("owner: o"), "4: policies[0].require.max_age"),
        ("defaults: {lookback: 1h, max_age: 61m}\n" + policy("owner: o"), "2: defaults.max_age"),
        (policy("require: {max_age: 25h}"), "4: policies[0].require.max_age"),
    ],
)
def test_a_max_age_longer_than_lookback_is_refused(text: str, place: str) -> None:
    problems = refusal(text).problems
    assert [problem.message for problem in problems if "longer than lookback" in problem.message]
    assert len(problems) == 1
    assert place.split(": ")[1] == problems[0].field


def test_a_max_age_as_long_as_lookback_is_accepted() -> None:
    made = a_set("defaults: {lookback: 1h}\n" + policy("require: {max_age: 60m}"))
    assert made.requirements["p"].max_age_us == made.requirements["p"].lookback_us


def test_a_duplicate_policy_id_is_refused_in_a_file_and_across_files() -> None:
    one("policies:\n  - id: p\n  - id: p\n", "4: policies[1].id", "p0.yaml:3")
    problems = refusal("policies: [{id: p}]\n", "\npolicies: [{id: p}]\n").problems
    assert [str(problem) for problem in problems] == ["p1.yaml:3: policies[0].id: 'p' is already the id at p0.yaml:2"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("{name: /idp, silent_after: 5m}", "{name: /idp, silent_after: 6m}"),
        ("{name: /idp, silent_after: 5m}", "{name: /idp}"),
        ("{name: /idp, proves: []}", "{name: /idp}"),
        ("{name: /idp, proves: [login]}", "{name: /idp, proves: [step_up]}"),
    ],
)
def test_contradicting_sources_are_refused_in_a_file_and_across_files(first: str, second: str) -> None:
    one(f"sources:\n  - {first}\n  - {second}\n", "4: sources[1]", "contradicts")
    problem = refusal(f"sources: [{first}]\n", f"sources: [{second}]\n").problems[0]
    assert (problem.file, problem.field) == ("p1.yaml", "sources[0]")


def test_a_source_said_twice_alike_is_no_contradiction() -> None:
    made = a_set(
        "sources: [{name: /idp, silent_after: 5m, proves: [login, step_up]}]\n",
        "sources: [{name: /idp, silent_after: 300s, proves: [step_up, login]}]\n",
    )
    assert list(made.sources) == ["/idp"]


@pytest.mark.parametrize(
    ("when", "word"),
    [
        ("subject ==", "Syntax error"),
        ("subjct == 'a'", "undeclared reference to 'subjct'"),
        ("subject == 'a' || false && nope", "undeclared reference to 'nope'"),
        ("subject.startsWith(5) && nope", "undeclared reference to 'nope'"),
        ("upper(subject) == 'A'", "undeclared reference to 'upper'"),
        ("[1].all(x, y > 1)", "undeclared reference to 'y'"),
        ("no.such.Type{} == 1", "undeclared reference to 'no.such.Type'"),
        ("has(subject)", "has() argument"),
        ("(" * 50 + "true" + ")" * 50, "recursion limit"),
        ("true " + " " * 8192, "at most 8192 characters"),
    ],
)
@pytest.mark.parametrize("part", ["match", "exempt"])
def test_a_condition_that_does_not_parse_or_names_something_undeclared_is_refused(
    part: str, when: str, word: str
) -> None:
    one(policy(f'{part}: {{when: "{when}"}}'), f"4: policies[0].{part}.when", word)


@pytest.mark.parametrize(
    "when",
    ["subject < 5", "resource.id", "subject.startsWith(5)", "1 + 'a' == 2", "time > 5", "client.a.b.c"],
)
def test_a_wrong_type_or_a_missing_member_is_no_reason_to_refuse_a_condition(when: str) -> None:
    assert a_set(policy(f'match: {{when: "{when}"}}')).requirements


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a: [1, 2", "1: "),
        ("a: b: c", "1: "),
        ("version: 1\n\tpolicies: []", "2: "),
        ("version: 1\npolicies: *nowhere", "2: "),
        ("version: 1\n--- \nversion: 1", "2: "),
        ('version: 1\npolicies: "\x01"', "2: "),
        ("", "1: "),
        ("# only a comment", "1: "),
        ("[]", "1: "),
        ("version: 1\npolicies: [{id: !!python/name:os.system x}]", "2: policies[0].id"),
        ("version: 1\npolicies: !!set {a, b}", "2: policies"),
        ("version: 1\nno: 1", "2: "),
        ("version: 1\n? [a]\n: 1", "2: "),
        ('version: 1\npolicies: [{id: "\\ud800"}]', "2: policies[0].id"),
        ("version: 1\npolicies: &p [*p]", "0: "),
        ("version: 1\npolicies: " + "[" * 5000, "0: "),
        ("version: 1\npolicies: " + "[" * 40 + "]" * 40, "0: "),
        ("version: 1 " + "#" * 1024 * 1024, "0: "),
    ],
)
def test_what_is_no_plain_yaml_mapping_is_refused_and_never_a_crash(text: str, place: str) -> None:
    with pytest.raises(PolicyRefused) as caught:
        build_set([("p.yaml", text)], None)
    first = caught.value.problems[0]
    assert f"{first.line}: {first.field}" == place


def test_a_few_lines_of_aliases_that_stand_for_millions_of_values_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    assert "at most 200000 values" in str(refusal("\n".join(lines)))


def test_anchors_that_repeat_a_value_are_allowed() -> None:
    text = "policies:\n  - {id: a, require: &strong {amr_any: [hwk]}}\n  - {id: b, require: *strong}\n"
    assert a_set(text).requirements["b"].amr_any == {"hwk"}


def test_every_fault_of_every_file_is_told_at_once() -> None:
    first = "defaults: {grace: 5}\npolicies:\n  - id: p\n    owner: no\n    match: {when: 'nope'}\n"
    second = "sources: [{}]\npolicies: [{id: p}, {id: q, alert: {severity: loud}}]\n"
    assert [f"{p.file}:{p.line}: {p.field}" for p in refusal(first, second).problems] == [
        "p0.yaml:2: defaults.grace",
        "p0.yaml:5: policies[0].owner",
        "p0.yaml:6: policies[0].match.when",
        "p1.yaml:2: sources[0].name",
        "p1.yaml:3: policies[1].alert.severity",
        "p1.yaml:3: policies[0].id",
    ]


def test_a_refusal_reads_as_one_line_for_each_fault_with_file_line_and_field() -> None:
    refused = refusal("sources: {}\npolicies: [{id: p, own: x}]\n")
    assert str(refused).splitlines() == [
        "p0.yaml:2: sources: expected a list; got a mapping",
        "p0.yaml:3: policies[0].own: unknown key; did you mean `owner`?",
    ]
    assert (refused.code, refused.retriable) == ("policy_refused", False)


def test_files_that_cannot_be_read_are_refused_with_their_names(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"version: 1\n# caf\xe9\n")
    with pytest.raises(PolicyRefused) as caught:
        load_files([tmp_path / "latin.yaml", tmp_path / "absent.yaml"])
    latin, absent = caught.value.problems
    assert (latin.line, latin.message) == (2, "not UTF-8")
    assert "cannot be read" in absent.message


@pytest.mark.parametrize(
    ("test", "place"),
    [
        ("{name: n, given: [], expect: {verdict: exempt}}", "given"),
        ("{name: n, given: [{at: 0s}], expect: {verdict: exempt}}", "given[0]"),
        ("{name: n, given: [{action: a, type: b}], expect: {verdict: exempt}}", "given[0]"),
        ("{name: n, given: [{action: a, at: 5}], expect: {verdict: exempt}}", "given[0].at"),
        ("{name: n, given: [{action: a}], expect: {verdict: fine}}", "expect.verdict"),
        ("{name: n, given: [{action: a}], expect: {verdict: verified, reason: stale}}", "expect"),
    ],
)
def test_a_policy_test_that_makes_no_sense_is_refused(test: str, place: str) -> None:
    one(policy(f"tests: [{test}]"), f"4: policies[0].tests[0].{place}")
