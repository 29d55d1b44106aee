"""`stepwatch identities build|unmatched`: proposals a policy set takes as they are, and who has no other half."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stepwatch.streams.sets import load_files
from tests.cli.console import POLICY, payout, run, write_events, write_policy
from tests.sources.rows import ROLE_ARN, aws, enrolment, in_session, okta

MAIL = "rosa@corp.example"
PROOF = okta("user.authentication.auth_via_mfa", target=[enrolment("fido_webauthn")])
DEED = aws("iam", "AttachUserPolicy", userIdentity=in_session("false"), requestParameters={"userName": "bob"})
EVERYTHING = POLICY.replace("payments.payout.*", "*")


def logs(folder: Path, okta_rows: list[Any], aws_rows: list[Any]) -> list[str]:
    """The words that name two logs."""
    write_events(folder / "okta.jsonl", *okta_rows)
    (folder / "aws.json").write_text(json.dumps({"Records": aws_rows}))
    return ["--from", "okta", "okta.jsonl", "--from", "cloudtrail", "aws.json"]


def test_the_yaml_is_a_policy_file_whose_aliases_hold(tmp_path: Path) -> None:
    done = run(tmp_path, "identities", "build", *logs(tmp_path, [PROOF, PROOF], [DEED]))
    assert (done.status, done.err) == (0, "3 records read: 2 aliases of 1 person proposed, 0 conflicts, 0 hints\n")
    sets = load_files([write_policy(tmp_path, done.out, "identities.yaml")])
    assert {sets.sets[0].canonical("default", name) for name in ("00u5rosa", ROLE_ARN, MAIL)} == {MAIL}


def test_each_alias_has_its_evidence_beside_it(tmp_path: Path) -> None:
    done = run(tmp_path, "identities", "build", *logs(tmp_path, [PROOF, PROOF], [DEED]))
    at = done.out.splitlines().index('      - "00u5rosa"')
    assert done.out.splitlines()[at + 1] == f'        # okta.jsonl: actor.id, beside "{MAIL}", in 2 rows'


def test_a_conflict_is_named_and_left_out_and_ends_with_status_1(tmp_path: Path) -> None:
    other = okta("user.session.start", actor={"id": "00u6", "type": "User", "alternateId": MAIL})
    done = run(tmp_path, "identities", "build", "--from", "okta", write_events(tmp_path / "o", PROOF, other))
    assert done.status == 1
    assert f'# - "{MAIL}" would join okta\'s accounts\n#   "00u5rosa", "00u6"\n' in done.out
    assert "identities: []" in done.out
    assert len(load_files([write_policy(tmp_path, done.out)]).sets) == 1


HOSTILE = {
    "a line break": "a\nb@corp.example",
    "quotes": 'q"#: x@corp.example',
    "an escape": "\u001b[2J@corp.example",
    "a turn of the reading order": "a\u202eb@corp.example",
    "not ASCII": "é\u2028\U0001f600@corp.example",
}


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_no_name_gets_out_of_its_quotes(tmp_path: Path, name: str) -> None:
    row = okta("user.session.start", actor={"id": name, "type": "User", "alternateId": MAIL})
    done = run(tmp_path, "identities", "build", "--from", "okta", write_events(tmp_path / "o", row))
    assert not {"\x1b", "\u202e"} & set(done.out)
    canonical = load_files([write_policy(tmp_path, done.out)]).sets[0].canonical
    assert canonical("default", name) == canonical("default", MAIL)


def test_for_machines_each_alias_conflict_and_hint_is_an_object(tmp_path: Path) -> None:
    done = run(tmp_path, "identities", "build", "--json", *logs(tmp_path, [PROOF], [DEED]))
    assert [(row["kind"], row["subject"], row["alias"]) for row in done.rows] == [
        ("alias", MAIL, "00u5rosa"),
        ("alias", MAIL, ROLE_ARN),
    ]
    assert done.rows[0]["evidence"] == [{"rows": 1, "file": "okta.jsonl", "field": "actor.id", "beside": MAIL}]


def test_who_acts_under_one_name_and_proves_under_another_is_listed_with_the_likely_partner(tmp_path: Path) -> None:
    words = logs(tmp_path, [PROOF], [DEED])
    done = run(tmp_path, "identities", "unmatched", "--json", "--policy", write_policy(tmp_path, EVERYTHING), *words)
    assert done.status == 0
    assert [(row["subject"], row["only"], row["policed"]) for row in done.rows] == [
        (ROLE_ARN, "acts", 1),
        ("00u5rosa", "proves", 0),
    ]
    assert [partner["subject"] for row in done.rows for partner in row["partners"]] == ["00u5rosa", ROLE_ARN]


def test_with_the_proposed_aliases_nobody_is_unmatched(tmp_path: Path) -> None:
    words = logs(tmp_path, [PROOF], [DEED])
    proposed = write_policy(tmp_path, run(tmp_path, "identities", "build", *words).out, "a.yaml")
    policies = ["--policy", proposed, "--policy", write_policy(tmp_path, EVERYTHING)]
    done = run(tmp_path, "identities", "unmatched", *policies, *words)
    assert done.out == "every subject that acts proves too, and the other way round\n"
    assert done.err == "0 of 1 subject only act or only prove\n"


def test_events_as_they_are_count_beside_a_products_log(tmp_path: Path) -> None:
    events = write_events(tmp_path / "events", payout("a-1", "10:00:00", subject=MAIL), "{")
    words = [*logs(tmp_path, [PROOF], []), "--from", "stepwatch", events]
    done = run(tmp_path, "identities", "unmatched", "--policy", write_policy(tmp_path), *words)
    assert f"{MAIL}  acts        1        1  /app     00u5rosa (rows name both beside" in done.out
    assert done.err.splitlines()[-1] == "2 records passed over, being no event: `stepwatch replay` says why"


def test_logs_without_an_event_say_so_and_not_that_all_is_well(tmp_path: Path) -> None:
    words = ["--policy", write_policy(tmp_path), "--from", "okta", write_events(tmp_path / "o", {"no": "row"})]
    done = run(tmp_path, "identities", "unmatched", *words)
    assert (done.status, done.out) == (0, "no subject: nobody acts or proves in these logs\n")


def test_a_folder_is_read_file_by_file(tmp_path: Path) -> None:
    (tmp_path / "AWSLogs" / "01").mkdir(parents=True)
    logs(tmp_path, [PROOF], [DEED])
    (tmp_path / "aws.json").rename(tmp_path / "AWSLogs" / "01" / "aws.json")
    words = ["--from", "okta", "okta.jsonl", "--from", "cloudtrail", "AWSLogs"]
    done = run(tmp_path, "identities", "build", *words)
    assert (done.status, done.err) == (0, "2 records read: 2 aliases of 1 person proposed, 0 conflicts, 0 hints\n")
    done = run(tmp_path, "identities", "unmatched", "--json", "--policy", write_policy(tmp_path), *words)
    assert len(done.rows) == 2


WRONG = {
    "a file before any source": (["x.jsonl"], "whose log is it?"),
    "a source without a file": (["--from", "okta"], "--from okta: name at least one file after it"),
    "a source without a file before another": (["--from", "okta", "--from", "duo", "x"], "--from okta: name at least"),
    "no source": (["--from"], "--from needs a source"),
    "an unknown source": (["--from", "vms", "x"], "--from vms: no such source"),
    "a source whose rows name nobody twice": (["--from", "stepwatch", "x"], "its rows name nobody twice"),
    "an unknown option": (["--form", "okta", "x"], "no such option: --form"),
    "a file that is not there": (["--from=okta", "x"], "x: cannot be read"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_command_line_is_said_in_a_sentence_with_status_2(tmp_path: Path, case: str) -> None:
    words, message = WRONG[case]
    done = run(tmp_path, "identities", "build", *words)
    assert done.status == 2
    assert message in done.err
    assert "Traceback" not in done.err
