"""What a channel has to do about one incident now: send a step, join another incident, wait, or nothing."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from stepwatch.notifiers.book import Book, Floor
from stepwatch.notifiers.delivery import Step
from stepwatch.notifiers.grouping import GROUP_UPDATE_S, is_group
from stepwatch.notifiers.ledger import Standing, Told
from stepwatch.notifiers.mutes import Muted, muted_by
from stepwatch.notifiers.notices import ShownAlert
from stepwatch.notifiers.placing import Join, Place, Wait
from stepwatch.notifiers.planning import has_grown, plan
from stepwatch.schemas.times import SECOND_US, parse_time


class Send(NamedTuple):
    """A step that is to be taken now; `again`: the last one, for a receiver that forgets."""

    step: Step
    told: Told
    again: bool = False


Errand = Send | Join | Wait | None


class Errands:
    """Decides for one channel; does nothing itself."""

    def __init__(self, channel: str, floor: Floor, resend_every_s: float | None) -> None:
        self.place = Place(channel, floor)
        self._channel = channel
        self._floor = floor
        self._resend_every_s = resend_every_s

    def errand(self, book: Book, key: str, since_s: float, now_s: float) -> Errand:
        """What to do about an incident.

        Args:
            book: of its partition.
            key: of the incident.
            since_s: since when it waits.
            now_s: now, s since 1970.
        """
        alert = book.alert_of(key)
        if alert is None:
            return None
        told = book.told.get((self._channel, key)) or Told(self._channel, key, alert.tenant)
        is_new, left = not told.step and not is_group(key), told.group
        if left:
            if not self.place.leaves(told, alert, now_s):
                # What it grew while a silence spoke for it was spoken for: on record, so that it is no news later.
                return Join(left) if not is_group(left) and has_grown(alert, told) else None
            told, is_new = msgspec.structs.replace(told, group="", version=0), True
        muted, hears = self._muted(book, alert, now_s), self._hears(book, alert, told)
        step = plan(alert, told, wanted=hears and muted is None)
        if step is None:
            if muted is not None and hears and plan(alert, told, wanted=True) is not None:
                return Wait(muted.until_us / SECOND_US)
            return self._again(alert, told, now_s)
        if step is Step.TRIGGER and is_new:
            place = self.place.new(book, alert, since_s, now_s, left)
            if place is not None:
                return place
        at_s = self._paced_s(alert, told, step, now_s)
        return Wait(at_s) if at_s > now_s else Send(step, told)

    def lacks_trigger(self, book: Book, key: str, now_s: float) -> bool:
        """Whether the channel is still to be told of an incident for the first time."""
        alert, told = book.alert_of(key), book.told.get((self._channel, key))
        if alert is None or (told is not None and told.group):
            return False
        return plan(alert, told, wanted=self._muted(book, alert, now_s) is None) is Step.TRIGGER

    def _muted(self, book: Book, alert: ShownAlert, now_s: float) -> Muted | None:
        """The mute of an alert; of a group, where all of its alerts that are not over are muted, the first to end."""
        alerts = [alert]
        if is_group(alert.alert_id):
            alerts = [member for member in book.members(alert.alert_id) if member.state != "resolved"]
        mutes = list(self._floor.all_mutes())
        found = [muted_by(one, mutes, int(now_s * SECOND_US)) for one in alerts]
        holding = [muted for muted in found if muted is not None]
        return min(holding, key=lambda muted: muted.until_us) if holding and len(holding) == len(found) else None

    def _hears(self, book: Book, alert: ShownAlert, told: Told) -> bool:
        """Whether the channel is to hear of an incident: by its route, by an escalation, or since it knows of it."""
        return (
            is_group(alert.alert_id)
            or told.state not in (Standing.NONE, Standing.RESOLVED)
            or (self._channel, alert.alert_id) in book.escalated
            or self._floor.routed(self._channel, alert)
            or self._channel in self._floor.heirs(book, alert.alert_id)
        )

    def _paced_s(self, alert: ShownAlert, told: Told, step: Step, now_s: float) -> float:
        """When a step may be taken: now, or when the channel's rate has room, or a minute after a group was told."""
        if step not in (Step.TRIGGER, Step.UPDATE):
            return now_s
        if not is_group(alert.alert_id):
            return self.place.rings_at(alert, now_s)
        # A digest is what the rate leaves over: it does not wait for room itself.
        return _at_s(told) + GROUP_UPDATE_S if step is Step.UPDATE else now_s

    def _again(self, alert: ShownAlert, told: Told, now_s: float) -> Send | Wait | None:
        """The last delivery once more, where a receiver forgets what it is not reminded of."""
        every_s = self._resend_every_s
        if every_s is None or told.state not in (Standing.OPEN, Standing.ACKNOWLEDGED) or alert.state == "resolved":
            return None
        if now_s < _at_s(told) + every_s:
            return Wait(_at_s(told) + every_s, is_reminder=True)
        step = Step.ACKNOWLEDGE if told.state is Standing.ACKNOWLEDGED else Step.UPDATE
        return Send(step, told, again=True)


def _at_s(told: Told) -> float:
    return (parse_time(told.at) or 0) / SECOND_US if told.at else 0.0
