"""Every line of the real logs: what it becomes, counted, and accepted by the core's decoder."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from stepwatch.schemas.events import ACTION_PERFORMED
from stepwatch.sources import ADAPTERS, Skip
from stepwatch.streams import decode
from tests.sources.reading import lines_of, read, shared

SERVICE = "subject: an AWS service acts, no person"
NOBODY = "subject: nobody is named"
NO_TIME = "time: no readable time"
NOTICE = "type: a notice of the product, no deed"
FAILED_LOGIN = "outcome: a failed login proves nothing and is no step-up"
STEP = "type: a step of a login, which has its own row"
SECOND_ROW = "type: the end of a deed that has its own row"
TOKEN = "type: a token of a session that has its own row"

OKTA: dict[str, dict[str, int]] = {
    "panther_rule_tests.jsonl": {
        "action.performed": 5,
        "outcome: does not say how it ended, or not as it would count": 1,
        NOTICE: 2,
        NO_TIME: 3,
        "subject: the product itself acts, no person": 1,
    },
    "panther_rule_tests_lowercased_keys.jsonl": {
        "action.performed": 4,
        "stepup.required": 4,
        "stepup.failed": 2,
        "stepup.verified": 1,
        FAILED_LOGIN: 2,
        STEP: 1,
        NOTICE: 3,
    },
    "panther_scenario_add_administrator.jsonl": {
        "session.started": 6,
        "action.performed": 2,
        FAILED_LOGIN: 9,
    },
    "sekoia_system_log.jsonl": {"stepup.verified": 1, STEP: 1},
    "streamalert.jsonl": {NOTICE: 1},
}
CLOUDTRAIL: dict[str, dict[str, int]] = {
    "eventbridge_envelope.jsonl": {"action.performed": 10},
    "otrf_ec2_proxy_s3_exfiltration.jsonl": {"action.performed": 98, "session.started": 87, SERVICE: 5},
    "panther_rule_tests.jsonl": {
        "action.performed": 201,
        "session.started": 11,
        "stepup.failed": 1,
        SERVICE: 5,
        NOBODY: 10,
        NO_TIME: 8,
        "type: does not say what happened": 2,
        "type: the passage through a VPC endpoint of a call that has its own record": 5,
    },
    "plaso_lookup_events.jsonl": {"action.performed": 5, SERVICE: 1},
    "stratus_detonations.jsonl": {"action.performed": 154},
    "traildiscover_examples.jsonl": {"action.performed": 188},
}
KEYCLOAK: dict[str, dict[str, int]] = {
    "arxiv_events.jsonl": {"action.performed": 3, "session.started": 1},
    # A clock without a date, and nothing around it that says one.
    "jsonlog_listener.log": {NO_TIME: 6, TOKEN: 1},
    "server_log_json.jsonl": {TOKEN: 1},
    "server_log_text.log": {NO_TIME: 1},
}
GITHUB: dict[str, dict[str, int]] = {
    "panther_rule_tests.jsonl": {
        "action.performed": 31,
        NOBODY: 1,
        NO_TIME: 9,
        NOTICE: 1,
        SECOND_ROW: 1,
    },
    "sekoia_audit_log.jsonl": {"action.performed": 4},
    "streamalert_ghe_syslog.jsonl": {"action.performed": 10, NO_TIME: 2},
}
DUO: dict[str, dict[str, int]] = {
    "datadog_admin_api.jsonl": {"action.performed": 3, "stepup.denied": 1, NOBODY: 1},
    "panther_rule_tests.jsonl": {
        "action.performed": 11,
        "session.started": 2,
        "stepup.denied": 1,
        "stepup.failed": 2,
        NO_TIME: 4,
    },
    "streamalert_auth.jsonl": {"stepup.denied": 1, "stepup.verified": 1},
}
ENTRA: dict[str, dict[str, int]] = {
    # Documentation samples; one has an empty status.
    "msgraph_docs_signins.jsonl": {
        "session.started": 2,
        "outcome: does not say how it ended, or not as it would count": 1,
    },
    "panther_rule_tests.jsonl": {
        "action.performed": 12,
        "session.started": 5,
        "type: a step towards a deed that has its own row": 1,
        "type: a token issued without asking the person, no login": 1,
    },
    "panther_rule_tests_lowercased_keys.jsonl": {
        "session.started": 2,
        "subject: a machine cannot prove who a person is": 7,
    },
    "sekoia_graph_signins.jsonl": {"session.started": 2},
}
FILES = [("okta", "okta", name, counts) for name, counts in OKTA.items()]
FILES += [("cloudtrail", "aws_cloudtrail", name, counts) for name, counts in CLOUDTRAIL.items()]
FILES += [("entra", "entra_id", name, counts) for name, counts in ENTRA.items()]
FILES += [("github", "github", name, counts) for name, counts in GITHUB.items()]
FILES += [("duo", "duo", name, counts) for name, counts in DUO.items()]
FILES += [("keycloak", "keycloak", name, counts) for name, counts in KEYCLOAK.items()]


@pytest.mark.parametrize(("adapter", "folder", "name", "counts"), FILES)
def test_every_line_of_a_real_log_becomes_an_event_or_is_counted_with_its_reason(
    adapter: str, folder: str, name: str, counts: dict[str, int]
) -> None:
    found: Counter[str] = Counter()
    for line in lines_of(shared("data", folder, name)):
        made = read(adapter, line)
        assert made
        for one in made:
            found[f"{one.field}: {one.reason}" if isinstance(one, Skip) else one["type"].partition(".")[2]] += 1
    assert dict(found) == counts


@pytest.mark.parametrize(("adapter", "folder", "name", "counts"), FILES)
def test_the_core_accepts_every_event_of_a_real_log(
    adapter: str, folder: str, name: str, counts: dict[str, int]
) -> None:
    for line in lines_of(shared("data", folder, name)):
        for one in ADAPTERS[adapter].events(line):
            if not isinstance(one, Skip):
                assert isinstance(decode.decode(json.dumps(one).encode(), None), decode.Event)


def test_a_long_console_session_is_one_login_with_mfa_hours_before_its_calls() -> None:
    logins: list[dict[str, Any]] = []
    actions: list[dict[str, Any]] = []
    for line in lines_of(shared("data", "aws_cloudtrail", "otrf_ec2_proxy_s3_exfiltration.jsonl")):
        for one in read("cloudtrail", line):
            if not isinstance(one, Skip):
                (actions if one["type"] == ACTION_PERFORMED else logins).append(one)
    assert logins.count(logins[0]) == len(logins) == 87
    assert logins[0]["time"] == "2020-09-13T17:16:47Z"
    assert logins[0]["subject"].endswith(":user/pedro")
    assert {action["subject"].rpartition("/")[2] for action in actions} == {"pedro", "i-0317f6c6b66ae9c40"}


def test_the_attack_recordings_hold_no_proof() -> None:
    for name in ("stratus_detonations.jsonl", "traildiscover_examples.jsonl"):
        for line in lines_of(shared("data", "aws_cloudtrail", name)):
            assert not [one for one in read("cloudtrail", line) if not isinstance(one, Skip) and "amr" in one["data"]]


WEIGHTLESS = {
    # Rules about who calls, or how often: one such call by itself is no deed to prove oneself for.
    *("AWS.CloudTrail.IMDSCredentialExfiltration", "AWS.CloudTrail.SES.CheckIdentityVerifications"),
}


LABELLED = [
    ("okta", "okta"),
    ("cloudtrail", "aws_cloudtrail"),
    ("entra", "entra_id"),
    ("github", "github"),
    ("duo", "duo"),
]


@pytest.mark.parametrize(("adapter", "folder"), LABELLED)
def test_what_others_call_a_sensitive_action_has_more_than_low_sensitivity(adapter: str, folder: str) -> None:
    for line in lines_of(shared("data", folder, "labels.jsonl")):
        label = json.loads(line)
        wanted = label.get("expected_match") and label.get("category") == "sensitive_action"
        if not wanted or label["rule_id"] in WEIGHTLESS:
            continue
        row = lines_of(shared("data", *label["file"].split("/")))[label["line"] - 1]
        for one in read(adapter, row):
            if not isinstance(one, Skip) and one["type"] == ACTION_PERFORMED:
                assert one["data"]["resource"]["sensitivity"] != "low", label["case_id"]
