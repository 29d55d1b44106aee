"""Small rows of our own making, in the products' formats."""

from __future__ import annotations

import json
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


def of_user(mfa: Any, created: str = "2026-03-02T08:00:00Z", **identity: Any) -> Row:
    """`userIdentity` of an IAM user in a session of temporary credentials."""
    arn = USER_ARN
    return in_session(mfa, created, type="IAMUser", arn=arn, principalId="AIDAROSA", userName="rosa") | identity


def sign_in(name: str, ended: str, **parts: Any) -> Row:
    """A record of the console's sign-in; the key id is empty, as AWS writes it there."""
    more = parts.pop("more", {})
    row = aws("signin", name, responseElements={name: ended}, additionalEventData=more, eventType="AwsConsoleSignIn")
    row["userIdentity"]["accessKeyId"] = ""
    return row | parts


def github(action: str, **parts: Any) -> Row:
    """One record of GitHub's audit log. `parts` replace members of the record."""
    row: Row = {
        "@timestamp": 1772442000123,
        "_document_id": "gAbc1",
        "action": action,
        "actor": "rosa",
        "actor_id": 41,
        "actor_ip": "203.0.113.7",
        "actor_is_bot": False,
        "actor_location": {"country_code": "FR"},
        "created_at": 1772442000123,
        "org": "corp",
        "user_agent": "Mozilla/5.0 Firefox/140.0",
    }
    return row | parts


def duo(factor: str, reason: str | None, result: str = "success", **parts: Any) -> Row:
    """One authentication row of Duo, version 2. `parts` replace members of the row."""
    row: Row = {
        "access_device": {"ip": "203.0.113.7", "epkey": "EP1", "location": {"country": "France"}},
        "alias": "",
        "application": {"key": "DI1", "name": "Bastion"},
        "auth_device": {"ip": "198.51.100.77", "key": "DP1", "name": "+1 555 0100"},
        "email": "rosa@corp.example",
        "event_type": "authentication",
        "factor": factor,
        "isotimestamp": "2026-03-02T09:00:00.123456+00:00",
        "reason": reason,
        "result": result,
        "timestamp": 1772442000,
        "txid": "tx-1",
        "user": {"groups": ["staff"], "key": "DU1", "name": "rosa"},
    }
    return row | parts


def duo_admin(action: str, details: Row | str = "", **parts: Any) -> Row:
    """One row of Duo's administrator log. `details` are the description, an object as its JSON text."""
    row: Row = {
        "action": action,
        "description": json.dumps(details) if isinstance(details, dict) else details,
        "isotimestamp": "2026-03-02T09:00:00+00:00",
        "object": "bob",
        "timestamp": 1772442000,
        "username": "Rosa Admin",
    }
    return row | parts


def duo_activity(action: str, target: Row | None = None, **parts: Any) -> Row:
    """One row of Duo's activity log, by a user of Duo."""
    row: Row = {
        "access_device": {"ip": {"address": "203.0.113.7"}, "location": {"country": "-"}},
        "action": {"name": action, "details": None},
        "activity_id": "act-1",
        "actor": {"name": "rosa", "type": "user", "key": "DU1", "details": "{}"},
        "old_target": None,
        "target": target,
        "ts": "2026-03-02T09:00:00.123456+00:00",
    }
    return row | parts


def keycloak(kind: str, details: Row | None = None, **parts: Any) -> Row:
    """One user event of the Admin REST API. `details` are added to the event's, `parts` replace members."""
    row: Row = {
        "id": "k-1",
        "time": 1772442000123,
        "type": kind,
        "realmId": "a1b2",
        "clientId": "payroll",
        "userId": "9a7e-rosa",
        "sessionId": "kc-s1",
        "ipAddress": "203.0.113.7",
        "details": {"auth_method": "openid-connect", "auth_type": "code", "code_id": "kc-s1", "username": "rosa"},
    }
    row["details"] |= details or {}
    return row | parts


def keycloak_admin(operation: str, thing: str, path: str | None, **parts: Any) -> Row:
    """One admin event of the Admin REST API. `parts` replace members."""
    row: Row = {
        "id": "k-2",
        "time": 1772442000123,
        "realmId": "a1b2",
        "authDetails": {"realmId": "m", "clientId": "c-1", "userId": "0b5s-boss", "ipAddress": "203.0.113.9"},
        "operationType": operation,
        "resourceType": thing,
        "resourcePath": path,
    }
    return row | parts


def entra_step(method: str, said: str = "", succeeded: bool = True, **parts: Any) -> Row:
    """One member of `authenticationDetails`. `parts` replace its members; `at` is its time of 2026-03-02."""
    at = parts.pop("at", "09:00:00.0000000")
    return {
        "authenticationMethod": method,
        "authenticationStepDateTime": f"2026-03-02T{at}Z",
        "authenticationStepRequirement": "Primary authentication" if method == "Password" else "",
        "authenticationStepResultDetail": said,
        "succeeded": succeeded,
    } | parts


def entra_sign_in(*steps: Row, code: Any = 0, said: str | None = None, **parts: Any) -> Row:
    """One signIn of Microsoft Graph. `parts` replace its members; `said` is `status.additionalDetails`."""
    row: Row = {
        "id": "si-1",
        "createdDateTime": "2026-03-02T09:00:05.1234567Z",
        "userPrincipalName": "rosa@corp.example",
        "userId": "7f-rosa",
        "appDisplayName": "Azure Portal",
        "ipAddress": "203.0.113.7",
        "userAgent": "Mozilla/5.0 Firefox/140.0",
        "correlationId": "corr-1",
        "sessionId": "es-1",
        "isInteractive": True,
        "authenticationRequirement": "multiFactorAuthentication",
        "status": {"errorCode": code, "failureReason": None, "additionalDetails": said},
        "deviceDetail": {"deviceId": "d-1", "operatingSystem": "Linux"},
        "location": {"city": "Lyon", "countryOrRegion": "FR"},
        "authenticationDetails": list(steps),
    }
    return row | parts


def entra_target(kind: str, id: str | None, *changed: str, **parts: Any) -> Row:
    """One member of `targetResources`, with the names of the properties that were changed."""
    changes = [{"displayName": name, "oldValue": "[]", "newValue": "[1]"} for name in changed]
    return {"type": kind, "id": id, "displayName": kind, "modifiedProperties": changes} | parts


def entra_audit(activity: str, *targets: Row, **parts: Any) -> Row:
    """One directoryAudit of Microsoft Graph, of an administrator. `parts` replace its members."""
    row: Row = {
        "id": "Directory_1",
        "category": "UserManagement",
        "correlationId": "corr-9",
        "result": "success",
        "resultReason": "",
        "activityDisplayName": activity,
        "activityDateTime": "2026-03-02T09:30:00.1234567Z",
        "loggedByService": "Core Directory",
        "initiatedBy": {"app": None, "user": {"id": "0b-boss", "userPrincipalName": "boss@corp.example"}},
        "targetResources": list(targets),
        "additionalDetails": [{"key": "User-Agent", "value": "Mozilla/5.0 Chrome/140"}],
    }
    row["initiatedBy"]["user"]["ipAddress"] = "203.0.113.9"
    return row | parts
