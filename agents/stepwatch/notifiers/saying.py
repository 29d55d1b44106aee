"""What is sent about an incident, and what the ledger says of it before and after."""

from __future__ import annotations

from typing import Any

import msgspec

from stepwatch.notifiers.book import Book, Floor
from stepwatch.notifiers.delivery import Answer, Delivery, Message, Outcome, Step
from stepwatch.notifiers.grouping import DIGEST, FORGOTTEN, is_group
from stepwatch.notifiers.ledger import SHOWN_MAX, Standing, Told
from stepwatch.notifiers.messages import build_digest, build_forgotten, build_message, build_not_judged_message
from stepwatch.notifiers.notices import ShownAlert
from stepwatch.notifiers.planning import after, before_of


def build_delivery(floor: Floor, book: Book, alert: ShownAlert, told: Told, step: Step, now: str) -> Delivery:
    """One delivery of an incident to the channel of `told`, in the words that this channel may read, at `now`."""
    return Delivery(alert.alert_id, alert.version, step, _message(floor, book, alert, told, step, now), told.reference)


def _message(floor: Floor, book: Book, alert: ShownAlert, told: Told, step: Step, now: str) -> Message:
    routes, key = floor.routes, alert.alert_id
    shown = routes.disclosure_of(told.channel)
    members = book.members(key) if is_group(key) else []
    if alert.kind == FORGOTTEN or (is_group(key) and not members):
        return build_forgotten(alert)
    if members:
        return build_digest(
            members,
            key=key,
            step=step,
            why=_why_together(floor, key, told.channel),
            shown=shown,
            console_url=routes.console_url,
        )
    if key in book.bugs:
        return build_not_judged_message(book.bugs[key], shown=shown, console_url=routes.console_url)
    return build_message(
        alert,
        step,
        before=before_of(told) if told.version else None,
        now=now,
        shown=shown,
        console_url=routes.console_url,
        pseudonym_key=routes.pseudonym_key,
    )


def _why_together(floor: Floor, key: str, channel: str) -> str:
    """Why alerts are not sent one by one."""
    if not key.startswith(DIGEST):
        return f"more than {floor.routes.storm.more_than} of one kind and policy in a minute"
    per_minute = floor.routes.per_minute(channel)
    if per_minute is None:
        return "more in a minute than this channel took when they came"
    return f"more than {per_minute} in a minute on this channel"


def joined(channel: str, alert: ShownAlert, group: str) -> Told:
    """The record of an alert that another incident speaks for."""
    words = "one incident of many alerts" if is_group(group) else "the silence of a source"
    return Told(
        channel,
        alert.alert_id,
        alert.tenant,
        version=alert.version,
        severity=alert.severity,
        reason=alert.reason,
        count=alert.count,
        outcome="grouped",
        words=f"spoken for by {words}",
        group=group,
    )


def announced(told: Told, step: Step, attempts: int) -> Told:
    """The record that a trigger, or an end, is on its way, before it is."""
    state = Standing.MAYBE if step is Step.TRIGGER else Standing.ENDING
    return msgspec.structs.replace(told, step=step.value, state=state, attempts=attempts)


def answered(told: Told, before: Standing, alert: ShownAlert, step: Step, answer: Answer, attempts: int) -> Told:
    """The record of an answer.

    Args:
        told: as it was announced.
        before: how the incident stood before that.
        alert: what the delivery spoke of.
        step: that was tried.
        answer: of the receiver.
        attempts: of this step, this one included.
    """
    said: dict[str, Any] = {
        "step": step.value,
        "attempts": attempts,
        "outcome": answer.outcome.value,
        "words": answer.words[:SHOWN_MAX],
        "reference": answer.reference or told.reference,
    }
    if answer.outcome is Outcome.DELIVERED:
        said |= {
            "state": after(step, told.state),
            "version": max(alert.version, told.version),
            "severity": alert.severity,
            "reason": alert.reason,
            "count": alert.count,
        }
    else:
        # What surely did not arrive leaves nothing behind; what may have arrived must be taken back some day.
        said["state"] = before if answer.unsent else told.state
        said["refused"] = alert.version if answer.outcome is Outcome.REFUSED else told.refused
    return msgspec.structs.replace(told, **said)
