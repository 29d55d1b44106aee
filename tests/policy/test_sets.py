"""Which files make a set, what holds where nothing is said, which set is in force (contract section 4)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stepwatch.schemas.policy import PolicyRecord, PolicyText
from stepwatch.streams.loading import PolicyRefused
from stepwatch.streams.sets import PolicySet, PolicySets, build_set, load_files, set_digest, sets_from_records
from tests.policy.given import T0_US, Action, a_policy, a_set

MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US


def winner(made: PolicySet, **said: str) -> str:
    requirement = made.match(Action(**said)).requirement  # type: ignore[arg-type]
    return requirement.id if requirement else ""


def test_files_go_in_byte_order_of_their_base_names_whatever_their_folders_and_order() -> None:
    texts = [(name, f"version: 1\npolicies: [{{id: '{name}'}}]\n") for name in ("a/ä.yaml", "z/B.yaml", "b/a.yaml")]
    made = build_set(texts, None)
    assert list(made.requirements) == ["z/B.yaml", "b/a.yaml", "a/ä.yaml"]
    assert winner(made) == "z/B.yaml"


def test_of_policies_that_match_the_first_in_the_file_applies() -> None:
    made = a_set("policies: [{id: first, match: {action: ['x.*']}}, {id: second, match: {action: ['x.y']}}]\n")
    assert winner(made, action="x.y") == "first"


def test_keys_that_nobody_says_have_the_values_of_the_contract() -> None:
    required = a_policy("{id: p}").requirements["p"]
    assert required.max_age_us == 5 * MINUTE_US
    assert required.clock_skew_us == 5_000_000
    assert required.grace_us == 10_000_000
    assert required.lookback_us == 24 * HOUR_US
    assert required.revise_within_us == HOUR_US
    assert required.accept_late_us == 24 * HOUR_US
    assert required.dedup_us == HOUR_US
    assert required.same_session is True
    assert required.severity == "high"
    assert required.binding == "none"
    assert required.max_uses is None
    assert (required.same_device, required.same_ip) == (False, False)
    assert required.accept == {"step_up"}
    assert (required.amr_any, required.acr_any) == (frozenset(), frozenset())
    assert (required.reason, required.owner, required.runbook) == ("", "", "")


def test_what_a_policy_says_goes_before_the_defaults_of_its_file() -> None:
    text = """
defaults: {max_age: 7m, same_session: false, severity: low, grace: 3s, dedup: 2m}
policies:
  - id: own
    require: {max_age: 1m, same_session: true, accept: [login]}
    alert: {severity: critical, grace: 0s, dedup: 0s}
  - id: filed
