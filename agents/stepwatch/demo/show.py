"""What the demo prints: alerts in an on-call person's words, one line of progress, and the summary."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO

from stepwatch.notifiers.notices import Happening, Notice, ShownAlert
from stepwatch.notifiers.plain import plain

COLUMNS_MAX = 120
_HEAD = 18
"""Columns of `OPENED critical   `, under which an alert's other lines are indented where there is room."""
_ROOM_MIN = 100
_BAR = 12
_COLOURS = {
    "critical": "1;31",
    "high": "31",
    "medium": "33",
    "low": "36",
    "good": "32",
    "bad": "31",
    "dim": "2",
    "bold": "1",
}
_HEADS = {
    Happening.OPENED: "OPENED",
    Happening.REOPENED: "OPENED",
    Happening.WORSE: "WORSE",
    Happening.CHANGED: "CHANGED",
    Happening.ACKNOWLEDGED: "TAKEN",
    Happening.RESOLVED: "RESOLVED",
}
_OVER = {
    "late_verification": "verified now: the proof came late, and covers it",
    "source_recovered": "the source is back: what could not be judged is judged now",
    "revision": "later evidence changed the verdict",
    "person": "closed by a person",
    "expired": "nobody changed it for 30 days",
}
_STRUCK_BY_PERSON = frozenset({"denied", "failed", "bypassed", "abandoned"})
"""Reasons that say more than the nearest proof does."""


class Screen:
    """Standard output for what happens, standard error for progress, one line that is drawn over and over.

    Args:
        out, err: default: standard output and error.
        environ: where NO_COLOR and TERM are looked up.
    """

    def __init__(
        self, out: TextIO | None = None, err: TextIO | None = None, environ: Mapping[str, str] = os.environ
    ) -> None:
        self._out = sys.stdout if out is None else out
        self._err = sys.stderr if err is None else err
        dumb = environ.get("TERM") == "dumb"
        self._coloured = self._out.isatty() and not environ.get("NO_COLOR") and not dumb
        self._moves = self._err.isatty() and not dumb
        self._drawn = ""

    @property
    def is_terminal(self) -> bool:
        """Whether a person looks at standard output, and can end us by Ctrl-C."""
        return self._out.isatty()

    @property
    def columns(self) -> int:
        """How wide a line may be."""
        wide = shutil.get_terminal_size((COLUMNS_MAX, 24)).columns if self.is_terminal else COLUMNS_MAX
        return max(40, min(wide, COLUMNS_MAX))

    def paint(self, text: str, colour: str) -> str:
        """Text in a colour, where there are colours."""
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if self._coloured and colour in _COLOURS else text

    def say(self, *lines: str) -> None:
        """Print lines for good, above the line of progress."""
        self._wipe()
        encoding = self._out.encoding or "utf-8"
        text = "".join(line + "\n" for line in lines)
        self._out.write(text.encode(encoding, "backslashreplace").decode(encoding))
        self._out.flush()
        self._draw()

    def progress(self, text: str) -> None:
        """Show this as the line of progress; empty: none. Nothing happens where nobody looks."""
        self._wipe()
        self._drawn = text
        self._draw()

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """Show, while the context lasts, for how long something has been going on."""
        self.hint(text)
        begun, over = time.monotonic(), threading.Event()

        def draw() -> None:
            while not over.wait(1):
                self.progress(f"{time.monotonic() - begun:.0f} s ...")

        drawing = threading.Thread(target=draw, name="waiting", daemon=True)
        drawing.start()
        try:
            yield
        finally:
            over.set()
            drawing.join()
            self.progress("")

    def hint(self, text: str) -> None:
        """A message beside the data, on standard error."""
        self._wipe()
        self._err.write(text + "\n")
        self._err.flush()
        self._draw()

    def begin(self, name: str, told: str = "") -> None:
        """Print that a story begins, or goes on."""
        self.say(self.paint(f"> {name}", "bold"), *_wrapped(told, self.columns, "  "), "")

    def tell(self, notice: Notice) -> None:
        """Print an alert's change."""
        (first, *rest), small = alert_lines(notice, self.columns)
        over = notice.happening is Happening.RESOLVED
        head = self.paint(first[:_HEAD], "good" if over else notice.alert.severity)
        self.say(head + first[_HEAD:], *rest, *(self.paint(line, "dim") for line in small), "")

    def _wipe(self) -> None:
        if self._moves and self._drawn:
            self._err.write("\r\x1b[2K")
            self._err.flush()

    def _draw(self) -> None:
        if self._moves and self._drawn:
            self._err.write(self._drawn[: self.columns - 1])
            self._err.flush()


