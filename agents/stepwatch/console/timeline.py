"""The picture of what happened around an action, to scale: what is in it, and which span of time it shows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from stepwatch.console.shown import shown
from stepwatch.console.tables import Row
from stepwatch.schemas.times import MINUTE_US
from stepwatch.streams.wording import FACTORS, duration

LANES: Final = ("logins", "challenges", "proofs", "actions")
MARKS_MAX: Final = 300
"""More are not drawn, and the page says so."""
_LEAST_US: Final = MINUTE_US
_BAD_STEPS: Final = ("failed", "denied", "expired", "cancelled", "bypassed")


class Mark(NamedTuple):
    """One event.

    Attributes:
        at_us: where it stands; of a verification, when it was proved.
        lane: of `LANES`.
        shape: login, gone, challenge, broken, proof, key, approval, or action.
        tone: good, bad, odd or calm.
        what: what it is, in words.
        result: what came of it.
        session, client: where it happened.
        link: of an action, its page's parameters.
        focus: the picture is about it.
        key: (source, id) of the event.
    """

    at_us: int
    lane: str
    shape: str
    tone: str
    what: str
    result: str
    session: str
    client: str
    key: tuple[str, str]
    link: dict[str, str] | None = None
    focus: bool = False


class Span(NamedTuple):
    """A stretch of time with its label; both ends are in."""

    begin_us: int
    end_us: int
    label: str


@dataclass(slots=True)
class Picture:
    """What is drawn.

    Attributes:
        begin_us, end_us: of the axis.
        marks: in order of time; their places, from 1, are their numbers.
        zero_us: from which the axis counts; None: it shows clock times.
        window: the policy's, or the pattern's.
        gap: by how much the nearest proof missed it.
        earlier: what lies before the axis, the last of each lane.
        omitted: how many events are too many to be drawn.
    """

    begin_us: int
    end_us: int
    marks: list[Mark]
    zero_us: int | None = None
    window: Span | None = None
    gap: Span | None = None
    earlier: list[Mark] = field(default_factory=list)
    omitted: int = 0


def marks_of(proofs: Sequence[Row], actions: Sequence[Row], focus: Row | None = None) -> list[Mark]:
    """Events as marks, in order of time.

    Args:
        proofs, actions: rows of `events_of`.
        focus: the action that the picture is about: the proof that covers it and the nearest miss are told apart.
    """
    marks = [_proof_mark(row, focus) for row in proofs] + [_action_mark(row, focus) for row in actions]
    return sorted(marks, key=lambda mark: (mark.at_us, LANES.index(mark.lane), mark.key))


def missed_by(row: Row) -> dict[str, Any]:
    """The nearest miss of an action's row; empty where there is none."""
    try:
        said = json.loads(row["nearest_miss"] or "{}")
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def around_action(
    marks: Sequence[Mark], zero_us: int, max_age_us: int, skew_us: int, nearest_us: int | None
) -> Picture:
    """The picture of one action: its window, and as far back as the nearest proof where that is not out of all scale.

    Args:
        marks: in order of time.
        zero_us: the action's time.
        max_age_us: of its policy; 0: none matched.
        skew_us: of its policy.
        nearest_us: when the nearest proof was proved, if one was.
    """
    before_us = max(int(max_age_us * 1.3), _LEAST_US)
    if nearest_us is not None and nearest_us < zero_us:
        before_us = max(before_us, min(int((zero_us - nearest_us) * 1.15), before_us * 8))
    after_us = max(int(before_us * 0.15), int(skew_us * 1.5))
    if nearest_us is not None and nearest_us > zero_us:
        after_us = max(after_us, min(int((nearest_us - zero_us) * 1.25), before_us * 8))
    picture = _cut(marks, zero_us - before_us, zero_us + after_us)
    picture.zero_us = zero_us
    if max_age_us:
        picture.window = Span(zero_us - max_age_us, zero_us, f"max_age {duration(max_age_us)}")
        if nearest_us is not None and nearest_us < picture.window.begin_us:
            late_us = picture.window.begin_us - nearest_us
            picture.gap = Span(
                max(nearest_us, picture.begin_us), picture.window.begin_us, f"{duration(late_us)} too old"
            )
        elif nearest_us is not None and nearest_us > zero_us + skew_us:
            late_us = nearest_us - zero_us - skew_us
            picture.gap = Span(zero_us, min(nearest_us, picture.end_us), f"{duration(late_us)} too late")
    return picture


