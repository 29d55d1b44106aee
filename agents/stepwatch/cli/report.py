"""What `stepwatch replay` shows people: each verdict with its reason in a sentence, alerts, rejected lines, counts."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from stepwatch.cli import screen
from stepwatch.cli.lines import Origin
from stepwatch.cli.screen import GAP, counted, fit, paint, shown, wrapped
from stepwatch.streams.replay import Explained
from stepwatch.streams.wording import duration

Row = dict[str, Any]
VERDICT_COLOURS = {"unverified": "red", "blind": "yellow", "verified": "green", "exempt": "dim", "not_required": "dim"}
SEVERITY_COLOURS = {"critical": "red", "high": "red", "medium": "yellow", "low": ""}
_MOST = (8, 24, 40, 24, 12)
"""The most columns for time, subject, action, id and verdict."""
_LEAST = (8, 8, 12, 8, 12)
_SENTENCE_LEAST = 40
"""A sentence with less room than this goes below its verdict instead of beside it."""
_BELOW = " " * 4


class _Name(msgspec.Struct):
    action: str = ""
    tenant: str = ""


class _Glance(msgspec.Struct):
    id: str
    source: str
    time: str = ""
    data: _Name = msgspec.field(default_factory=_Name)


class Seen(NamedTuple):
    """What a verdict row does not say of its action."""

    time: str
    action: str


class Glances:
    """Time and name of each action, picked up while its line goes by: rows of contract section 10 have neither."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str, str], Seen] = {}

    def watch(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        """The same lines, looked at on their way."""
        decode = msgspec.json.Decoder(_Glance).decode
        for line in lines:
            try:
                glance = decode(line)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                yield line  # the engine says what is wrong with it
                continue
            if glance.data.action:
                key = (glance.data.tenant or "default", glance.source, glance.id)
                seen = Seen(glance.time, glance.data.action)
                if self._seen.setdefault(key, seen) != seen:
                    self._seen[key] = Seen("", "")  # two bodies of one id: which of them counts, we cannot say
            yield line

    def of(self, row: Row) -> Seen:
        """What was seen of the action of a verdict row."""
        return self._seen.get((row["tenant"], row["source"], row["action_id"]), Seen("", ""))


class _Shown(NamedTuple):
    day: str
    cells: tuple[str, ...]
    sentence: str


def write_report(rows: Iterable[Explained], glances: Glances) -> None:
    """Write the report of a replay to standard output."""
    verdicts: list[tuple[tuple[Any, ...], Explained]] = []
    alerts: list[Explained] = []
    rejected: list[Explained] = []
    for explained in rows:
        row = explained.row
        if row["kind"] == "verdict":
            verdicts.append(((_sortable(glances.of(row).time), row["subject"], row["action_id"]), explained))
        else:
            (alerts if row["kind"] == "alert" else rejected).append(explained)
    verdicts.sort(key=lambda entry: entry[0])
    tenants = {explained.row["tenant"] for _, explained in verdicts}
    room = screen.width()
    out = sys.stdout.write
    shown_verdicts = [_verdict(explained, glances, len(tenants) > 1) for _, explained in verdicts]
    for line in _verdict_lines(shown_verdicts, room):
        out(line + "\n")
    for line in _alert_lines(alerts, room):
        out(line + "\n")
    for line in _rejected_lines(rejected, room):
        out(line + "\n")
    if verdicts or alerts or rejected:
        out("\n")
    out(wrapped(_summary([explained.row for _, explained in verdicts], len(alerts), len(rejected)), room, "") + "\n")


def _sortable(time: str) -> tuple[int, int]:
    from stepwatch.schemas.times import parse_time

    time_us = parse_time(time)
    return (1, 0) if time_us is None else (0, time_us)


def _clock(time: str) -> str:
    """A time to the second, UTC; `""` where it is none."""
    from stepwatch.schemas.times import format_time, parse_time

    time_us = parse_time(time) if time else None
    return "" if time_us is None else format_time(time_us)[:19].replace("T", " ")


def _verdict(explained: Explained, glances: Glances, with_tenant: bool) -> _Shown:
    row, seen = explained.row, glances.of(explained.row)
    subject = f"{row['tenant']}/{row['subject']}" if with_tenant else row["subject"]
    day, _, clock = _clock(seen.time).partition(" ")
    cells = (clock, shown(subject), shown(seen.action), shown(row["action_id"]), row["verdict"])
    return _Shown(day, cells, shown(sentence_of(explained)))


def sentence_of(explained: Explained) -> str:
    """Why the verdict is so, for a person; also of verdicts that need no explanation."""
    row = explained.row
    reason, policy = row["reason"], row["policy"]
    if row["verdict"] == "verified":
        proof = "a login" if reason == "login" else "a step-up"
        age_us = row["age_us"]
        when = f"{duration(age_us)} before" if age_us > 0 else f"{duration(-age_us)} after" if age_us else "just then"
        return f"proved by {proof} {when} ({row['verification']})"
    if row["verdict"] == "exempt":
        return f"policy {policy} makes an exception"
    if row["verdict"] == "not_required":
        return "no policy speaks of it"
    return f"{explained.sentence} [{policy}]"


def _verdict_lines(rows: list[_Shown], room: int | None) -> Iterator[str]:
    header = ("UTC", "SUBJECT", "ACTION", "ID", "VERDICT")
    if not rows:
        return
    sizes = screen.columns_of([header, *(row.cells for row in rows)], _MOST)
    taken = sum(sizes) + len(GAP) * len(sizes)
    beside = room is None or room - taken >= _SENTENCE_LEAST
    if room is not None and not beside:
        _shrink(sizes, room)
    heading = GAP.join(map(fit, header, sizes))
    yield paint(heading + GAP + "WHY" if beside else heading, "bold")
    day = ""
    for row in rows:
        if row.day != day:
            day = row.day
            yield paint(day or "no time known", "bold")
        *cells, verdict = map(fit, row.cells, sizes)
        line = GAP.join([*cells, paint(verdict, VERDICT_COLOURS.get(row.cells[-1], ""))])
        if not beside:
            yield line.rstrip()
            yield wrapped(row.sentence, room, _BELOW)
            continue
        first, *rest = wrapped(row.sentence, None if room is None else room - taken, "").split("\n")
        yield line + GAP + first
        for more in rest:
            yield " " * taken + more


def _shrink(sizes: list[int], room: int) -> None:
    """Make the widest columns narrower until a line fits, or nothing can be made narrower."""
    while sum(sizes) + len(GAP) * (len(sizes) - 1) > room:
        free = [index for index, size in enumerate(sizes) if size > _LEAST[index]]
        if not free:
            return
        sizes[max(free, key=lambda index: sizes[index])] -= 1


def _alert_lines(alerts: list[Explained], room: int | None) -> Iterator[str]:
    if not alerts:
        return
    alerts = sorted(alerts, key=lambda explained: (explained.row["first_time"], explained.row["alert_id"]))
    yield ""
    yield paint(f"ALERTS ({len(alerts):,})", "bold")
    for explained in alerts:
        row = explained.row
        severity = paint(f"{row['severity']:8}", SEVERITY_COLOURS.get(row["severity"], ""))
        first, last = _clock(row["first_time"]), _clock(row["last_time"])
        when = first if first == last else f"{first} to {last.removeprefix(first[:11])}"
        many = f"{GAP}{row['count']:,} times" if row["count"] > 1 else ""
        yield f"{severity}{GAP}{row['alert'].ljust(19)}{GAP}{when} UTC{many}"
        yield wrapped(f"{shown(explained.sentence)} ({row['alert_id']})", room, _BELOW)


def _rejected_lines(rejected: list[Explained], room: int | None) -> Iterator[str]:
    if not rejected:
        return
    yield ""
    yield paint(f"REJECTED LINES ({len(rejected):,})", "bold")
    for explained in rejected:
        row = explained.row
        whose = f" (id {shown(row['id'])})" if row["id"] else ""
        origin = Origin(shown(row.get("file", "")), row["line"])
        yield wrapped(f"{origin}: {shown(row['field'])}: {shown(explained.sentence)}{whose}", room, "")


def _summary(verdicts: list[Row], alerts: int, rejected: int) -> str:
    counts = Counter(row["verdict"] for row in verdicts)
    said = ", ".join(f"{counts[verdict]:,} {verdict}" for verdict in VERDICT_COLOURS if counts[verdict])
    parts = [f"{counted(len(verdicts), 'action')}: {said}" if said else "no actions"]
    parts.append(counted(alerts, "alert") if alerts else "no alerts")
    parts.append(f"{counted(rejected, 'line')} rejected" if rejected else "no line rejected")
    return "; ".join(parts)