def alert_lines(notice: Notice, columns: int) -> tuple[list[str], list[str]]:
    """A change of an alert: who did what; which proof is missing, by how much, and what to do; where to look it up.

    Args:
        notice: what happened to which alert; its values may be an attacker's, and are made safe.
        columns: how wide a line may be.

    Returns:
        The lines to read now, and those to look things up by.
    """
    alert = notice.alert
    deed, what = _halves(alert)
    over = notice.happening is Happening.RESOLVED
    head = f"{_HEADS[notice.happening]} {'' if over else plain(alert.severity, 8)}".ljust(_HEAD)
    third = f"{plain(alert.first_time[11:19])} UTC · {plain(alert.alert_id, 60)}"
    if over:
        second = _OVER.get(alert.resolved_by, f"by {plain(alert.resolved_by, 40)}") + " · do: nothing"
    else:
        second = f"{_change(notice)}{what} · do: {_to_do(alert)}"
        third += f" · {plain(alert.runbook)}" if alert.runbook else ""
    indent = " " * (_HEAD if columns >= _ROOM_MIN else 2)
    return _wrapped(deed, columns, head) + _wrapped(second, columns, indent), _wrapped(third, columns, indent)


def _halves(alert: ShownAlert) -> tuple[str, str]:
    """Who did what, and what is wrong with it."""
    title, explanation = plain(alert.title), plain(alert.explanation)
    reason, _, nearest = explanation.partition("; nearest: ")
    # A filter's name says less than the proof that it struck: "security key tap 42 s too old".
    detail = nearest if nearest and alert.reason not in _STRUCK_BY_PERSON else reason
    if alert.kind in ("unverified_action", "blind"):
        deed, _, doubt = title.rpartition(": ")
        return deed, f"{doubt}: {detail}"
    return title, explanation


def _change(notice: Notice) -> str:
    """What is worse than when it was told before."""
    alert, before = notice.alert, notice.before
    if before is None or notice.happening not in (Happening.WORSE, Happening.CHANGED):
        return ""
    if alert.severity != before.severity:
        return f"now {plain(alert.severity, 8)}, was {plain(before.severity, 8)}: "
    return f"{alert.count} times now, was {before.count}: " if alert.count != before.count else ""


def _to_do(alert: ShownAlert) -> str:
    if alert.reason == "source_silent":
        return "wait for the source, or ask by phone"
    if alert.owner:
        return f"call {plain(alert.owner, 80)}"
    return (
        f"ask {plain(alert.subject, 80)} whether it was them" if alert.subject else "find out why, and who repairs it"
    )


def _wrapped(text: str, columns: int, head: str) -> list[str]:
    return textwrap.wrap(
        text,
        columns,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_on_hyphens=False,
        # An address that is broken in two opens nothing.
        break_long_words=False,
    )


def _all_wrapped(texts: Sequence[str], columns: int) -> list[str]:
    return [line for text in texts for line in _wrapped(text, columns, "  ")]


def progress_line(part: float, time: str, events: int, open_alerts: int, resolved: int, silent: bool) -> str:
    """The line of progress: how far the day is, and what has come of it.

    Args:
        part: of the day, 0 to 1.
        time: of the day, `14:32`.
        events: sent so far.
        open_alerts, resolved: how many alerts are open, and were resolved.
        silent: whether the identity provider is.
    """
    full = int(part * _BAR)
    bar = "█" * full + "░" * (_BAR - full)
    source = "/idp SILENT" if silent else "/idp alive"
    return f"{time} {bar} {part:4.0%} · {events:,} events · {open_alerts} open, {resolved} resolved · {source}"