"""
    made = a_set(text)
    own, filed = made.requirements["own"], made.requirements["filed"]
    assert (own.max_age_us, own.same_session, own.severity) == (MINUTE_US, True, "critical")
    assert (own.grace_us, own.dedup_us, own.accept) == (0, 0, {"login"})
    assert (filed.max_age_us, filed.same_session, filed.severity) == (7 * MINUTE_US, False, "low")
    assert (filed.grace_us, filed.dedup_us) == (3_000_000, 2 * MINUTE_US)


def test_defaults_reach_their_own_file_only() -> None:
    made = a_set("defaults: {grace: 3s}\npolicies: [{id: a}]\n", "policies: [{id: b}]\n")
    assert made.requirements["a"].grace_us == 3_000_000
    assert made.requirements["b"].grace_us == 10_000_000


def test_null_means_that_a_key_is_absent() -> None:
    made = a_set("defaults: ~\nsources:\npolicies: [{id: p, owner: null, match: ~, require: {accept: ~}}]\n")
    assert made.requirements["p"].accept == {"step_up"}


def version(text: str) -> str:
    return a_set(text).requirements["p"].version


def test_a_policy_version_is_the_same_for_the_same_policy_however_it_is_written() -> None:
    plain = version("policies: [{id: p, match: {action: [a]}, require: {max_age: 5m}}]\n")
    assert len(plain) == 12
    assert set(plain) <= set("0123456789abcdef")
    for same in (
        "# a comment\npolicies:\n  - require: {max_age: 300s}\n    match: {action: ['a']}\n    id: p\n",
        "policies: [{id: p, match: {action: [a]}}]\n",
        "defaults: {max_age: 5m}\npolicies: [{id: p, match: {action: [a], when: ''}, alert: {}}]\n",
        "policies: [{id: p, match: {action: [a]}, alert: {severity: high, grace: 10s, dedup: 1h}}]\n",
        "policies: [{id: o}, {id: p, match: {action: [a]}, owner: ~}]\n",
    ):
        assert version(same) == plain


def test_a_policy_version_changes_with_whatever_decides_or_is_on_record() -> None:
    texts = [
        "policies: [{id: p}]\n",
        "policies: [{id: p, reason: r}]\n",
        "policies: [{id: p, owner: o}]\n",
        "policies: [{id: p, match: {action: [a]}}]\n",
        "policies: [{id: p, match: {when: 'true'}}]\n",
        "policies: [{id: p, exempt: {when: 'true'}}]\n",
        "policies: [{id: p, require: {max_uses: 1}}]\n",
        "policies: [{id: p, alert: {grace: 9s}}]\n",
        "defaults: {lookback: 25h}\npolicies: [{id: p}]\n",
        "defaults: {accept_late: 25h}\npolicies: [{id: p}]\n",
    ]
    assert len({version(text) for text in texts}) == len(texts)


def test_sources_keep_whether_proves_is_said_at_all() -> None:
    made = a_set("sources: [{name: /a, silent_after: 5m}, {name: /b, proves: []}]\n")
    assert made.sources["/a"].proves is None
    assert made.sources["/b"].proves == frozenset()
    assert (made.sources["/a"].silent_after_us, made.sources["/b"].silent_after_us) == (5 * MINUTE_US, None)
    assert made.any_proves
    assert not a_set("sources: [{name: /a}]\n").any_proves


def test_the_largest_values_of_a_set_count_the_defaults_of_files_without_policies() -> None:
    made = a_set(
        "defaults: {lookback: 30h, accept_late: 50h, grace: 2h, revise_within: 3h}\n",
        "sources: [{name: /a, silent_after: 5m}, {name: /b, silent_after: 7m}]\n"
        "policies: [{id: p, alert: {grace: 5h}}]\n",
    )
    assert made.lookback_max_us == 30 * HOUR_US
    assert made.accept_late_max_us == 50 * HOUR_US
    assert made.horizon_max_us == 6 * HOUR_US
    assert made.silent_after_max_us == 7 * MINUTE_US
    assert a_policy("{id: p}").silent_after_max_us == 0
    sets = PolicySets([made, a_policy("{id: q}")])
    assert (sets.lookback_max_us, sets.accept_late_max_us) == (30 * HOUR_US, 50 * HOUR_US)
    assert (sets.horizon_max_us, sets.silent_after_max_us) == (6 * HOUR_US, 7 * MINUTE_US)


def begins(*starts: int | None) -> tuple[PolicySets, list[PolicySet]]:
    made = [a_set(effective_from_us=start) for start in starts]
    return PolicySets(made), made


def test_a_set_is_in_force_from_its_first_microsecond_until_the_next_begins() -> None:
    sets, (first, second, third) = begins(100, 200, 300)
    assert [sets.at(time_us) for time_us in (100, 199, 200, 299, 300)] == [
        first,
        first,
        second,
        second,
        third,
    ]


def test_before_the_first_set_the_first_is_in_force() -> None:
    sets, (later, first) = begins(200, 100)
    assert sets.at(0) is first
    assert sets.at(200) is later


def test_one_set_alone_is_always_in_force() -> None:
    sets, (only,) = begins(100)
    assert sets.at(0) is only
    assert sets.at(10**18) is only


def test_of_two_sets_that_begin_together_the_later_applied_is_in_force() -> None:
    sets, (_, second) = begins(100, 100)
    assert sets.at(100) is second


def test_no_set_at_all_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(ValueError, match="--policies"):
        PolicySets([])


def write(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"version: 1\n{text}")
    return path


def test_files_with_the_same_effective_from_are_one_set_and_those_without_are_together_one(
    tmp_path: Path,
) -> None:
    paths = [
        write(tmp_path, "d.yaml", "effective_from: 2026-11-24T10:00:00+01:00\npolicies: [{id: d}]\n"),
        write(tmp_path, "a.yaml", "policies: [{id: a}]\n"),
        write(tmp_path, "c.yaml", "effective_from: 2026-11-24T09:00:00Z\npolicies: [{id: c}]\n"),
        write(tmp_path, "b.yaml", "policies: [{id: b}]\n"),
    ]
    sets = load_files(paths)
    assert [list(made.requirements) for made in sets.sets] == [["a", "b"], ["c", "d"]]
    assert [made.effective_from_us for made in sets.sets] == [None, T0_US]
    assert list(sets.at(T0_US - 1).requirements) == ["a", "b"]
    assert list(sets.at(T0_US).requirements) == ["c", "d"]


def test_the_same_id_in_sets_of_different_times_is_no_duplicate(tmp_path: Path) -> None:
    paths = [
        write(tmp_path, "a.yaml", "policies: [{id: p}]\n"),
        write(tmp_path, "b.yaml", "effective_from: 2026-11-24T09:00:00Z\npolicies: [{id: p}]\n"),
    ]
    assert len(load_files(paths).sets) == 2


def test_the_faults_of_all_sets_are_told_together(tmp_path: Path) -> None:
    paths = [
        write(tmp_path, "a.yaml", "policies: [{id: p, owner: no}]\n"),
        write(tmp_path, "b.yaml", "effective_from: 2026-11-24T09:00:00Z\nsources: {}\n"),
    ]
    with pytest.raises(PolicyRefused) as caught:
        load_files(paths)
    assert [problem.field for problem in caught.value.problems] == ["policies[0].owner", "sources"]


def test_the_digest_of_a_set_depends_on_base_names_and_texts_only() -> None:
    one = set_digest([("x/a.yaml", "1"), ("x/b.yaml", "2")])
    assert one == set_digest([("y/b.yaml", "2"), ("z/a.yaml", "1")])
    assert one != set_digest([("a.yaml", "2"), ("b.yaml", "1")])
    assert a_set("policies: [{id: p}]\n").digest == set_digest([("p0.yaml", "version: 1\npolicies: [{id: p}]\n")])


def record(*texts: str, now: bool = False, effective_from: str | None = None) -> bytes:
    files = [PolicyText(name=f"p{i}.yaml", text=f"version: 1\n{text}") for i, text in enumerate(texts)]
    said = PolicyRecord(
        files=files,
        effective_from=effective_from,
        now=now,
        applied_by="op",
        applied_at="2026-11-24T08:00:00Z",
    )
    return said.model_dump_json().encode()


def starts(*records: tuple[int, bytes]) -> list[int | None]:
    return [made.effective_from_us for made in sets_from_records(records).sets]


FIRST = (T0_US - HOUR_US, record("policies: [{id: first}]\n"))
NOTICE_US = 11 * MINUTE_US


def test_the_first_applied_set_holds_from_the_beginning_whatever_it_says() -> None:
    assert starts(FIRST) == [None]
    assert starts((T0_US, record("effective_from: 2027-01-01T00:00:00Z\n"))) == [None]


def test_a_later_set_holds_from_eleven_minutes_after_its_append_where_none_is_said() -> None:
    assert starts(FIRST, (T0_US, record(""))) == [None, T0_US + NOTICE_US]


@pytest.mark.parametrize(("ahead_us", "wanted_us"), [(-1, 0), (0, 0), (1_000_000, 1_000_000)])
def test_an_effective_from_counts_only_where_it_is_at_least_eleven_minutes_ahead(ahead_us: int, wanted_us: int) -> None:
    # 09:11:00 is 11 minutes after T0; the set says that, a microsecond less, or a second more.
    said = {-1: "2026-11-24T09:10:59.999999Z", 0: "2026-11-24T09:11:00Z", 1_000_000: "2026-11-24T09:11:01Z"}
    later = (T0_US, record(f"effective_from: {said[ahead_us]}\n"))
    assert starts(FIRST, later) == [None, T0_US + NOTICE_US + wanted_us]
    outside = (T0_US, record("", effective_from=said[ahead_us]))
    assert starts(FIRST, outside) == [None, T0_US + NOTICE_US + wanted_us]


def test_a_set_applied_with_now_holds_from_its_append_time() -> None:
    assert starts(FIRST, (T0_US, record("effective_from: 2027-01-01T00:00:00Z\n", now=True))) == [None, T0_US]


def test_files_of_one_record_that_begin_at_different_times_are_refused_and_the_old_set_stays() -> None:
    split = record("effective_from: 2027-01-01T00:00:00Z\n", "effective_from: 2027-01-02T00:00:00Z\n")
    sets = sets_from_records([FIRST, (T0_US, split)])
    assert len(sets.sets) == 1
    assert [problem.field for problem in sets.refused[0].problems] == ["effective_from"]
    agreed = record("effective_from: 2027-01-01T00:00:00Z\n", "", "effective_from: 2027-01-01T01:00:00+01:00\n")
    assert len(sets_from_records([FIRST, (T0_US, agreed)]).sets) == 2


@pytest.mark.parametrize("value", [b"", b"{}", b"\xff", b'{"files": []}', record("polices: []\n")])
def test_a_record_that_is_no_valid_set_is_told_and_the_old_set_stays(value: bytes) -> None:
    sets = sets_from_records([(T0_US, value), FIRST, (T0_US, value)])
    assert [list(made.requirements) for made in sets.sets] == [["first"]]
    assert sets.sets[0].effective_from_us is None
    assert len(sets.refused) == 2


def test_records_without_one_valid_set_are_an_error() -> None:
    with pytest.raises(ValueError, match="no policy set"):
        sets_from_records([(T0_US, b"{}")])


def test_a_record_is_json_with_its_files_as_they_were() -> None:
    said = json.loads(record("# ä\n", now=True))
    assert said["files"] == [{"name": "p0.yaml", "text": "version: 1\n# ä\n"}]
    assert (said["now"], said["effective_from"], said["applied_by"]) == (True, None, "op")


def test_the_tests_of_a_policy_are_kept_with_their_lines_and_data_fields() -> None:
    text = """policies:
  - id: p
    tests:
      - name: fires
        given:
          - {at: 1m, arrival: 2m, action: a.b, resource: {type: t}, no_such_field: 7, id: e-1}
          - {type: stepup.verified, amr: [otp]}
        expect: {verdict: unverified, reason: no_step_up}
"""
    file = a_set(text).files[0]
    (test,) = file.policies[0][1].tests
    first, second = test.given
    assert (first.at, first.arrival, first.action, first.id) == (MINUTE_US, 2 * MINUTE_US, "a.b", "e-1")
    assert first.model_extra == {"resource": {"type": "t"}, "no_such_field": 7}
    assert (second.at, second.arrival, second.type) == (0, None, "stepup.verified")
    assert (test.expect.verdict, test.expect.reason) == ("unverified", "no_step_up")
    assert file.line(("policies", 0, "tests", 0, "given", 1)) == 8
