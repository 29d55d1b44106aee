"""An alert -> the message that a channel is sent: pure, for every kind and reason, in one wording.

Escaping and cutting are each receiver's own; that no text moves a cursor or breaks a line is seen to here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from stepwatch.notifiers import words
from stepwatch.notifiers.delivery import Message, Step
from stepwatch.notifiers.disclosure import Disclosure, deed_of, disclosed, nearest_sentence
from stepwatch.notifiers.notices import NotJudged, Seen, ShownAlert, rank_of
from stepwatch.notifiers.plain import plain

_SAFE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""An id that can stand in a command: nothing in it ends a quotation."""
_POLICIES_SHOWN_MAX = 10


def build_message(
    alert: ShownAlert,
    step: Step,
    *,
    before: Seen | None = None,
    now: str = "",
    shown: Disclosure = Disclosure.FULL,
    console_url: str = "",
    pseudonym_key: bytes = b"",
) -> Message:
    """What is said of an alert.

    Args:
        alert: its state now.
        step: what is done to the incident: what to do is said until the alert is taken or over.
        before: the state that the channel was told before; None where it was told nothing.
        now: when it is said, RFC 3339; "": when the alert changed last.
        shown: how much of a person the channel may see.
        console_url: address of the console; "" for none: then there is no link.
        pseudonym_key: for `ids`, see `pseudonym`.
    """
    seen = disclosed(alert, shown, pseudonym_key)
    return Message(
        title=words.who_did_what(seen),
        lines=(_what_is_missing(seen, step, before), _what_to_do(seen, step, somebody=bool(alert.subject))),
        facts=_facts(alert, seen, step, shown, now or alert.updated_at),
        severity=seen.severity,
        kind=seen.kind,
        tenant=seen.tenant,
        policy=seen.policy,
        owner=seen.owner,
        runbook=seen.runbook,
        console=_link(console_url, "alerts", seen.alert_id),
        command=_command(seen),
        first_time=seen.first_time,
    )


def build_not_judged_message(
    notice: NotJudged, *, shown: Disclosure = Disclosure.FULL, console_url: str = ""
) -> Message:
    """What is said of an event on which the core itself failed.

    Args:
        notice: the dead letter.
        shown: below `full` neither the key nor what was raised is shown, since both may name a person.
        console_url: address of the console; "" for none.
    """
    full = shown is Disclosure.FULL
    told = notice if full else notice._replace(key="", raised=plain(notice.raised).partition(":")[0])
    facts = [
        ("event", plain(told.where, 120)),
        ("key", plain(told.key, 80)),
        ("raised", plain(told.raised)),
        ("when", f"{words.clock(told.time)} UTC"),
        ("dead letter", plain(told.letter_id, 40)),
    ]
    return Message(
        title="an event was NOT judged: a fault of ours",
        lines=(words.what_was_not_judged(told), words.how_to_repair(told)),
        facts=tuple((name, value) for name, value in facts if value),
        severity="critical",
        kind="not_judged",
        tenant=told.key.partition("/")[0] if full else "",
        console=console_url,
        command=f"stepwatch dead-letters show {told.letter_id}",
        first_time=told.time,
    )


def build_digest(
    alerts: Sequence[ShownAlert],
    *,
    why: str,
    key: str = "",
    step: Step = Step.TRIGGER,
    shown: Disclosure = Disclosure.FULL,
    console_url: str = "",
) -> Message:
    """One message for many alerts.

    Args:
        alerts: those that are not sent one by one, at least one.
        why: in words, e.g. `more than 6 in a minute`.
        key: of their incident, by which they can be listed; "" where it has none.
        step: what is done to the incident.
        shown: below `full` no subject is counted by name; the digest shows none at any level.
        console_url: address of the console; "" for none.
    """
    policies = Counter(_group(alert) for alert in alerts)
    subjects = len({(alert.tenant, alert.subject) for alert in alerts if alert.subject})
    shown_policies = policies.most_common(_POLICIES_SHOWN_MAX)
    rest = len(policies) - len(shown_policies)
    facts = [(plain(name, 120), str(count)) for name, count in shown_policies]
    if rest:
        facts.append(("others", f"of {rest} more policies or kinds"))
    if shown is not Disclosure.MINIMAL:
        facts.append(("subjects", str(subjects)))
    first, last = min(alert.first_time for alert in alerts), max(alert.last_time for alert in alerts)
    facts.append(("when", f"{words.clock(first)} to {words.clock(last)} UTC"))
    top = max(alerts, key=lambda alert: rank_of(alert.severity))
    return Message(
        title=f"{len(alerts)} alerts, most of them: {plain(policies.most_common(1)[0][0], 120)}",
        lines=_lines_of_many(alerts, step, why),
        facts=tuple(facts),
        severity=top.severity,
        kind="digest",
        tenant=_only(alert.tenant for alert in alerts),
        policy=_only(alert.policy for alert in alerts),
        owner=_only(alert.owner for alert in alerts),
        runbook=_only(alert.runbook for alert in alerts),
        console=_link(console_url, "alerts"),
        command=_command_of_many(alerts, key),
        first_time=first,
    )


def _command_of_many(alerts: Sequence[ShownAlert], key: str) -> str:
    if all(alert.kind == "not_judged" for alert in alerts):
        return "stepwatch dead-letters list --error bug"
    return f"stepwatch notify explain {key}" if key else "stepwatch alerts list"


