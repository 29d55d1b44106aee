"""Each source, told by the model of `about.py`; what is said here is held to the adapters by a test."""

from __future__ import annotations

from typing import Final

from stepwatch.schemas import events as t
from stepwatch.sources.about import About, Delay


def _yields(everywhere: str, table: dict[str, str]) -> dict[str, frozenset[str]]:
    """Members by type of event. `everywhere` are those of every type; a type that begins with `=` has its own alone."""
    return {
        kind.removeprefix("="): frozenset(own.split() if kind[0] == "=" else f"{everywhere} {own}".split())
        for kind, own in table.items()
    }


OKTA: Final = About(
    name="okta",
    title="Okta System Log",
    source="/okta",
    reads="log objects of the API, log streaming and event hooks; arrays of them; keys in lower case",
    subject="Okta's user id (00u...), the login where it is missing",
    good_for="proofs and deeds of administrators in one log, with sessions: the least that a policy must give up",
    delay=Delay(
        "",
        "near real time; Okta gives neither a figure nor a bound, and an event hook may be tried again",
        "https://developer.okta.com/docs/reference/system-log-query/",
    ),
    yields=_yields(
        "session root_session client.ip client.device",
        {
            t.ACTION_PERFORMED: "",
            t.SESSION_STARTED: "amr",
            t.SESSION_REVOKED: "",
            t.STEPUP_REQUIRED: "challenge",
            t.STEPUP_CHALLENGED: "challenge",
            t.STEPUP_VERIFIED: "challenge amr credential",
            t.STEPUP_FAILED: "challenge failure",
            t.STEPUP_DENIED: "challenge",
            t.STEPUP_BYPASSED: "challenge",
            t.CREDENTIAL_CHANGED: "credential",
            "=" + t.APPROVAL_GRANTED: "approver",
        },
    ),
    limits={
        "accept: [login]": "a login's row names the password or a ticket; the factor has a row of its own, a step-up",
        "same_session": "signing in has another session than later deeds: the root session is one, if the row has it",
        "root session": "only where the API client keeps authenticationContext.rootSessionId",
        "same_device": "by debugData.dtHash or the managed device; not on every row",
        "credential that proved": "only where the row names the AuthenticatorEnrollment",
    },
    watch=(
        "An e-mail code, Duo and other identity providers have no word in RFC 8176: such a proof has no amr.",
        "A temporary access code is a bypass, not a proof.",
    ),
)

CLOUDTRAIL: Final = About(
    name="cloudtrail",
    title="AWS CloudTrail",
    source="/aws/cloudtrail",
    reads="S3 files, EventBridge, LookupEvents, CloudWatch Logs and Insights, Logstash",
    subject="the caller's ARN; of a role the session's ARN, whose last word is the person",
    good_for="deeds; of proofs only that a session began with MFA, and a code that was given to STS",
    delay=Delay(
        "5m",
        'within "an average of about 5 minutes of an API call. This time is not guaranteed"; after a fault of the '
        "bucket it is tried for 30 days",
        "https://docs.aws.amazon.com/awscloudtrail/latest/userguide/get-and-view-cloudtrail-log-files.html",
    ),
    yields=_yields(
        "client.ip",
        {
            t.ACTION_PERFORMED: "session on_behalf_of",
            t.SESSION_STARTED: "session amr auth_time challenge verification credential",
            t.STEPUP_CHALLENGED: "challenge",
            t.STEPUP_VERIFIED: "session amr challenge verification credential",
            t.STEPUP_FAILED: "session challenge failure",
            t.CREDENTIAL_CHANGED: "credential",
        },
    ),
    limits={
        "accept: [step_up]": "only GetSessionToken or AssumeRole with a device's code, CheckMfa and Identity Center",
        "accept: [login]": "a user's session that began with MFA, a role's with a code; nothing is known of SSO logins",
        "amr_any": "mostly `mfa`: of a running session AWS does not say which factor it was",
        "same_session": "a long-term key (AKIA...) has no session: its deeds are never verified, and that is right",
        "session of an action": "a long-term key has none",
        "session of a proof": "CheckMfa and Identity Center's steps come before there is one",
        "time of the proof (auth_time)": "when the user's session was made",
        "credential that proved": "a console login and a code for STS name the device; a running session does not",
        "challenge": "Identity Center's alone",
        "for whom it was done": "Identity Center's user, where a role acts for one",
        "same_ip": "none is said where an AWS service calls for the person, nor of a running session's login",
        "mfa_fatigue": "codes that failed count, prompts only where Identity Center asked",
        "fresh_credential": "only of devices whose proof names them",
    },
    watch=(
        "The role a person takes makes another subject: list the ARNs of one human under `identities`.",
        "A role that was switched to inherits `mfaAuthenticated` and not its time: only AssumeRole with a code proves.",
        "Give `max_age` in hours: it counts from the beginning of the session, and there is no step-up inside it.",
    ),
)