def around_span(marks: Sequence[Mark], first_us: int, last_us: int, window: Span | None = None) -> Picture:
    """The picture of a stretch of time, with some air on both sides."""
    wide_us = max(last_us - first_us, _LEAST_US)
    if window is not None:
        first_us, last_us = min(first_us, window.begin_us), max(last_us, window.end_us)
    picture = _cut(marks, first_us - wide_us // 12, last_us + wide_us // 12)
    picture.window = window
    return picture


def _cut(marks: Sequence[Mark], begin_us: int, end_us: int) -> Picture:
    inside = [mark for mark in marks if begin_us <= mark.at_us <= end_us]
    before = {mark.lane: mark for mark in marks if mark.at_us < begin_us and mark.lane in ("logins", "proofs")}
    drawn = inside[-MARKS_MAX:]
    return Picture(begin_us, end_us, drawn, earlier=list(before.values()), omitted=len(inside) - len(drawn))


def _proof_mark(row: Row, focus: Row | None) -> Mark:
    lane, shape, tone, what = _kind_of(str(row["type"]), row)
    its_id = row["verification"] or row["id"]
    if focus is not None and shape in ("proof", "login"):
        if focus["verification"] == its_id:
            tone, what = "good", f"{what}: it covers the action"
        elif missed_by(focus).get("verification") == its_id:
            tone, what = "bad", f"{what}: the nearest miss"
    methods = ", ".join(FACTORS.get(one, shown(one, 40)) for one in row["amr"])
    change = row["credential_change"]
    said = [
        methods,
        row["failure"].replace("_", " "),
        row["reason"].replace("_", " "),
        f"for {row['bound_action']}" if row["bound_action"] else "",
    ]
    if change:
        said.append(f"{row['credential']} {change}".strip())
    result = " · ".join(shown(one, 80) for one in said if one)
    client = " · ".join(shown(row[name], 60) for name in ("client_ip", "client_device", "client_country") if row[name])
    at_us = int(row["at_us"])
    return Mark(at_us, lane, shape, tone, what, result, shown(row["session"], 60), client, (row["source"], row["id"]))


def _kind_of(kind: str, row: Row) -> tuple[str, str, str, str]:
    """Lane, shape, tone and words of an authentication event."""
    family, _, step = kind.partition(".")
    if family == "stepup":
        if step == "verified":
            return "proofs", "proof", "calm", "proof"
        if step in _BAD_STEPS:
            return "challenges", "broken", "bad", f"challenge {step}"
        return "challenges", "challenge", "calm", "challenge" if step == "challenged" else f"step-up {step}"
    if kind == "session.started":
        # A login with methods is a proof too; its place is with the sessions that it begins.
        return "logins", "login", "calm", "login" if row["amr"] else "session"
    if kind == "session.revoked":
        return "logins", "gone", "odd", "session revoked"
    if kind == "credential.changed":
        return "logins", "key", "odd", "credential changed"
    return "challenges", "approval", "calm", kind.replace(".", " ")


def _action_mark(row: Row, focus: Row | None) -> Mark:
    key = (row["source"], row["id"])
    tones = {"verified": "good", "unverified": "bad", "blind": "odd"}
    target = " ".join(one for one in (row["resource_type"], row["resource_id"]) if one)
    what = shown(row["action"], 80) + (f" on {shown(target, 80)}" if target else "")
    result = f"{row['verdict'].replace('_', ' ')} ({row['reason'].replace('_', ' ')})"
    if row["outcome"] not in ("success", ""):
        result += f", {shown(row['outcome'], 20)}"
    client = " · ".join(shown(row[name], 60) for name in ("client_ip", "client_device", "client_country") if row[name])
    link = {"tenant": row["tenant"], "source": row["source"], "id": row["id"]}
    tone = tones.get(row["verdict"], "calm")
    return Mark(
        int(row["at_us"]), "actions", "action", tone, what, result, shown(row["session"], 60), client, key, link,
        focus is not None and key == (focus["source"], focus["id"]),
    )  # fmt: skip