@dataclass(frozen=True, slots=True)
class Ending:
    """One thing that was checked: a story, or an equality. Without faults it is as it must be."""

    name: str
    who: str
    words: str
    faults: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Summary:
    """What the day came to.

    Attributes:
        detections_s: how long beyond its grace each `unverified` took to be said, s.
        first_alert_s: from the first event to the first alert on screen, s; None: there was none.
        further: (command, what it shows).
        up: what runs until Ctrl-C, one line each.
    """

    actions: int
    authentications: int
    people: int
    seconds: float
    verdicts: Mapping[str, int]
    stopped: int
    """Unverified actions that the application itself did not let happen: no alert."""
    alerts_raised: int
    alerts_resolved: int
    alerts_open: int
    dead_letters: Sequence[str]
    detections_s: tuple[float, float]
    detection_count: int
    peak_bytes: int
    endings: Sequence[Ending]
    further: Sequence[tuple[str, str]] = ()
    up: Sequence[str] = field(default=())
    first_alert_s: float | None = None


def summary_lines(summary: Summary, screen: Screen) -> list[str]:
    """The summary, in lines for the screen."""
    median, slowest = summary.detections_s
    events = summary.actions + summary.authentications
    counted = " · ".join(
        f"{summary.verdicts.get(name, 0):,} {name.replace('_', ' ')}"
        for name in ("not_required", "exempt", "verified", "unverified", "blind")
    )
    facts = [
        (
            "events",
            f"{events:,} in {summary.seconds:.0f} s: {summary.actions:,} actions and "
            f"{summary.authentications:,} authentications of {summary.people} people",
        ),
        ("verdicts", counted + f" (of the unverified, {summary.stopped} were stopped by the application: no alert)"),
        (
            "alerts",
            f"{summary.alerts_raised} raised, {summary.alerts_resolved} resolved by themselves, "
            f"{summary.alerts_open} open"
            + (f"; the first after {summary.first_alert_s:.1f} s" if summary.first_alert_s is not None else ""),
        ),
        (
            "dead letters",
            f"{len(summary.dead_letters)}: " + "; ".join(map(plain, summary.dead_letters))
            if summary.dead_letters
            else "none",
        ),
        (
            "detection",
            f"median {median:.2f} s, p99 {slowest:.2f} s beyond the grace "
            f"({summary.detection_count} unverified verdicts)",
        ),
        ("memory", f"{summary.peak_bytes / 1e9:.2f} GB at the peak, all processes together"),
    ]
    lines = ["", screen.paint("The day is over", "bold")]
    for name, words in facts:
        lines += _wrapped(words, screen.columns, f"  {name:<14}")
    lines += ["", screen.paint("How the stories ended", "bold")]
    for ending in summary.endings:
        lines += _ending_lines(ending, screen)
    if summary.further:
        lines += ["", screen.paint("Look further", "bold")]
        for command, words in summary.further:
            lines += [screen.paint(f"  # {words}", "dim"), f"  {command}"]
    if summary.up:
        lines += ["", screen.paint("Up until Ctrl-C", "bold"), *_all_wrapped(summary.up, screen.columns)]
    return lines


def _ending_lines(ending: Ending, screen: Screen) -> list[str]:
    mark = screen.paint("ok  ", "good") if not ending.faults else screen.paint("NOT ", "bad")
    who = f" ({ending.who})" if ending.who else ""
    first, *rest = _wrapped(f"{ending.name}{who}: {ending.words}", screen.columns, "      ")
    lines = ["  " + mark + first[6:], *rest]
    for fault in ending.faults[:10]:
        lines += _wrapped(plain(fault), screen.columns, " " * 10)
    if len(ending.faults) > 10:
        lines.append(f"{'':10}and {len(ending.faults) - 10} more")
    return lines