ENTRA: Final = About(
    name="entra",
    title="Microsoft Entra ID sign-in and audit logs",
    source="/entra",
    reads="Microsoft Graph, Azure Monitor and Event Hubs, Log Analytics",
    subject="the object id (userId); the principal name where it is missing",
    good_for="proofs with factor and time; deeds of administrators, which name no session",
    delay=Delay(
        "2m",
        "95 % within 2 minutes, 99 % within 5, on Microsoft's older page; today's gives no figure, and days after "
        "a first set-up",
        "https://learn.microsoft.com/en-us/entra/identity/monitoring-health/reference-log-latency",
    ),
    yields=_yields(
        "session client.ip client.device challenge",
        {
            "=" + t.ACTION_PERFORMED: "client.ip",
            t.SESSION_STARTED: "amr auth_time verification",
            "=" + t.SESSION_REVOKED: "",
            t.STEPUP_REQUIRED: "",
            t.STEPUP_CHALLENGED: "",
            t.STEPUP_VERIFIED: "amr auth_time verification",
            t.STEPUP_FAILED: "failure",
            t.STEPUP_DENIED: "",
            t.STEPUP_BYPASSED: "",
            "=" + t.APPROVAL_GRANTED: "approver",
        },
    ),
    limits={
        "same_session": "an audited deed names no session: write `same_session: false`",
        "same_device": "an audited deed names no device",
        "same_ip": "an audited deed does not always name an address, and that of a service in between is another",
        "amr_any": "by authenticationDetails, which Graph's v1.0 leaves out: read beta, or Azure Monitor",
        "fresh_credential": "no row names the credential that was added or that proved",
        "credentials added, removed": "registrations are deeds; the credential is not named",
    },
    watch=(
        '"Previously satisfied" and a claim in the token prove nothing anew; with them alone a sign-in has no amr.',
        "Sign-ins without any interaction are counted and are no events.",
    ),
)

KEYCLOAK: Final = About(
    name="keycloak",
    title="Keycloak user and admin events",
    source="/keycloak",
    reads="the Admin REST API, event listeners, the server's text log and its JSON console log",
    subject="Keycloak's user id; of an impersonation the impersonator's user name",
    good_for="deeds of administrators and of people on their accounts; proofs only where a login names its factor",
    delay=Delay(
        "",
        "no figure: an event is written when it happens, so it is as late as whatever ships the log",
        "https://www.keycloak.org/docs/latest/server_admin/index.html",
    ),
    yields=_yields(
        "session client.ip",
        {
            t.ACTION_PERFORMED: "on_behalf_of",
            t.SESSION_STARTED: "amr acr challenge credential",
            t.SESSION_REVOKED: "",
            t.STEPUP_FAILED: "challenge failure",
            t.STEPUP_BYPASSED: "challenge",
            t.CREDENTIAL_CHANGED: "credential",
        },
    ),
    limits={
        "accept: [step_up]": "a step-up looks like a second LOGIN of the session: accept logins",
        "accept: [login]": "only a LOGIN with credential_type, which most flows do not write",
        "amr_any": "where the LOGIN has credential_type",
        "factor (amr)": "where the LOGIN has credential_type",
        "acr_any": "where the LOGIN has the detail acr",
        "level (acr)": "where the LOGIN has the detail acr",
        "same_session": "admin events name no session: write `same_session: false` for them",
        "session of an action": "admin events name none",
        "credential that proved": "where the LOGIN has credential_type",
        "for whom it was done": "of an impersonation",
        "mfa_fatigue": "only codes and keys that failed: no row tells of a prompt",
        "fresh_credential": "one-time codes only: the two ids of a key differ",
    },
    watch=(
        "Where no flow writes credential_type, every deed is unverified: take the proofs from the application instead.",
        "The text log has no zone: it is read as UTC, and no line as of a zone of its own.",
        "The text log before Keycloak 22 does not escape what users type: behind a quote, no factor is read.",
        "A recovery code is a bypass, not a proof.",
    ),
)

