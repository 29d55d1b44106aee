"""What `stepwatch replay --into RUN` shows: what would have been alerted, what was no event, what to type next."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from stepwatch.cli import screen
from stepwatch.cli.lines import AS_THEY_ARE, Converted
from stepwatch.cli.report import SEVERITY_COLOURS, VERDICT_COLOURS
from stepwatch.cli.runs import text_of
from stepwatch.cli.screen import GAP, counted, paint, shown, wrapped

if TYPE_CHECKING:
    from stepwatch.cli.into import Asked, Told
    from stepwatch.store.run_summary import Alerted, Summary

_BELOW = " " * 4


def write_summary(asked: Asked, told: Told, summary: Summary, lines: Converted) -> None:
    """The summary for a person: answers on standard output, what could not be read on standard error."""
    room = screen.width()
    for line in _lines(asked, told, summary, room):
        print(line)
    for words in [*lines.skips_in_words(), *_trouble(told)]:
        screen.say(words)
    print()
    print(paint("NEXT", "bold"))
    for command in next_commands(asked, summary):
        print(f"{_BELOW}{command}")


def as_object(asked: Asked, told: Told, summary: Summary, lines: Converted) -> dict[str, Any]:
    """The same for machines."""
    return {
        "run": asked.run,
        "database": told.database,
        "records": told.records,
        "first_time": text_of(summary.first_time),
        "last_time": text_of(summary.last_time),
        "actions": summary.actions,
        "authentications": summary.authentications,
        "proofs": summary.proofs,
        "verdicts": summary.verdicts,
        "alerts": [pile._asdict() for pile in summary.piles],
        "worst": [
            alert._asdict() | {"first_time": text_of(alert.first_time), "last_time": text_of(alert.last_time)}
            for alert in summary.worst
        ],
        "skipped": [{**skip._asdict(), "count": count} for skip, count in lines.skipped.most_common()],
        "rejected": dict(told.rejected),
        "refused": told.refused,
        "took_s": round(told.took_s, 3),
        "next": next_commands(asked, summary),
    }


def next_commands(asked: Asked, summary: Summary) -> list[str]:
    """What to type next, by what was found: why alerts are there, or why none can be."""
    data = f" --data {shlex.quote(str(asked.data))}" if asked.data is not None else ""
    ask = f"stepwatch sql{data} --run {asked.run} "
    why = "select time, subject, action, reason, nearest_miss from audit_current"
    unverified, reasons = summary.verdicts.get("unverified", {}), _unproved(summary)
    commands = []
    if unverified:
        commands.append(f"{ask}\"{why} where verdict = 'unverified' order by time desc limit 20\"")
    elif summary.alerts:
        commands.append(f'{ask}"select severity, kind, title, explanation from alerts_current order by last_time desc"')
    if summary.actions and set(summary.verdicts) == {"not_required"}:
        commands.append(f'{ask}"select action, sensitivity, count() from audit_current group by all order by 3 desc"')
    if reasons and asked.file != "-" and asked.source != AS_THEY_ARE:
        policies = " ".join(f"--policy {shlex.quote(str(path))}" for path in asked.policies)
        commands.append(f"stepwatch identities unmatched {policies} --from {asked.source} {shlex.quote(asked.file)}")
    return commands or [f'{ask}"select verdict, reason, count() from audit_current group by all"']


def _unproved(summary: Summary) -> int:
    """Actions for which no proof at all was found: an alias that is missing looks like that."""
    return summary.verdicts.get("unverified", {}).get("no_step_up", 0)


def _lines(asked: Asked, told: Told, summary: Summary, room: int | None) -> Iterator[str]:
    read = f"{counted(told.records, 'record')} of {asked.source} in {told.took_s:.1f} s"
    found = f"{counted(summary.actions, 'action')} and {counted(summary.authentications, 'authentication event')}"
    yield wrapped(f"run {asked.run} (database {told.database}): {read}; {found}", room, "")
    if summary.first_time is not None and summary.last_time is not None:
        yield f"actions from {summary.first_time:%Y-%m-%d %H:%M:%S} to {summary.last_time:%Y-%m-%d %H:%M:%S} UTC"
    yield ""
    yield paint("VERDICTS", "bold")
    for verdict, colour in VERDICT_COLOURS.items():
        if reasons := summary.verdicts.get(verdict):
            why = ", ".join(f"{count:,} {reason}" for reason, count in reasons.items())
            yield f"{sum(reasons.values()):>9,}{GAP}{paint(verdict.ljust(12), colour)}{GAP}{why}"
    if not summary.verdicts:
        yield f"{0:>9,}{GAP}no action in this file"
    yield from _hints(summary, room)
    yield ""
    yield from _alert_lines(summary, room)


def _hints(summary: Summary, room: int | None) -> Iterator[str]:
    """Why a replay of a log may say what the stream would not."""
    if summary.actions and set(summary.verdicts) == {"not_required"}:
        yield wrapped("No policy matches any of these actions: nothing was asked to be proved.", room, _BELOW)
    if summary.verdicts.get("blind", {}).get("source_silent"):
        words = (
            "A log has no heartbeats, so sources with `silent_after` count as silent: "
            "judge old logs by policies without it, as the ready ones of `stepwatch sources describe` are."
        )
        yield wrapped(words, room, _BELOW)
    if _unproved(summary) and not summary.proofs:
        words = (
            "This file holds no proof at all: judge it together with the identity provider's events (one file may hold "
            "those of several sources), or by policies that this source can meet."
        )
        yield wrapped(words, room, _BELOW)


def _alert_lines(summary: Summary, room: int | None) -> Iterator[str]:
    if not summary.piles:
        yield paint("NOTHING WOULD HAVE BEEN ALERTED", "bold")
        return
    yield paint(f"WOULD HAVE BEEN ALERTED ({summary.alerts:,})", "bold")
    for pile in summary.piles:
        severity = paint(pile.severity.ljust(8), SEVERITY_COLOURS.get(pile.severity, ""))
        of_policy = f" [{shown(pile.policy)}]" if pile.policy else ""
        members = f"{GAP}({counted(pile.members, 'event')})" if pile.members != pile.alerts else ""
        yield f"{pile.alerts:>9,}{GAP}{severity}{GAP}{pile.kind}{of_policy}{members}"
    yield ""
    yield paint(f"the worst{' few' if summary.alerts > len(summary.worst) else ''}, newest first:", "bold")
    for alert in summary.worst:
        yield from _in_words(alert, room)


def _in_words(alert: Alerted, room: int | None) -> Iterator[str]:
    severity = paint(alert.severity.ljust(8), SEVERITY_COLOURS.get(alert.severity, ""))
    many = f"{GAP}{alert.members:,} times" if alert.members > 1 else ""
    yield f"{severity}{GAP}{alert.kind}{GAP}{alert.last_time:%Y-%m-%d %H:%M:%S} UTC{many}"
    yield wrapped(f"{shown(alert.title)}; {shown(alert.explanation)} ({alert.alert_id})", room, _BELOW)


def _trouble(told: Told) -> Iterator[str]:
    if told.rejected:
        yield f"{counted(told.rejected.total(), 'event')} rejected:"
    for name, count in told.rejected.most_common():
        origin, sentence = told.sentences[name]
        yield f"{count:>7,}  {name}: first on {origin}: {sentence}"
    if told.refused:
        yield f"{counted(told.refused, 'row')} refused by ClickHouse, so the tables lack them; the first: {told.words}"
