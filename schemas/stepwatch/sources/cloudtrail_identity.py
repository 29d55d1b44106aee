"""Who acts in a CloudTrail record, and in which session.

| `userIdentity.type` | subject |
|---|---|
| IAMUser | `arn`; failed logins and CheckMfa have none: from account and `userName` (its path is lost) |
| Root | `arn:aws:iam::ACCOUNT:root` |
| AssumedRole | the session's ARN, `arn:aws:sts::ACCOUNT:assumed-role/ROLE/NAME`: NAME is the human |
| FederatedUser, others with an ARN | `arn` |
| IdentityCenterUser | `onBehalfOf.userId` |
| SAMLUser, WebIdentityUser, AWSAccount | `principalId`: all that the record has |
| AWSService, service-linked roles | AWS itself: counted, no event |

The whole ARN and not the session name alone is the subject of an assumed role: whoever may assume a role
chooses that name, and two roles' `session1` are not one person. `identities` of a policy file say which ARNs
are the same human.

A session is (ARN, `creationDate`): one console login yields several access keys that share it. A long-term
key (`AKIA...`) has none. The root of a chain of roles is in no record, so `root_session` stays absent.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from stepwatch.sources import base
from stepwatch.sources.base import Skip, at, ident, text

_LOGGED_IN: Final = frozenset({"IAMUser", "Root", "FederatedUser"})
"""Whose session begins with the proof. A role's begins whenever somebody switches to it."""
_SERVICE: Final = Skip("an AWS service acts, no person", "subject")


class Caller(NamedTuple):
    """Who acts.

    Attributes:
        subject: as in the table above.
        kind: `userIdentity.type`.
        session: "" where the record has none.
        created_us: when the session's credentials were issued, microseconds; None without session.
        mfa: the session context says that its login used MFA, and when.
        on_behalf_of: the Identity Center user for whom a role acts.
        service: an AWS service called with this identity; its address and agent are not the caller's.
    """

    subject: str
    kind: str
    session: str
    created_us: int | None
    mfa: bool
    on_behalf_of: str
    service: bool


def caller_of(record: dict[str, Any]) -> Caller | Skip:
    """The caller of a record, or why nobody is."""
    identity = record.get("userIdentity")
    kind = text(at(identity, "type"))
    arn = ident(at(identity, "arn"))
    context = at(identity, "sessionContext")
    if kind == "AWSService" or _service_linked(arn, context):
        return _SERVICE
    helped = bool(text(at(identity, "invokedBy")))
    subject = (arn or _without_arn(record, identity, kind)) if isinstance(identity, dict) else ""
    if not subject or len(subject) > base.TEXT_MAX:
        return _SERVICE if helped else base.NOBODY
    attributes = at(context, "attributes")
    created_us = base.read_time(at(attributes, "creationDate"))
    session = "" if created_us is None else f"{subject}@{base.time_text(created_us)}"
    mfa = at(attributes, "mfaAuthenticated")
    for_whom = ident(at(identity, "onBehalfOf", "userId"))
    return Caller(
        subject=subject,
        kind=kind,
        session=session,
        created_us=created_us,
        mfa=created_us is not None and kind in _LOGGED_IN and (mfa is True or text(mfa).lower() == "true"),
        on_behalf_of="" if for_whom == subject else for_whom,
        service=helped,
    )


def user_arn(record: dict[str, Any], name: str) -> str:
    """The ARN of an IAM user of the caller's account, "" where the account is not said."""
    account = _account(record)
    return f"arn:{_partition(record)}:iam::{account}:user/{name}" if account and name else ""


def _account(record: dict[str, Any]) -> str:
    return ident(at(record, "userIdentity", "accountId")) or ident(record.get("recipientAccountId"))


def _partition(record: dict[str, Any]) -> str:
    region = text(record.get("awsRegion"))
    return "aws-cn" if region.startswith("cn-") else "aws-us-gov" if region.startswith("us-gov-") else "aws"


def _service_linked(arn: str, context: Any) -> bool:
    issuer = text(at(context, "sessionIssuer", "arn"))
    return ":assumed-role/AWSServiceRoleFor" in arn or ":role/aws-service-role/" in issuer


def _without_arn(record: dict[str, Any], identity: dict[str, Any], kind: str) -> str:
    account = _account(record)
    principal = ident(identity.get("principalId"))
    name = ident(identity.get("userName"))
    if kind == "Root":
        return f"arn:{_partition(record)}:iam::{account}:root" if account else ""
    if kind == "IAMUser":
        return user_arn(record, name) or principal
    if kind == "AssumedRole":
        return _assumed_role(record, identity, principal)
    centre = ident(at(identity, "onBehalfOf", "userId"))
    if centre:
        return centre
    if kind in ("SAMLUser", "WebIdentityUser", "AWSAccount", "FederatedUser"):
        return principal or name
    # Identity Center's portal, older form: type Unknown, principalId is the account.
    if principal and principal != account:
        return principal
    return f"{account}:{name}" if account and name else ""


def _assumed_role(record: dict[str, Any], identity: dict[str, Any], principal: str) -> str:
    issuer = at(identity, "sessionContext", "sessionIssuer")
    role = ident(at(issuer, "arn")).rpartition("/")[2] or ident(at(issuer, "userName"))
    session_name = principal.partition(":")[2]
    account = _account(record)
    if role and session_name and account:
        return f"arn:{_partition(record)}:sts::{account}:assumed-role/{role}/{session_name}"
    return principal