GITHUB: Final = About(
    name="github",
    title="GitHub audit log",
    source="/github",
    reads="the REST API, audit log streaming, Enterprise Server's syslog; arrays of records",
    subject="the login",
    good_for="deeds on code and on the organisation; of proofs only that a second factor was passed, not which",
    delay=Delay(
        "",
        "no figure; delivered at least once, so rows come twice; a paused stream keeps seven days",
        "https://docs.github.com/en/enterprise-cloud@latest/admin/monitoring-activity-in-your-enterprise/"
        "reviewing-audit-logs-for-your-enterprise/streaming-the-audit-log-for-your-enterprise",
    ),
    yields=_yields(
        "session client.ip",
        {
            t.ACTION_PERFORMED: "",
            t.SESSION_STARTED: "",
            t.SESSION_REVOKED: "",
            t.STEPUP_CHALLENGED: "",
            t.STEPUP_VERIFIED: "",
            t.STEPUP_FAILED: "",
            t.STEPUP_BYPASSED: "",
            "=" + t.APPROVAL_GRANTED: "approver",
            "=" + t.APPROVAL_REVOKED: "approver",
        },
    ),
    limits={
        "accept: [step_up]": "user.two_factor_challenge_success, of who signs in at GitHub; SSO proves elsewhere",
        "same_session": "Enterprise Server alone names sessions: write `same_session: false` for GitHub.com",
        "session of an action": "Enterprise Server alone",
        "session of a proof": "Enterprise Server alone",
        "same_ip": "only where the enterprise has addresses recorded",
        "address": "only where the enterprise has addresses recorded",
        "mfa_fatigue": "prompts have no id, so each row counts as one",
    },
    watch=(
        "Whoever signs in by SSO proves at the identity provider: send its log too, map the login under `identities`, "
        "and list it with `proves`.",
    ),
)

DUO: Final = About(
    name="duo",
    title="Duo Security",
    source="/duo",
    reads="the Admin API's authentication (1 and 2), administrator, activity, telephony and offline logs; its answers",
    subject="the user's name",
    good_for="proofs for other products' deeds; deeds of Duo's own administrators",
    delay=Delay(
        "2m",
        "an intentional delay of two minutes before an authentication can be read",
        "https://duo.com/docs/adminapi#authentication-logs",
    ),
    yields=_yields(
        "client.ip client.device challenge",
        {
            "=" + t.ACTION_PERFORMED: "client.ip",
            "=" + t.SESSION_STARTED: "client.ip amr",
            t.STEPUP_CHALLENGED: "",
            t.STEPUP_VERIFIED: "amr credential",
            t.STEPUP_FAILED: "failure",
            t.STEPUP_DENIED: "",
            t.STEPUP_CANCELLED: "",
            t.STEPUP_BYPASSED: "",
            "=" + t.CREDENTIAL_CHANGED: "client.ip client.device credential",
        },
    ),
    limits={
        "accept: [login]": "logins of administrators to Duo itself",
        "same_session": "Duo knows no session of the product it proves for: write `same_session: false`",
        "same_ip": "the activity log names an address, the administrator log none",
        "address": "the activity log names one, the administrator log none",
        "credentials added, removed": "of a person's own devices; of somebody else's, the owner is not named",
    },
    watch=(
        "A remembered device, a bypass code and a trusted network are bypasses, not proofs.",
        "Administrators go by their own names (Rosa Admin), users by their logins: map both under `identities`.",
    ),
)

ABOUT: Final[dict[str, About]] = {one.name: one for one in (OKTA, CLOUDTRAIL, ENTRA, KEYCLOAK, GITHUB, DUO)}
"""By the word after `--from`, in the order of `ADAPTERS`."""
