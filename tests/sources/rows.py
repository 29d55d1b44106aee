"""Small rows of our own making, in the products' formats."""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]
USER_ARN = "arn:aws:iam::111122223333:user/rosa"
ROLE_ARN = "arn:aws:sts::111122223333:assumed-role/Admin/rosa@corp.example"


def okta(event_type: str, result: str | None = "SUCCESS", **parts: Any) -> Row:
    """One log object. `parts` replace members of the object; `debug` is `debugContext.debugData`."""
    row: Row = {
        "uuid": "u-1",
        "published": "2026-03-02T09:00:00.123Z",
        "eventType": event_type,
        "actor": {"id": "00u5rosa", "type": "User", "alternateId": "rosa@corp.example"},
        "client": {"userAgent": {"rawUserAgent": "Mozilla/5.0 Firefox/140.0"}, "ipAddress": "203.0.113.7"},
        "authenticationContext": {"externalSessionId": "102s", "rootSessionId": "102root"},
        "outcome": {"result": result, "reason": parts.pop("reason", None)},
        "target": None,
        "transaction": {"type": "WEB", "id": "tx-1"},
        "debugContext": {"debugData": parts.pop("debug", {})},
    }
    return row | parts


def enrolment(method: str, properties: str = "", id: str = "opf1") -> Row:
    """A target that names the authenticator used."""
    detail = {"methodTypeUsed": method, "methodUsedVerifiedProperties": properties}
    return {"type": "AuthenticatorEnrollment", "id": id, "displayName": method, "detailEntry": detail}


def user(id: str) -> Row:
    """A target that is a user."""
    return {"type": "User", "id": id, "alternateId": f"{id}@corp.example"}


def aws(source: str, name: str, **parts: Any) -> Row:
    """One CloudTrail record of an IAM user with a long-term key. `parts` replace members of the record."""
    row: Row = {
        "eventID": "e1",
        "eventTime": "2026-03-02T09:00:00Z",
        "eventSource": f"{source}.amazonaws.com",
        "eventName": name,
        "awsRegion": "us-east-1",
        "sourceIPAddress": "203.0.113.7",
        "userAgent": "aws-cli/2",
        "recipientAccountId": "111122223333",
        "userIdentity": {
            "type": "IAMUser",
            "principalId": "AIDAROSA",
            "arn": USER_ARN,
            "accountId": "111122223333",
            "userName": "rosa",
            "accessKeyId": "AKIAROSA",
        },
    }
    return row | parts


def in_session(mfa: Any, created: str = "2026-03-02T08:00:00Z", **identity: Any) -> Row:
    """`userIdentity` of an assumed role."""
    return {
        "type": "AssumedRole",
        "principalId": "AROA1:rosa@corp.example",
        "arn": ROLE_ARN,
        "accountId": "111122223333",
        "accessKeyId": "ASIA1",
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role",
                "arn": "arn:aws:iam::111122223333:role/Admin",
                "userName": "Admin",
            },
            "attributes": {"creationDate": created, "mfaAuthenticated": mfa},
        },
    } | identity


def sign_in(name: str, ended: str, **parts: Any) -> Row:
    """A record of the console's sign-in; the key id is empty, as AWS writes it there."""
    more = parts.pop("more", {})
    row = aws("signin", name, responseElements={name: ended}, additionalEventData=more, eventType="AwsConsoleSignIn")
    row["userIdentity"]["accessKeyId"] = ""
    return row | parts
