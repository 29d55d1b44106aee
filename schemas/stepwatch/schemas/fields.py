"""Every field that a producer sends: what it means, and who needs it (contract section 3).

The models of `events.py` say what is checked; this says the rest, once: for the JSON Schema files, the table of the
producer's page, and the commands that explain an event. Tests hold its names to the models and the page to it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from stepwatch.schemas import events as ev

ENVELOPE: Final = "envelope"
STEPUP: Final = "stepup.*"
ALL: Final = "all"
ACTION: Final = "action.performed"
VERIFIED: Final = "stepup.verified"
STARTED: Final = "session.started"


class Field(NamedTuple):
    """One field.

    Attributes:
        path: from the event (`data.client.ip`); members of objects follow their object.
        types: the types of events in which it means something, without `stepwatch.`; `stepup.*`: all of these.
        meaning: what to write.
        needed_by: who can do nothing without it.
    """

    path: str
    types: tuple[str, ...]
    meaning: str
    needed_by: str

    def is_of(self, kind: str) -> bool:
        """Whether it means something in events of a full type (`stepwatch.stepup.verified`)."""
        short = kind.removeprefix(ev.TYPE_PREFIX)
        if short == "heartbeat":
            return self.path in HEARTBEAT_PATHS
        return bool({ALL, ENVELOPE, short} & {*self.types}) or (STEPUP in self.types and short.startswith("stepup."))


COMPLETE_TO: Final = Field(
    "data.complete_to",
    ("heartbeat",),
    "RFC 3339: up to which event time the feed has delivered everything; missing: `time`",
    "`silent_after`: a feed that is alive but late is blind too",
)
FIELDS: Final = (
    Field("specversion", (ENVELOPE,), '`"1.0"`, CloudEvents; not checked', "other tools"),
    Field(
        "id",
        (ENVELOPE,),
        "of this event, unique in its source; the same whenever it is sent again",
        "required: tells a copy from another event",
    ),
    Field("source", (ENVELOPE,), "which feed says it, as policies list it (`/idp`)", "required; `sources` of policies"),
    Field("type", (ENVELOPE,), "what happened, one of `stepwatch events example --list`", "required"),
    Field(
        "time",
        (ENVELOPE,),
        "RFC 3339 with a zone: when it happened, not when it was sent",
        "required: decides whether a proof covers an action",
    ),
    Field(
        "subject",
        (ENVELOPE,),
        "canonical id of who acts or proves, or an alias that a policy file lists",
        "required, in heartbeats not; the key of the record",
    ),
    Field("arrival", (ENVELOPE,), "in files only, RFC 3339: when it arrived; missing: `time`", "`replay`"),
    Field("data", (ENVELOPE,), "an object of the fields below", "see each"),
    Field("data.tenant", (ALL,), "1 to 64 of `A-Z a-z 0-9 . _ -`; missing: `default`", "policies by tenant; the key"),
    Field("data.session", (ALL,), "the session in which it happens, by the same word on both sides", "`same_session`"),
    Field(
        "data.root_session",
        (ALL,),
        "the login that the session descends from",
        "`same_session`, where both sides name sessions differently",
    ),
    Field("data.client", (ALL,), "whoever initiated it, never the phone that approved", "see its members"),
    Field("data.client.ip", (ALL,), "address", "`same_ip`"),
    Field("data.client.device", (ALL,), "id of the device", "`same_device`"),
    Field("data.client.user_agent", (ALL,), "as the browser sends it", "who investigates"),
    Field("data.client.country", (ALL,), "where the address is", "who investigates"),
    Field("data.action", (ACTION,), "`noun.verb` in dotted lower case", "required: policies match by it"),
    Field("data.on_behalf_of", (ACTION,), "for whom the subject acted, if for somebody else", "the auditor"),
    Field("data.resource", (ACTION,), "what it was done to", "see its members"),
    Field("data.resource.type", (ACTION,), "kind of thing (`payout`)", "policies with `resource_type`"),
    Field("data.resource.id", (ACTION,), "which one", "conditions; who investigates"),
    Field(
        "data.resource.sensitivity",
        (ACTION,),
        "`low`, `moderate`, `high` or `critical`; anything else counts as missing",
        "policies with `sensitivity`: missing, each of them matches",
    ),
    Field(
        "data.outcome",
        (ACTION,),
        "`success` (where missing), `failure` or `denied`; anything else is `unknown`",
        "alerts: only `success` and `unknown` raise one",
    ),
    Field(
        "data.transaction",
        (ACTION, STEPUP),
        "opaque hash of what the person was shown, action name included",
        "`binding: transaction`, on both sides",
    ),
    Field("data.token", (ACTION,), "claims of the access token presented, never the token", "conditions; the auditor"),
    Field("data.decision", (ACTION, "stepup.required"), "the application's own decision", "see its members"),
    Field(
        "data.decision.result",
        (ACTION, "stepup.required"),
        "`required`, `previously_satisfied`, `not_required` or `exempt`",
        "conditions; pattern `policy_gap`",
    ),
    Field("data.decision.reason", (ACTION, "stepup.required"), "why it decided so", "conditions; the auditor"),
    Field("data.decision.policy", (ACTION, "stepup.required"), "by which rule of its own", "the auditor"),
    Field(
        "data.verification",
        (ACTION, STEPUP, STARTED),
        "id of the proof; on an action: the proof it relied on",
        "two reports of one proof are one; `max_uses`",
    ),
    Field("data.challenge", (ACTION, STEPUP, STARTED), "id of the request to prove", "patterns `mfa_fatigue*`"),
    Field("data.bound_action", (STEPUP,), "name of the action that the proof is asked for", "`binding: action`"),
    Field(
        "data.amr",
        (VERIFIED, STARTED),
        "how it was proved, RFC 8176: `hwk`, `otp`, `swk`, ...; not only `mfa`",
        "`amr_any`; without it a login is no proof",
    ),
    Field("data.acr", (VERIFIED, STARTED), "class of the proof, exact string", "`acr_any`"),
    Field(
        "data.auth_time",
        (VERIFIED, STARTED),
        "number: seconds since 1970 of the proof, where that is earlier than `time`",
        "`max_age`",
    ),
    Field(
        "data.credential",
        (VERIFIED, STARTED, "credential.changed"),
        "id of the credential; required in `credential.changed`",
        "revocations; patterns `fresh_credential`, `replayed_code`",
    ),
    Field("data.otp_step", (VERIFIED,), "integer: TOTP time step, never the code", "pattern `replayed_code`"),
    Field(
        "data.change",
        ("credential.changed",),
        "`created`, `revoked` or `updated`",
        "required: revocations; pattern `fresh_credential`",
    ),
    Field(
        "data.reason",
        ("stepup.required", "stepup.challenged"),
        "why proof was asked for (`new_payee`, `amount_over_limit`); `unknown` is a defect",
        "view `trigger_quality`",
    ),
    Field(
        "data.failure",
        ("stepup.failed",),
        "`wrong_code`, `replayed_code`, `expired_code`, `locked_out`, `no_response`, `signature_invalid`, `error`",
        "who investigates",
    ),
    Field("data.approver", ("approval.granted",), "who approved", "required: pattern `self_approval`"),
    Field("data.approver_verification", ("approval.granted",), "by which proof", "the auditor"),
    COMPLETE_TO,
)
"""All fields, in the order of an event."""

HEARTBEAT_PATHS: Final = frozenset({"specversion", "id", "source", "type", "time", "arrival", "data", COMPLETE_TO.path})

WORDS: Final[dict[str, tuple[str, ...]]] = {
    "data.outcome": (*ev.OUTCOMES, "unknown"),
    "data.resource.sensitivity": ev.SENSITIVITIES,
    "data.decision.result": ("required", "previously_satisfied", "not_required", "exempt"),
    "data.change": ("created", "revoked", "updated"),
    "data.failure": (
        "wrong_code",
        "replayed_code",
        "expired_code",
        "locked_out",
        "no_response",
        "signature_invalid",
        "error",
    ),
}
"""Fields of which the contract lists the words. Another word is no dead letter: it counts as missing or unknown."""

TYPES: Final[dict[str, str]] = {
    ev.ACTION_PERFORMED: "something a subject did to a resource: one action, one event",
    ev.STEPUP_REQUIRED: "the application decided that the subject must prove who they are",
    ev.STEPUP_CHALLENGED: "they were asked to: a code was demanded, a phone rang",
    ev.STEPUP_VERIFIED: "they proved it",
    ev.STEPUP_FAILED: "a proof was tried and was none",
    ev.STEPUP_DENIED: "the person said no: this was not me",
    ev.STEPUP_EXPIRED: "nobody answered in time",
    ev.STEPUP_CANCELLED: "the challenge was given up before it was answered",
    ev.STEPUP_BYPASSED: "somebody let the action pass without a proof",
    ev.SESSION_STARTED: "a login; with `amr` it is a proof of kind `login`",
    ev.SESSION_REVOKED: "a session ended: what it proved covers nothing from then on",
    ev.CREDENTIAL_CHANGED: "a credential was created, revoked or updated",
    ev.APPROVAL_GRANTED: "somebody approved what the subject wants to do",
    ev.APPROVAL_REVOKED: "an approval was taken back",
    ev.HEARTBEAT: "the feed `source` is alive, and complete up to `complete_to`",
}
"""Every type, and what it says."""

MEANINGS: Final[dict[str, str]] = {field.path: field.meaning for field in FIELDS}
