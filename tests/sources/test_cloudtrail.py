"""AWS CloudTrail: actions, outcomes, callers, envelopes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stepwatch.sources import CloudTrail, Skip
from stepwatch.sources.actions import CRITICAL, HIGH, LOW, MODERATE
from stepwatch.sources.cloudtrail_actions import ACTIONS
from tests.sources.reading import one, read
from tests.sources.rows import ROLE_ARN, USER_ARN, aws, in_session


def test_a_call_is_an_action_of_its_caller() -> None:
    record = aws("iam", "AttachUserPolicy", requestParameters={"userName": "bob", "policyArn": "p"}, readOnly=False)
    event = one("cloudtrail", record)
    assert event["id"] == "e1#action-success"
    assert event["source"] == "/aws/cloudtrail"
    assert event["subject"] == USER_ARN
    assert event["data"] == {
        "client": {"ip": "203.0.113.7", "user_agent": "aws-cli/2"},
        "action": "iam.policy.attach",
        "outcome": "success",
        "resource": {"type": "user", "id": "arn:aws:iam::111122223333:user/bob", "sensitivity": "critical"},
    }


@pytest.mark.parametrize(
    ("service", "call", "read_only", "action", "sensitivity"),
    [
        ("ec2", "DescribeInstances", True, "ec2.instances.describe", "low"),
        ("ec2", "DescribeInstances", None, "ec2.instances.describe", "low"),
        ("ec2", "CreateTrafficMirrorTarget", False, "ec2.traffic_mirror_target.create", "moderate"),
        ("iam", "TagRole", None, "iam.role.tag", "high"),
        ("kms", "GenerateDataKey", True, "kms.data_key.generate", "low"),
        ("resource-explorer-2", "Search", "True", "resource_explorer_2.search", "low"),
        ("dynamodb", "BatchGetItem", None, "dynamodb.item.get", "low"),
        ("lambda", "UpdateFunctionCode20150331v2", False, "compute.function.update_code", "high"),
        ("cloudfront", "PublishFunction2020_05_31", False, "cloudfront.function.publish", "moderate"),
        ("secretsmanager", "GetSecretValue", True, "secrets.secret.read", "high"),
    ],
)
def test_a_call_is_named_by_the_table_or_by_its_own_words(
    service: str, call: str, read_only: Any, action: str, sensitivity: str
) -> None:
    event = one("cloudtrail", aws(service, call, readOnly=read_only))
    assert event["data"]["action"] == action
    assert event["data"]["resource"]["sensitivity"] == sensitivity


@pytest.mark.parametrize(
    ("service", "call", "action", "sensitivity"),
    [
        ("sso-directory", "CompleteVirtualMfaDeviceRegistration", "idp.factor.enroll", "high"),
        ("sso-directory", "CompleteWebAuthnDeviceRegistration", "idp.factor.enroll", "high"),
        ("sso-directory", "DeleteMfaDeviceForUser", "idp.factor.remove", "high"),
        ("sso-directory", "DeleteUser", "idp.user.delete", "high"),
        ("identitystore", "CreateUser", "idp.user.create", "high"),
        ("identitystore", "DeleteUser", "idp.user.delete", "high"),
        ("sso-directory", "RemoveMemberFromGroup", "idp.group.member_remove", "moderate"),
        ("identitystore", "DeleteGroupMembership", "idp.group.member_remove", "moderate"),
        ("sso", "AttachManagedPolicyToPermissionSet", "iam.policy.attach", "critical"),
        ("iam", "UploadSSHPublicKey", "iam.ssh_key.create", "high"),
        ("iam", "DeleteGroupPolicy", "iam.policy.delete", "high"),
        ("iam", "UpdateLoginProfile", "idp.password.reset", "critical"),
        ("cognito-idp", "AdminSetUserPassword", "idp.password.reset", "high"),
    ],
)
def test_a_deed_has_the_name_that_it_has_in_every_product(
    service: str, call: str, action: str, sensitivity: str
) -> None:
    data = one("cloudtrail", aws(service, call))["data"]
    assert (data["action"], data["resource"]["sensitivity"]) == (action, sensitivity)


def test_the_resource_is_found_in_lists_responses_and_pairs() -> None:
    def resource(*call: str, **parts: Any) -> str | None:
        event = one("cloudtrail", aws(*call, **parts))
        found: str | None = event["data"]["resource"].get("id")
        return found

    items = {"instancesSet": {"items": [{"instanceId": "i-1"}, {"instanceId": "i-2"}]}}
    assert resource("ec2", "StopInstances", requestParameters=items) == "i-1,i-2"
    assert resource("ec2", "RunInstances", responseElements=items) == "i-1,i-2"
    assert resource("s3", "GetObject", requestParameters={"bucketName": "b", "key": "k/1"}) == "b/k/1"
    assert resource("s3", "GetObject", requestParameters={"bucketName": "b"}) is None
    assert resource("rds", "ModifyDBInstance", requestParameters={"dBInstanceIdentifier": "db1"}) == "db1"
    assert resource("glue", "GetTable", resources=[{"ARN": "arn:t"}]) == "arn:t"
    assert resource("glue", "GetTable", resources=[{"ARN": "arn:t"}, {"ARN": "arn:u"}]) is None
    assert resource("iam", "CreateAccessKey", requestParameters=None) == USER_ARN


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("AccessDenied", "denied"),
        ("AccessDeniedException", "denied"),
        ("Client.UnauthorizedOperation", "denied"),
        ("UnauthorizedException", "denied"),
        ("Client.DryRunOperation", "failure"),
        ("NoSuchBucket", "failure"),
        ("", "success"),
        (None, "success"),
    ],
)
def test_access_refused_is_denied_and_every_other_error_a_failure(code: str | None, outcome: str) -> None:
    assert one("cloudtrail", aws("s3", "DeleteBucket", errorCode=code))["data"]["outcome"] == outcome


def test_an_error_without_a_code_is_a_failure_too() -> None:
    assert one("cloudtrail", aws("s3", "DeleteBucket", errorMessage="no"))["data"]["outcome"] == "failure"
    failed = aws("signin", "PasswordUpdated", responseElements={"PasswordUpdated": "Failure"})
    assert one("cloudtrail", failed)["data"]["outcome"] == "failure"


def test_the_session_is_the_arn_and_the_creation_of_its_credentials_whatever_the_key() -> None:
    first = one("cloudtrail", aws("s3", "ListBuckets", userIdentity=in_session("false", accessKeyId="ASIA1")))
    second = one("cloudtrail", aws("s3", "ListBuckets", userIdentity=in_session("false", accessKeyId="ASIA2")))
    assert first["data"]["session"] == second["data"]["session"] == f"{ROLE_ARN}@2026-03-02T08:00:00Z"
    other = one("cloudtrail", aws("s3", "ListBuckets", userIdentity=in_session("false", "2026-03-02T08:00:01Z")))
    assert other["data"]["session"] != first["data"]["session"]
    assert "session" not in one("cloudtrail", aws("s3", "ListBuckets"))["data"]


@pytest.mark.parametrize(
    ("identity", "subject"),
    [
        ({"type": "IAMUser", "userName": "rosa", "accountId": "111122223333"}, USER_ARN),
        ({"type": "IAMUser", "userName": "rosa"}, USER_ARN),
        ({"type": "Root", "accountId": "111122223333"}, "arn:aws:iam::111122223333:root"),
        (
            {"type": "FederatedUser", "arn": "arn:aws:sts::1:federated-user/f"},
            "arn:aws:sts::1:federated-user/f",
        ),
        ({k: v for k, v in in_session("false").items() if k != "arn"}, ROLE_ARN),
        ({"type": "AssumedRole", "principalId": "AROA1:rosa"}, "AROA1:rosa"),
        ({"type": "IdentityCenterUser", "onBehalfOf": {"userId": "u-9"}, "accountId": "1"}, "u-9"),
        ({"type": "SAMLUser", "principalId": "q1:rosa", "userName": "rosa"}, "q1:rosa"),
        ({"type": "AWSAccount", "principalId": "AROA2:fn", "accountId": "4"}, "AROA2:fn"),
        ({"type": "Unknown", "principalId": "1", "accountId": "1", "userName": "rosa"}, "1:rosa"),
    ],
)
def test_the_subject_is_who_really_acts(identity: dict[str, Any], subject: str) -> None:
    assert one("cloudtrail", aws("s3", "ListBuckets", userIdentity=identity))["subject"] == subject


@pytest.mark.parametrize(
    "identity",
    [
        None,
        "rosa",
        [],
        {},
        {"type": "AWSService", "invokedBy": "ec2.amazonaws.com"},
        {"accountId": "1", "invokedBy": "ec2.amazonaws.com"},
        {
            "type": "IAMUser",
            "userName": "HIDDEN_DUE_TO_SECURITY_REASONS",
            "accountId": "1",
            "principalId": "",
        },
        {"type": "AWSAccount", "principalId": "", "accountId": "anonymous"},
        {"type": "Unknown", "userName": "<name>", "principalId": "<id>", "accountId": "<account>"},
        {"type": "AssumedRole", "arn": "arn:aws:sts::1:assumed-role/AWSServiceRoleForEC2Fleet/EC2Fleet"},
    ],
)
def test_services_of_aws_and_nobody_are_no_subjects(identity: Any) -> None:
    assert one("cloudtrail", aws("ec2", "RunInstances", userIdentity=identity)).field == "subject"


def test_two_roles_with_one_session_name_are_two_subjects() -> None:
    other = ROLE_ARN.replace("Admin", "ReadOnly")
    first, second = (
        one("cloudtrail", aws("s3", "ListBuckets", userIdentity=in_session("false", arn=arn)))
        for arn in (ROLE_ARN, other)
    )
    assert first["subject"] != second["subject"]


def test_an_identity_center_user_behind_a_role_is_on_record() -> None:
    identity = in_session("false", onBehalfOf={"userId": "u-9", "identityStoreArn": "arn"})
    assert one("cloudtrail", aws("s3", "GetObject", userIdentity=identity))["data"]["on_behalf_of"] == "u-9"


@pytest.mark.parametrize(
    ("address", "agent", "client"),
    [
        ("203.0.113.7", "[Mozilla/5.0]", {"ip": "203.0.113.7", "user_agent": "Mozilla/5.0"}),
        ("2001:db8::7", "aws-cli/2", {"ip": "2001:db8::7", "user_agent": "aws-cli/2"}),
        ("203.0.113.7", "console.ec2.amazonaws.com", {"ip": "203.0.113.7"}),
        ("203.0.113.7", "[S3Console/0.4, aws-internal/3 aws-sdk-java/1.11]", {"ip": "203.0.113.7"}),
        ("rds.amazonaws.com", "rds.amazonaws.com", None),
        ("AWS Internal", "AWS Internal", None),
        ("0.0.0.0", "aws-cli/2", None),
        (None, "aws-cli/2", None),
    ],
)
def test_the_client_is_whoever_called(address: str | None, agent: str, client: dict[str, str] | None) -> None:
    event = one("cloudtrail", aws("s3", "ListBuckets", sourceIPAddress=address, userAgent=agent))
    assert event["data"].get("client") == client


def test_a_service_that_calls_for_somebody_is_not_their_client() -> None:
    identity = in_session("false", invokedBy="cloudformation.amazonaws.com")
    event = one("cloudtrail", aws("s3", "CreateBucket", userIdentity=identity))
    assert event["subject"] == ROLE_ARN
    assert "client" not in event["data"]


def test_all_envelopes_hold_the_same_record() -> None:
    record = aws("cloudtrail", "StopLogging", requestParameters={"name": "org"})
    text = json.dumps(record)
    expected = one("cloudtrail", record)
    assert read("cloudtrail", {"Records": [record, record]}) == [expected] * 2
    assert read("cloudtrail", [record]) == [expected]
    assert one("cloudtrail", {"detail-type": "AWS API Call via CloudTrail", "time": "x", "detail": record}) == expected
    assert one("cloudtrail", {"EventId": "e1", "EventName": "StopLogging", "CloudTrailEvent": text}) == expected
    assert read("cloudtrail", {"Events": [{"CloudTrailEvent": text}]}) == [expected]
    assert read("cloudtrail", {"messageType": "DATA_MESSAGE", "logEvents": [{"message": text}]}) == [expected]
    assert one("cloudtrail", {key.lower(): value for key, value in record.items()}) == expected
    assert one("cloudtrail", {"@timestamp": "2026-03-02T09:01:00Z", "message": text}) == expected
    assert one("cloudtrail", {"@timestamp": "2026-03-02T09:01:00Z", "@message": text}) == expected
    assert read("cloudtrail", {"message": json.dumps({"Records": [record, record]}), "tags": []}) == [expected] * 2
    assert read("cloudtrail", [{"detail": record}]) == [expected]
    assert one("cloudtrail", {"log": text + "\n", "stream": "stdout", "time": "2026-03-02T09:01:00Z"}) == expected
    hooked = json.dumps({"detail-type": "AWS API Call via CloudTrail", "detail": record})
    assert one("cloudtrail", {"Type": "Notification", "Message": hooked, "Timestamp": "x"}) == expected
    shipped = {"@timestamp": "2026-03-02T09:00:00.000Z"} | {k: v for k, v in record.items() if k != "eventTime"}
    assert one("cloudtrail", shipped) == expected


@pytest.mark.parametrize("empty", [{"Records": []}, {"Events": []}, {"logEvents": []}, []])
def test_an_empty_envelope_is_counted(empty: Any) -> None:
    assert one("cloudtrail", empty).field == "json"


@pytest.mark.parametrize("inner", [{"Records": [1, "x", None]}, {"logEvents": [{"message": "{"}, 1, None]}])
def test_each_record_of_a_file_that_is_none_is_counted(inner: Any) -> None:
    assert [skip.field for skip in read("cloudtrail", inner)] == ["json"] * 3


def test_a_time_that_is_there_but_unreadable_is_not_replaced_by_another() -> None:
    record = aws("s3", "ListBuckets", eventTime="...", **{"@timestamp": "2026-03-02T09:00:00Z"})
    assert one("cloudtrail", record).field == "time"
    nameless = {k: v for k, v in aws("s3", "ListBuckets").items() if k != "eventTime"}
    wrapped = {"CloudTrailEvent": json.dumps(nameless), "EventTime": "2022-02-08 09:23:37+11:00"}
    assert one("cloudtrail", wrapped)["time"] == "2022-02-07T22:23:37Z"


@pytest.mark.parametrize(
    "parts",
    [
        {"eventCategory": "Insight"},
        {"eventCategory": "NetworkActivity"},
        {"eventType": "AwsVpceEvent"},
        {"digestStartTime": "2026-03-02T09:00:00Z"},
        {"eventName": None},
        {"eventSource": 7},
    ],
)
def test_what_is_no_record_of_a_deed_is_counted(parts: dict[str, Any]) -> None:
    assert one("cloudtrail", aws("s3", "GetObject", **parts)).field == "type"


def test_source_and_tenant_are_the_installations() -> None:
    record = aws("s3", "GetObject", userIdentity=in_session("true"))
    for event in CloudTrail(source="/aws/prod", tenant="acme").events(json.dumps(record).encode()):
        assert not isinstance(event, Skip)
        assert event["source"] == "/aws/prod"
        assert isinstance(event["data"], dict)
        assert event["data"]["tenant"] == "acme"


@pytest.mark.parametrize("name", sorted(ACTIONS))
def test_every_deed_of_the_table_is_named_by_the_scheme(name: str) -> None:
    deed = ACTIONS[name]
    areas = ("idp", "iam", "kms", "secrets", "audit", "storage", "compute", "network", "database")
    assert deed.action.split(".")[0] in areas
    assert len(deed.action.split(".")) == 3
    assert deed.sensitivity in (LOW, MODERATE, HIGH, CRITICAL)
    service, _, call = name.partition(".")
    assert service == service.lower()
    assert call[0].isupper()
