"""An alert as two lines for whoever is on call: what happened, and what to do."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TextIO

from stepwatch.notifiers.notices import Happening, Notice, NotJudged, ShownAlert
from stepwatch.notifiers.plain import plain

_OVER = {
    "late_verification": "nothing to do: the proof arrived late, and covers it",
    "source_recovered": "nothing to do here: the source is back, and what could not be judged is judged now",
    "revision": "nothing to do: later evidence changed the verdict",
    "person": "closed by a person",
    "expired": "closed by itself: nobody changed it for 30 days",
}
_COLOURS = {"critical": "1;31", "high": "31", "medium": "33", "low": "36"}
_GREEN = "32"


class Console:
    """Prints notices, two lines each."""

    name = "console"

    def __init__(self, stream: TextIO | None = None, environ: Mapping[str, str] = os.environ) -> None:
        """A console on a stream.

        Args:
            stream: default: standard output.
            environ: where NO_COLOR and TERM are looked up; colour is used on a terminal only.
        """
        self._stream = sys.stdout if stream is None else stream
        self._coloured = self._stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"

    def tell(self, notice: Notice) -> None:
        """Print one notice and flush it."""
        over = notice.happening is Happening.RESOLVED
        self._print(*build_lines(notice), _GREEN if over else _COLOURS.get(notice.alert.severity, "0"))

    def tell_not_judged(self, notice: NotJudged) -> None:
        """Print that an event was not judged."""
        self._print(*build_not_judged(notice), _COLOURS["critical"])

    def _print(self, first: str, second: str, colour: str) -> None:
        if self._coloured:
            head, tail = first.split("  ", 1)
            first = f"\x1b[{colour}m{head}\x1b[0m  {tail}"
        # A stream that cannot show a character shows its number; an alert must not fail for an accent.
        encoding = self._stream.encoding or "utf-8"
        text = f"{first}\n{second}\n".encode(encoding, "backslashreplace").decode(encoding)
        self._stream.write(text)
        self._stream.flush()


def build_lines(notice: Notice) -> tuple[str, str]:
    """The two lines of a notice, without colour and with every value made safe.

    The first: what became of the alert and how severe it is, who, what, which proof is missing and by
    how much, when (event time, UTC). The second: what to do, who is asked, the alert's id to refer to.
    """
    alert = notice.alert
    head = f"{notice.happening.name} {plain(alert.severity, 20)}".ljust(21)
    return f"{head}  {_what(notice)}", " " * 23 + _to_do(notice)


def build_not_judged(notice: NotJudged) -> tuple[str, str]:
    """The two lines of an event that was not judged: where it is and what was raised; how to see and repair it."""
    whose = f"{plain(notice.key, 80)}: " if notice.key else ""
    head = "NOT JUDGED critical".ljust(21)
    what = f"{whose}a fault of ours on an event, which was NOT judged: {plain(notice.raised)}"
    do = f"do: stepwatch dead-letters show {notice.letter_id}, report it; repaired: stepwatch dead-letters replay"
    return (
        f"{head}  {what} ({_clock(notice.time)} UTC, {plain(notice.where, 120)})",
        " " * 23 + f"{do} {notice.letter_id}",
    )


def _what(notice: Notice) -> str:
    alert = notice.alert
    title = plain(alert.title) or plain(alert.kind)
    subject = plain(alert.subject, 80)
    who = "" if not subject or subject in title else f"{subject}: "
    where = f" [{plain(alert.tenant)}]" if alert.tenant not in ("", "default") else ""
    why = f": {plain(alert.explanation)}" if alert.explanation else ""
    return f"{who}{title}{why}{_change(notice)} ({_when(alert)}){where}"


def _change(notice: Notice) -> str:
    """What is different from before, where the alert was told before."""
    alert, before = notice.alert, notice.before
    if before is None or notice.happening not in (Happening.WORSE, Happening.CHANGED):
        return ""
    changes = []
    if alert.count != before.count:
        changes.append(f"{before.count} → {alert.count} so far")
    if alert.severity != before.severity:
        changes.append(f"{plain(before.severity, 20)} → {plain(alert.severity, 20)}")
    if alert.reason != before.reason:
        changes.append(f"{plain(before.reason, 40)} → {plain(alert.reason, 40)}")
    return "; " + ", ".join(changes)


def _when(alert: ShownAlert) -> str:
    """Event time of the first member, and of the last where it is another second."""
    first, last = (_clock(text) for text in (alert.first_time, alert.last_time))
    if not last or first == last:
        return f"{first} UTC"
    return f"{first} to {last.removeprefix(first[:11])} UTC"


def _clock(time: str) -> str:
    return plain(time[:19].replace("T", " "), 19)


def _to_do(notice: Notice) -> str:
    alert = notice.alert
    parts = []
    if notice.happening is Happening.RESOLVED:
        parts.append(_OVER.get(alert.resolved_by, f"resolved by {plain(alert.resolved_by, 40)}"))
    elif notice.happening is Happening.ACKNOWLEDGED:
        parts.append("somebody is on it")
    elif alert.runbook:
        parts.append(f"do: {plain(alert.runbook)}")
    elif alert.kind == "self_approval":
        parts.append("do: let somebody else look at what was approved")
    else:
        who = plain(alert.subject, 80)
        parts.append(f"do: ask {who} whether it was them" if who else "do: see why, and who can repair it")
    if alert.owner and notice.happening is not Happening.RESOLVED:
        parts.append(f"owner {plain(alert.owner, 80)}")
    return " · ".join([*parts, plain(alert.alert_id, 60)])
