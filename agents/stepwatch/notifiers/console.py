"""An alert as two lines for whoever is on call: what happened, and what to do."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TextIO

from stepwatch.notifiers import words
from stepwatch.notifiers.delivery import Answer, Delivery, Outcome, Step
from stepwatch.notifiers.notices import Happening, Notice, NotJudged
from stepwatch.notifiers.plain import plain

_COLOURS = {"critical": "1;31", "high": "31", "medium": "33", "low": "36"}
_GREEN = "32"
_HEAD = 21
_LINE_MAX = 600
_INDENT = " " * (_HEAD + 2)


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

    def show(self, delivery: Delivery) -> None:
        """Print one message of a channel."""
        message, over = delivery.message, delivery.step is Step.RESOLVE
        head = words.head_of(delivery.step, message.severity).ljust(_HEAD)
        first, second = (plain(line, _LINE_MAX) for line in message.lines)
        where = plain(delivery.key, 60)
        colour = _GREEN if over else _COLOURS.get(message.severity, "0")
        self._print(f"{head}  {plain(message.title)}: {first}", f"{_INDENT}{second} · {where}", colour)

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
    head = f"{notice.happening.name} {plain(alert.severity, 20)}".ljust(_HEAD)
    why = f": {plain(alert.explanation)}" if alert.explanation else ""
    worse = notice.happening in (Happening.WORSE, Happening.CHANGED)
    change = words.what_changed(alert, notice.before) if worse else ""
    where = f" [{plain(alert.tenant)}]" if alert.tenant not in ("", "default") else ""
    what = f"{words.who_did_what(alert)}{why}{f'; {change}' if change else ''} ({words.when(alert)}){where}"
    return f"{head}  {what}", _INDENT + " · ".join([*_to_do(notice), plain(alert.alert_id, 60)])


def build_not_judged(notice: NotJudged) -> tuple[str, str]:
    """The two lines of an event that was not judged: where it is and what was raised; how to see and repair it."""
    head = "NOT JUDGED critical".ljust(_HEAD)
    what = f"{words.what_was_not_judged(notice)} ({words.clock(notice.time)} UTC, {plain(notice.where, 120)})"
    return f"{head}  {what}", _INDENT + words.how_to_repair(notice)


def _to_do(notice: Notice) -> list[str]:
    alert = notice.alert
    if notice.happening is Happening.RESOLVED:
        return [": ".join(part for part in words.why_over(alert) if part)]
    first = words.TAKEN if notice.happening is Happening.ACKNOWLEDGED else words.what_to_do(alert)
    return [part for part in (first, words.owner_of(alert)) if part]


class ConsoleReceiver:
    """The console as a channel of the routing file: the two lines of each message."""

    resend_every_s = None

    def __init__(self, name: str, stream: TextIO | None = None) -> None:
        """A console on a stream; default: standard output."""
        self.name = name
        self._stream = stream

    async def deliver(self, delivery: Delivery) -> Answer:
        """Print one message and flush it."""
        Console(self._stream).show(delivery)
        return Answer(Outcome.DELIVERED, "printed")

    async def close(self) -> None:
        """There is nothing to give back."""
