"""(How an alert stands, what a channel was told of it) -> the next step towards that channel, or none."""

from __future__ import annotations

from stepwatch.notifiers.delivery import Step
from stepwatch.notifiers.ledger import Standing, Told
from stepwatch.notifiers.notices import Seen, ShownAlert, notice_of, rank_of

_THERE = (Standing.MAYBE, Standing.OPEN, Standing.ACKNOWLEDGED, Standing.ENDING)
_NOT_THERE = (Standing.NONE, Standing.MAYBE, Standing.RESOLVED)


def plan(alert: ShownAlert, told: Told | None, *, wanted: bool) -> Step | None:
    """The next step; what lies between is left out, since the alert's present state is all that a receiver needs.

    An alert that was over before the channel heard of it is never spoken of. One that a person acknowledged, that was
    over and is open again is resolved first: a receiver takes a trigger for an acknowledged incident as no news. So is
    one whose end may have arrived: whether the incident is still there nobody knows.
    What a receiver refused is not sent again until the alert changes; but an end is never given up.

    Args:
        alert: its state now.
        told: what the ledger has of it on this channel; None: nothing.
        wanted: the channel is to hear of it: it is routed there, and not muted. What a channel was told of is
            taken back all the same.
    """
    step = _wanted_step(alert, told, wanted)
    if step is not Step.RESOLVE and told is not None and told.refused >= alert.version:
        return None
    return step


def _wanted_step(alert: ShownAlert, told: Told | None, wanted: bool) -> Step | None:
    state = told.state if told is not None else Standing.NONE
    if alert.state == "resolved":
        return Step.RESOLVE if state in _THERE else None
    if told is None or state in _NOT_THERE:
        return Step.TRIGGER if wanted else None
    if alert.state == "acknowledged" and state is Standing.OPEN:
        return Step.ACKNOWLEDGE
    if state is Standing.ENDING or (alert.state != "acknowledged" and state is Standing.ACKNOWLEDGED):
        return Step.RESOLVE
    if not wanted:
        return None
    return Step.UPDATE if notice_of(before_of(told), alert) is not None else None


def has_grown(alert: ShownAlert, told: Told) -> bool:
    """Whether an alert has more members, or is graver, than what is on record of it."""
    is_more = alert.count > told.count or rank_of(alert.severity) > rank_of(told.severity)
    return alert.version > told.version and is_more


def before_of(told: Told) -> Seen:
    """The alert as the channel was told of it last."""
    return Seen(told.version, told.state.value, told.severity, told.reason, told.count)


def after(step: Step, before: Standing) -> Standing:
    """How the incident stands once a step was delivered."""
    if step is Step.UPDATE:
        return before
    return {
        Step.TRIGGER: Standing.OPEN,
        Step.ACKNOWLEDGE: Standing.ACKNOWLEDGED,
        Step.RESOLVE: Standing.RESOLVED,
    }[step]
