"""The words in which an alert is told, whoever is told: who did what, what is missing, what to do."""

from __future__ import annotations

from stepwatch.notifiers.delivery import Step
from stepwatch.notifiers.notices import NotJudged, Seen, ShownAlert
from stepwatch.notifiers.plain import plain

OVER = {
    "late_verification": ("nothing to do", "the proof arrived late, and covers it"),
    "source_recovered": ("nothing to do here", "the source is back, and what could not be judged is judged now"),
    "revision": ("nothing to do", "later evidence changed the verdict"),
    "person": ("", "closed by a person"),
    "expired": ("closed by itself", "nobody changed it for 30 days"),
}
"""`resolved_by` of contract section 7: (what that means for you, why it is over)."""

NEXT_PAGE = "opened again after somebody took it: a new page follows"
"""Why an incident ends while its alert is open: only another one rings."""

HEADS = {
    Step.TRIGGER: "OPENED",
    Step.UPDATE: "CHANGED",
    Step.ACKNOWLEDGE: "ACKNOWLEDGED",
    Step.RESOLVE: "RESOLVED",
}


def head_of(step: Step, severity: str) -> str:
    """What became of the alert and how severe it is, e.g. `OPENED critical`."""
    return HEADS[step] if step is Step.RESOLVE else f"{HEADS[step]} {plain(severity, 20)}"


def who_did_what(alert: ShownAlert) -> str:
    """The alert's title, with the subject before it where the title does not name it."""
    title = plain(alert.title) or plain(alert.kind)
    subject = plain(alert.subject, 80)
    return title if not subject or subject in title else f"{subject}: {title}"


def what_changed(alert: ShownAlert, before: Seen | None) -> str:
    """What is different from what was told before, e.g. `1 → 4 so far, high → critical`; "" where nothing is."""
    if before is None:
        return ""
    changes = []
    if alert.count != before.count:
        changes.append(f"{before.count} → {alert.count} so far")
    if alert.severity != before.severity:
        changes.append(f"{plain(before.severity, 20)} → {plain(alert.severity, 20)}")
    if alert.reason != before.reason:
        changes.append(f"{plain(before.reason, 40)} → {plain(alert.reason, 40)}")
    return ", ".join(changes)


def when(alert: ShownAlert) -> str:
    """Event time of the first member, and of the last where it is another second."""
    first, last = (clock(text) for text in (alert.first_time, alert.last_time))
    if not last or first == last:
        return f"{first} UTC"
    return f"{first} to {last.removeprefix(first[:11])} UTC"


def clock(time: str) -> str:
    """A time of RFC 3339 to the second, as people read it."""
    return plain(time[:19].replace("T", " "), 19)


def why_over(alert: ShownAlert) -> tuple[str, str]:
    """What a resolved alert means for whoever was called, "" for nothing to add, and why it is over."""
    by = plain(alert.resolved_by, 40)
    return OVER.get(alert.resolved_by, ("", f"resolved by {by}" if by else "it is over"))


def what_to_do(alert: ShownAlert) -> str:
    """What whoever is called does first: the policy's runbook, or whom to ask."""
    if alert.runbook:
        return f"do: {plain(alert.runbook)}"
    if alert.kind == "self_approval":
        return "do: let somebody else look at what was approved"
    who = plain(alert.subject, 80)
    return f"do: ask {who} whether it was them" if who else "do: see why, and who can repair it"


NOTHING = "do: nothing"
SEE_NEXT_PAGE = "do: see the next page"
TAKEN = "somebody is on it"
"""What is said of an acknowledged alert in place of what to do."""


def owner_of(alert: ShownAlert) -> str:
    """Whose policy it is, "" where nobody's."""
    return f"owner {plain(alert.owner, 80)}" if alert.owner else ""


def what_was_not_judged(notice: NotJudged) -> str:
    """Whose event the core failed on, and by what."""
    whose = f"{plain(notice.key, 80)}: " if notice.key else ""
    return f"{whose}a fault of ours on an event, which was NOT judged: {plain(notice.raised)}"


def how_to_repair(notice: NotJudged) -> str:
    """What to do about an event that was not judged."""
    show = f"do: stepwatch dead-letters show {notice.letter_id}, report it"
    return f"{show}; repaired: stepwatch dead-letters replay {notice.letter_id}"