def _lines_of_many(alerts: Sequence[ShownAlert], step: Step, why: str) -> tuple[str, str]:
    together = f"not sent one by one: {plain(why)}"
    if step is Step.RESOLVE:
        if any(alert.state != "resolved" for alert in alerts):
            return f"some {words.NEXT_PAGE}", words.SEE_NEXT_PAGE
        return "all of them are over", words.NOTHING
    if step is Step.ACKNOWLEDGE:
        return together, words.TAKEN
    return together, "do: look at them together; one cause may have raised them all"


def build_forgotten(alert: ShownAlert) -> Message:
    """What is said of an incident whose alerts the topic has forgotten, or which ring by themselves: it ends."""
    return Message(
        title=f"the incident {plain(alert.alert_id, 60)} is over",
        lines=("nothing is left in it: its alerts are over, or ring by themselves", words.NOTHING),
        facts=(("count", str(alert.count)),),
        severity=alert.severity,
        kind=alert.kind,
        tenant=alert.tenant,
        command="stepwatch alerts list",
    )


def build_test_message(channel: str) -> Message:
    """A message that says of itself that nothing has happened."""
    return Message(
        title="test of this channel: nothing has happened",
        lines=("somebody tries whether alerts arrive here", "do: nothing; it is resolved at once"),
        facts=(("channel", plain(channel, 80)),),
        severity="low",
        kind="test",
        tenant="",
        command="stepwatch notify test",
    )


def _what_is_missing(alert: ShownAlert, step: Step, before: Seen | None) -> str:
    if step is Step.RESOLVE:
        return words.why_over(alert)[1] if alert.state == "resolved" else words.NEXT_PAGE
    change = words.what_changed(alert, before) if step is Step.UPDATE else ""
    return "; ".join(part for part in (plain(alert.explanation), change) if part) or plain(alert.reason)


def _what_to_do(alert: ShownAlert, step: Step, *, somebody: bool) -> str:
    if step is Step.RESOLVE:
        return words.NOTHING if alert.state == "resolved" else words.SEE_NEXT_PAGE
    if step is Step.ACKNOWLEDGE:
        first = words.TAKEN
    elif somebody and not alert.subject and not alert.runbook:
        # The channel may not see who: whoever is called may.
        first = "do: look up who it was, and ask whether it was them"
    else:
        first = words.what_to_do(alert)
    return " · ".join(part for part in (first, words.owner_of(alert)) if part)


def _facts(
    whole: ShownAlert, alert: ShownAlert, step: Step, shown: Disclosure, now: str
) -> tuple[tuple[str, str], ...]:
    """Name and value of each fact that is known, those first that tell what happened."""
    deed = deed_of(whole)
    facts = [
        ("subject", plain(alert.subject, 80)),
        ("on behalf of", plain(deed.on_behalf_of, 80) if shown is Disclosure.FULL else ""),
        ("action", plain(deed.action, 120)),
        ("resource", plain(deed.resource, 120) if shown is not Disclosure.MINIMAL else ""),
        ("policy", plain(alert.policy, 80)),
        ("reason", plain(alert.reason, 80)),
        ("nearest proof", plain(nearest_sentence(alert.nearest_miss))),
        ("count", str(alert.count) if alert.count > 1 else ""),
        ("when", words.when(alert) if alert.first_time else ""),
        ("explain", "" if shown is Disclosure.MINIMAL else _explain(alert)),
        ("until", "" if step is Step.RESOLVE else _until(alert, now)),
        ("resolved", plain(alert.resolved_by, 40) if step is Step.RESOLVE else ""),
        ("tenant", plain(alert.tenant, 64)),
        ("alert", plain(alert.alert_id, 60)),
    ]
    return tuple((name, value) for name, value in facts if value)


def _until(alert: ShownAlert, now: str) -> str:
    """Until when the alert may take itself back, if it still may at `now`."""
    if alert.kind == "source_silence":
        return "is withdrawn when the source is back"
    closes = words.clock(alert.closes_at)
    if not closes or alert.closes_at <= max(alert.updated_at, now):
        return ""
    day, _, time = closes.partition(" ")
    same_day = day == now[:10]
    return f"may still be withdrawn until {time[:5] if same_day else f'{day} {time[:5]}'} UTC"


def _command(alert: ShownAlert) -> str:
    """What shows the evidence and the verdict. It names the alert only: ids that others chose stay out of a shell."""
    if alert.kind == "source_silence":
        return "stepwatch doctor"
    if not _SAFE_ID.fullmatch(alert.alert_id):
        return ""
    return (
        'stepwatch sql "select t.* from subject_timeline t join alerts_current a using (tenant, subject) '
        f"where a.alert_id = '{alert.alert_id}' and has(a.actions, t.id) and t.kind != 'alert' order by t.time\""
    )


def _explain(alert: ShownAlert) -> str:
    """What shows why its first action was judged so, and what would have made it verified."""
    first = alert.actions[0] if alert.actions else ""
    is_judged = alert.kind in ("unverified_action", "blind")
    if not is_judged or first.startswith("-") or not (_SAFE_ID.fullmatch(first) and _SAFE_ID.fullmatch(alert.tenant)):
        return ""
    return f"stepwatch explain {first} --tenant {alert.tenant}"


def _link(console_url: str, *path: str) -> str:
    return "/".join([console_url.rstrip("/"), *(quote(part, safe="") for part in path)]) if console_url else ""


def _group(alert: ShownAlert) -> str:
    return f"{alert.kind} under {alert.policy}" if alert.policy else alert.kind


def _only(values: Iterable[str]) -> str:
    """The value that all have; "" where they differ."""
    distinct = set(values)
    return distinct.pop() if len(distinct) == 1 else ""
