"""A difference between two policy sets, for a person and for a machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from stepwatch.cli import screen
from stepwatch.cli.report import SEVERITY_COLOURS, VERDICT_COLOURS
from stepwatch.cli.screen import GAP, counted, paint, shown, wrapped
from stepwatch.schemas.times import format_time
from stepwatch.streams.tuning.differing import GROUPS

if TYPE_CHECKING:
    from stepwatch.cli.policy_diff_input import Compared
    from stepwatch.streams.sets import PolicySets
    from stepwatch.streams.tuning.differing import AlertChange, Change, Difference, Judgement

_BELOW = "    "
_GROUP_LINES_MAX = 10


def lines_of(found: Compared, old: PolicySets, new: PolicySets, most: int) -> Iterator[str]:
    """The difference as a person reads it; at most so many changes are listed."""
    difference, room = found.difference, screen.width()
    yield wrapped(shown(f"{found.words}, by {_named(old)} and by {_named(new)}"), room, "")
    flips, others = difference.flips, len(difference.changes) - len(difference.flips)
    said = f"{counted(difference.actions, 'action')}, {difference.judged:,} of them judged by both: "
    said += f"{counted(len(flips), 'verdict flips', 'verdicts flip')}"
    said += f", {others:,} more change their reason, policy or proof" if others else ""
    yield paint(said, "bold")
    yield _alerts_in_words(difference.alerts)
    for by in GROUPS if flips else ():
        yield ""
        yield paint(f"FLIPS BY {by.upper()}", "bold")
        groups = difference.counted(by).most_common()
        for (value, turn), count in groups[:_GROUP_LINES_MAX]:
            yield f"{count:>9,}{GAP}{turn}{GAP}{shown(value or '(none)')}"
        if len(groups) > _GROUP_LINES_MAX:
            yield f"{_BELOW}and {len(groups) - _GROUP_LINES_MAX:,} more lines: --json has all"
    yield from _listed(difference, most, room)


def _named(sets: PolicySets) -> str:
    return "set " + " and ".join(policy_set.digest[:12] for policy_set in sets.sets)


def _alerts_in_words(alerts: Sequence[AlertChange]) -> str:
    new, gone = sum(one.old is None for one in alerts), sum(one.new is None for one in alerts)
    return f"alerts: {new:,} more, {gone:,} fewer, {len(alerts) - new - gone:,} changed"


def _listed(difference: Difference, most: int, room: int | None) -> Iterator[str]:
    # What flips is what somebody will be paged for, or not.
    changes = [*difference.flips, *(change for change in difference.changes if not change.flips)]
    if changes and most:
        yield ""
        yield paint("CHANGES", "bold")
        for change in changes[:most]:
            yield from _change(change, room)
        if len(changes) > most:
            yield f"and {len(changes) - most:,} more: --most N lists them, --json has all"
    if difference.alerts and most:
        yield ""
        yield paint("ALERTS", "bold")
        for one in difference.alerts[:most]:
            yield _alert(one)
        if len(difference.alerts) > most:
            yield f"and {len(difference.alerts) - most:,} more"


def _change(change: Change, room: int | None) -> Iterator[str]:
    turn = f"{_verdict(change.old)} -> {_verdict(change.new)}"
    where = f"{format_time(change.time_us)[:19]}Z{GAP}{change.subject}{GAP}{change.action} {change.name[3]}"
    yield f"{shown(where)}{GAP}{turn}"
    for title, said in (("was", change.old), ("now", change.new)):
        yield wrapped(shown(f"{title}: {_why(said)}"), room, _BELOW)


def _verdict(said: Judgement) -> str:
    verdict = str(said.row["verdict"])
    return f"{paint(verdict, VERDICT_COLOURS[verdict])} ({said.row['reason']})"


def _why(said: Judgement) -> str:
    row = said.row
    if not row["policy"]:
        return "no policy matches it"
    return f"{row['policy']}: " + (f"{row['reason']} {row['verification']}" if row["verification"] else said.sentence)


def _alert(one: AlertChange) -> str:
    row, what = one.row, "more" if one.old is None else "fewer" if one.new is None else "other"
    severity = paint(row["severity"].ljust(8), SEVERITY_COLOURS.get(row["severity"], ""))
    said = f"{row['first_time'][:19]}Z{GAP}{row['tenant']}/{row['subject']}{GAP}{row['reason']}"
    if one.old is not None and one.new is not None:
        names = [name for name in row if one.old[name] != row[name] and name != "actions"]
        said += GAP + ", ".join(f"{name} {one.old[name]} -> {row[name]}" for name in names)
    return f"{what.ljust(5)}{GAP}{severity}{GAP}{shown(row['alert'])} {shown(row['policy'])}{GAP}{shown(said)}"


def as_object(found: Compared, old: PolicySets, new: PolicySets, fail_over: str | None, failed: bool) -> dict[str, Any]:
    """The difference as JSON: every change with the rows of both sets, as `replay --json` says them."""
    difference = found.difference
    return {
        "read": found.words,
        "notes": found.notes,
        "old": [policy_set.digest[:12] for policy_set in old.sets],
        "new": [policy_set.digest[:12] for policy_set in new.sets],
        "actions": difference.actions,
        "judged": difference.judged,
        "flips": len(difference.flips),
        "fail_over": fail_over,
        "failed": failed,
        "by": {
            by: [
                {"value": value, "turn": turn, "count": n} for (value, turn), n in difference.counted(by).most_common()
            ]
            for by in GROUPS
        },
        "changes": [
            {
                "time": format_time(change.time_us),
                "action": change.action,
                "flips": change.flips,
                "old": _side(change.old),
                "new": _side(change.new),
            }
            for change in difference.changes
        ],
        "alerts": [{"old": one.old, "new": one.new} for one in difference.alerts],
    }


def _side(said: Judgement) -> dict[str, Any]:
    return {**said.row, "owner": said.owner, "sentence": "" if said.row["verification"] else said.sentence}
