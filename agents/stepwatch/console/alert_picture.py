"""What the tables add to an alert: its members, and the picture of the first one or of the pattern."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from markupsafe import Markup

from stepwatch.agents.alert_log import AlertState
from stepwatch.console.drawing import NARROW, WIDE, draw
from stepwatch.console.events import events_of, members_of
from stepwatch.console.service import Console
from stepwatch.console.shown import us_of
from stepwatch.console.tables import Row
from stepwatch.console.timeline import Picture, Span, around_action, around_span, marks_of, missed_by
from stepwatch.schemas.times import DAY_US, HOUR_US, MINUTE_US
from stepwatch.streams.patterns.otp_guessing import WINDOW_US as OTP_WINDOW_US
from stepwatch.streams.patterns.view import FATIGUE_WINDOW_US
from stepwatch.streams.sets import Requirement
from stepwatch.streams.wording import duration

_WINDOWS: Final = {
    "mfa_fatigue": FATIGUE_WINDOW_US,
    "mfa_fatigue_success": FATIGUE_WINDOW_US,
    "otp_guessing": OTP_WINDOW_US,
    "fresh_credential": DAY_US,
    "replayed_code": DAY_US,
}
"""How far a pattern looks back from its last event."""
_AIR_US: Final = 5 * MINUTE_US


@dataclass(slots=True)
class Scene:
    """What surrounds an alert or an action.

    Attributes:
        members: rows of the actions.
        focus: the one that the picture is about.
        picture: None where there is nothing to draw.
        caption: what its shaded stretch is.
        wide, narrow: the picture for both sizes of screens.
        closes_us: until when the focus may still change; 0: not known.
    """

    members: list[Row] = field(default_factory=list)
    focus: Row | None = None
    picture: Picture | None = None
    caption: str = ""
    wide: Markup = field(default_factory=Markup)
    narrow: Markup = field(default_factory=Markup)
    closes_us: int = 0


async def scene_of(console: Console, alert: AlertState) -> Scene:
    """The scene of an alert; an empty one where it has no subject.

    Raises:
        TablesAway: in words.
    """
    if not alert["subject"]:
        return Scene()
    first_us, last_us = us_of(alert["first_time"]), us_of(alert["last_time"])
    members: list[Row] = []
    if alert["actions"]:
        ids: Sequence[str] = alert["actions"]
        members = await members_of(console.tables, alert["tenant"], alert["subject"], ids, first_us, last_us)
    elif alert["policy"]:
        # It is over, since nothing is said of its actions any more: they are those of its policy at its times.
        _, there = await events_of(console.tables, alert["tenant"], alert["subject"], first_us, last_us)
        members = [row for row in reversed(there) if row["policy"] == alert["policy"]]
    if members and alert["kind"] not in _WINDOWS:
        return await scene_of_action(console, members[0], members)
    span_us = _WINDOWS.get(alert["kind"], 0)
    since_us, until_us = first_us - max(span_us, HOUR_US), last_us + HOUR_US
    proofs, actions = await events_of(console.tables, alert["tenant"], alert["subject"], since_us, until_us)
    marks = marks_of(proofs, actions)
    if span_us < DAY_US:
        window = Span(first_us - span_us, last_us, f"looks back {duration(span_us)}") if span_us else None
        picture = around_span(marks, first_us - _AIR_US, last_us + _AIR_US, window)
    else:
        # A day to scale would make one spot of what happened within a minute.
        begin_us = next((mark.at_us for mark in marks if mark.at_us >= first_us - span_us), first_us)
        picture = around_span(marks, begin_us, max(last_us, begin_us) + MINUTE_US)
    return _drawn(Scene(members), picture, f"What {alert['subject']} did around the alert")


async def scene_of_action(console: Console, row: Row, members: list[Row]) -> Scene:
    """The scene of one action: its policy's window, and what came nearest.

    Raises:
        TablesAway: in words.
    """
    required = requirement_of(console, row)
    zero_us = int(row["at_us"])
    back_us = DAY_US if required is None else max(required.lookback_us, DAY_US)
    ahead_us = HOUR_US if required is None else required.revise_within_us + MINUTE_US
    proofs, actions = await events_of(
        console.tables, row["tenant"], row["subject"], zero_us - back_us, zero_us + ahead_us
    )
    marks = marks_of(proofs, actions, row)
    nearest_us = nearest_of(row, proofs)
    max_age_us, skew_us = (0, 0) if required is None else (required.max_age_us, required.clock_skew_us)
    picture = around_action(marks, zero_us, max_age_us, skew_us, nearest_us)
    scene = _drawn(Scene(members, row), picture, f"What {row['subject']} did around {row['action']}")
    scene.closes_us = int(row["closes_us"])
    return scene


def requirement_of(console: Console, row: Row) -> Requirement | None:
    """What the policy of an action asks for, in the set in force at its time; None where it is not known here."""
    if console.sets is None or not row["policy"]:
        return None
    return console.sets.at(int(row["at_us"])).requirements.get(row["policy"])


def nearest_of(row: Row, proofs: Sequence[Row]) -> int | None:
    """When the proof was given that came nearest, where it is among these."""
    missed = missed_by(row).get("verification")
    found = [int(proof["at_us"]) for proof in proofs if missed and missed in (proof["verification"], proof["id"])]
    return max(found, default=None)


def _drawn(scene: Scene, picture: Picture, title: str) -> Scene:
    if picture.marks or picture.earlier:
        shaded = "in which a proof counts" if scene.focus is not None else "that the pattern looks at"
        scene.caption = f"To scale; the shaded stretch is the time {shaded}" if picture.window else "To scale"
        scene.picture = picture
        scene.wide, scene.narrow = draw(picture, WIDE, title), draw(picture, NARROW, title)
    return scene
