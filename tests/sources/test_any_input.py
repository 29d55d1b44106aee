"""Whatever a line holds, an adapter answers: with events that the contract accepts, or with reasons."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwatch.sources import ADAPTERS
from tests.sources.reading import lines_of, read, shared
from tests.sources.rows import aws, enrolment, in_session, okta, sign_in, user

ODD: list[Any] = [
    None,
    "",
    "unknown",
    0,
    -1,
    1.5,
    True,
    [],
    {},
    [None],
    [[]],
    {"a": {}},
    "x" * 70_000,
    "\ud800",
    "é\u0000",
]
ODD += ["2026-03-02T09:00:00Z", 1772452800000, ["a", 1], [{"id": 1}], 10**30, "true", "Success", "Yes"]
OWN = {
    "okta": [
        okta(
            "user.authentication.auth_via_mfa",
            target=[user("a"), enrolment("Use Okta FastPass", "[USER_VERIFYING]")],
        ),
        okta(
            "user.authentication.auth_via_mfa",
            "FAILURE",
            reason="INVALID_CREDENTIALS",
            debug={"factor": "SMS_FACTOR"},
        ),
        okta("user.mfa.factor.deactivate", target=[user("a"), enrolment("Email")]),
        okta("policy.evaluate_sign_on", "CHALLENGE", target=[{"type": "PolicyEntity", "displayName": "p"}]),
        okta("user.session.clear", target=[user("a")]),
        {"data": {"events": [okta("pam.x.y", target=[{"type": "T", "id": "t"}])]}},
    ],
    "cloudtrail": [
        aws(
            "iam",
            "EnableMFADevice",
            userIdentity=in_session("true"),
            requestParameters={"serialNumber": "S", "userName": "b"},
        ),
        aws("sts", "AssumeRole", requestParameters={"serialNumber": "S", "roleArn": "r"}, errorMessage="no"),
        aws(
            "ec2",
            "StopInstances",
            requestParameters={"instancesSet": {"items": [{"instanceId": "i"}]}},
            readOnly="false",
        ),
        sign_in("ConsoleLogin", "Success", more={"MFAUsed": "Yes", "MFAIdentifier": "arn:aws:iam::1:u2f/x"}),
        sign_in("CheckMfa", "Failure", more={"MfaType": "Virtual MFA"}),
        sign_in("UserAuthentication", "Success", more={"CredentialType": "PASSWORD,TOTP"}),
        {"Records": [aws("s3", "GetObject", resources=[{"ARN": "a"}])]},
        {"CloudTrailEvent": json.dumps(aws("kms", "Decrypt")), "EventTime": "2022-02-08 09:23:37+11:00"},
    ],
}


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where in a JSON value something can be broken."""
    here = [path] if path else []
    if isinstance(value, dict):
        return here + [deeper for key, inner in value.items() for deeper in paths(inner, (*path, key))]
    if isinstance(value, list):
        return here + [deeper for index, inner in enumerate(value) for deeper in paths(inner, (*path, index))]
    return here


def broken(value: Any, path: tuple[Any, ...], by: Any, drop: bool) -> Any:
    """A copy of a JSON value with one place replaced or dropped."""
    copy = json.loads(json.dumps(value))
    place = copy
    for key in path[:-1]:
        place = place[key]
    if drop:
        del place[path[-1]]
    else:
        place[path[-1]] = by
    return copy


@pytest.mark.parametrize("adapter", sorted(ADAPTERS))
def test_any_part_of_a_row_may_be_missing_or_of_another_type(adapter: str) -> None:
    for row in OWN[adapter]:
        for path in paths(row):
            for by in ODD:
                assert read(adapter, broken(row, path, by, drop=False))
            assert read(adapter, broken(row, path, None, drop=True))


@pytest.mark.parametrize("adapter", sorted(ADAPTERS))
def test_a_row_may_be_cut_off_anywhere(adapter: str) -> None:
    for row in OWN[adapter]:
        line = json.dumps(row, ensure_ascii=False).encode()
        for end in range(1, len(line), 7):
            assert read(adapter, line[:end])


@pytest.mark.parametrize(("adapter", "folder"), [("okta", "okta"), ("cloudtrail", "aws_cloudtrail")])
def test_real_rows_may_be_broken_at_random(adapter: str, folder: str) -> None:
    chance = random.Random(7)
    for path in sorted(shared("data", folder).glob("*.jsonl")):
        if "labels" in path.name or ".index" in path.name:
            continue
        for line in lines_of(path):
            row = json.loads(line)
            where = paths(row)
            for _ in range(4):
                bad = broken(row, chance.choice(where), chance.choice(ODD), drop=chance.random() < 0.3)
                bad = broken(bad, chance.choice(paths(bad) or [()]), chance.choice(ODD), drop=False) if bad else bad
                assert read(adapter, bad)
            assert read(adapter, line[: chance.randrange(1, len(line))])
            cut = chance.randrange(len(line))
            read(adapter, line[:cut] + bytes([chance.randrange(256)]) + line[cut + 1 :])


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(ODD),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(adapter=st.sampled_from(sorted(ADAPTERS)), value=values)
def test_any_json_is_answered(adapter: str, value: Any) -> None:
    line = json.dumps(value).encode()
    assert read(adapter, line)


@settings(max_examples=200, deadline=None)
@given(adapter=st.sampled_from(sorted(ADAPTERS)), line=st.binary(max_size=200))
def test_any_bytes_are_answered(adapter: str, line: bytes) -> None:
    assert read(adapter, line) or not line.strip()


@pytest.mark.parametrize("adapter", sorted(ADAPTERS))
def test_a_blank_line_is_nothing(adapter: str) -> None:
    assert ADAPTERS[adapter].events(b"") == []
    assert ADAPTERS[adapter].events(b"  \r\n") == []


@pytest.mark.parametrize("adapter", sorted(ADAPTERS))
def test_a_row_read_twice_gives_the_same_events(adapter: str) -> None:
    for row in OWN[adapter]:
        assert read(adapter, row) == read(adapter, row)
