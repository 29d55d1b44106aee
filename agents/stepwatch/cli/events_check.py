"""One `stepwatch events check`: line by line, with the worker's own decoder, in memory that does not grow."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from stepwatch.cli import events_warnings
from stepwatch.cli.events_faults import explain
from stepwatch.cli.events_findings import ERROR, WARNING, Finding, Group, Sums
from stepwatch.cli.events_policies import Demands
from stepwatch.cli.events_seen import EVENTS_MAX, Seen
from stepwatch.cli.lines import Converted, Origin, adapter_of
from stepwatch.cli.policy import policy_files
from stepwatch.cli.replay import ended_by_reader, write_json
from stepwatch.cli.screen import counted, paint, say, shown
from stepwatch.schemas.compiled import decode_json
from stepwatch.streams.decode import Event, Fault, Heartbeat, Skipped, decode, read_object


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of the command."""

    file: str
    policy: list[Path]
    source: str
    as_json: bool


class Checker:
    """Judges lines one by one.

    Args:
        demands: of policies; None: none were named.
        now_us: by this machine's clock.

    Attributes:
        events: how many lines were events or heartbeats.
    """

    def __init__(self, demands: Demands | None, now_us: int) -> None:
        self.events = 0
        self.seen = Seen()
        self._demands = demands
        self._now_us = now_us

    def look(self, value: bytes, origin: Origin) -> tuple[str | None, list[Finding]]:
        """The id of the event on a line, and all that is to be said of it.

        Args:
            value: the line, not blank.
            origin: where it stands.
        """
        outcome = decode(value, None)
        if isinstance(outcome, Fault):
            return outcome.id, [explain(outcome, value)]
        self.events += 1
        said = _said(value)
        if isinstance(outcome, Skipped):
            return said["id"], [events_warnings.of_skipped(outcome)]
        if isinstance(outcome, Heartbeat):
            findings = list(events_warnings.of_heartbeat(outcome, said, self._now_us))
            if self._demands is not None:
                findings += self._demands.of_source(outcome.source, outcome.time_us)
            return outcome.id, findings
        return outcome.id, list(self._of_event(outcome, said, origin))

    def _of_event(self, event: Event, said: dict[str, Any], origin: Origin) -> Iterator[Finding]:
        yield from events_warnings.of_event(event, said, self._now_us)
        subject = event.subject
        if self._demands is not None:
            yield from self._demands.of_event(event)
            subject = self._demands.canonical(event)
        again = self.seen.look(event, subject, origin)
        if again is not None:
            yield again


def _said(value: bytes) -> dict[str, Any]:
    try:
        said: dict[str, Any] = decode_json(value)
        return said
    except (msgspec.MsgspecError, OverflowError):
        # Numbers that 64 bits do not hold.
        return read_object(value)


def check_file(asked: Asked) -> tuple[int, int]:
    """Check a file and say what was found; returns how many errors and warnings.

    Raises:
        Misused: the file cannot be read.
        PolicyRefused: a policy set is.
    """
    lines = Converted(asked.file, adapter_of(asked.source))
    demands = None
    if asked.policy:
        from stepwatch.streams.sets import load_files

        demands = Demands(load_files(policy_files(asked.policy)))
    checker, sums = Checker(demands, time.time_ns() // 1000), Sums()
    found = _findings(checker, lines)
    with ended_by_reader():
        if asked.as_json:
            write_json(_counting(found, sums))
        else:
            try:
                for finding, origin, event_id in found:
                    sums.add(finding, origin, event_id)
            finally:
                # Where the file is damaged, or somebody has enough, what was found until then is worth something.
                for group in sums.groups():
                    _show(group, asked.file)
        _tell(checker, sums, lines.lines_read, to_screen=not asked.as_json)
    for words in lines.skips_in_words():
        say(words)
    return sums.counts[ERROR], sums.counts[WARNING]


def _findings(checker: Checker, lines: Converted) -> Iterator[tuple[Finding, Origin, str | None]]:
    for origin, line in lines.placed():
        value = line.strip()
        if value:
            event_id, found = checker.look(value, origin)
            for finding in found:
                yield finding, origin, event_id


def _counting(found: Iterator[tuple[Finding, Origin, str | None]], sums: Sums) -> Iterator[dict[str, Any]]:
    for finding, origin, event_id in found:
        sums.counts[finding.level] += 1
        yield finding.row(origin, event_id)


def _show(group: Group, file: str) -> None:
    first, place = group.first, group.places[0]
    name = place.file or ("standard input" if file == "-" else file)
    got = "" if first.got is None else f", got {first.got}"
    whose = f" (id {group.event_id})" if group.event_id else ""
    level = paint(first.level, "red" if first.level == ERROR else "yellow")
    print(f"{shown(name)}:{place.line}: {level}: {shown(f'{first.field}: expected {first.expected}{got}{whose}')}")
    print(shown(f"    {first.hint}"))
    if group.count > 1:
        print(shown(f"    {group.count:,} times: {_places(group)}"))


def _places(group: Group) -> str:
    """`lines 3, 5, 8, …`; of several files `a.jsonl:3, b.jsonl:1`."""
    named = [f"{place.file}:{place.line}" if place.file else str(place.line) for place in group.places]
    more = ", …" if group.count > len(named) else ""
    noun = "" if group.places[0].file else "line " if len(named) == 1 else "lines "
    return f"{noun}{', '.join(named)}{more}"


def _tell(checker: Checker, sums: Sums, lines_read: int, *, to_screen: bool) -> None:
    errors, warnings = counted(sums.counts[ERROR], "error"), counted(sums.counts[WARNING], "warning")
    words = f"{counted(lines_read, 'line')}, {counted(checker.events, 'event')}: {errors}, {warnings}"
    if to_screen:
        print(words)
    else:
        say(words)
    if sums.left_out:
        say(f"{counted(sums.left_out, 'finding')} of other kinds not shown: --json shows each")
    if checker.seen.forgot:
        say(f"copies and conflicts were looked for among the last {EVENTS_MAX:,} events")
