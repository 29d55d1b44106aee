"""`stepwatch policy history|show`: which set was applied when, by whom, and which is in force."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stepwatch.cli.asking import Bootstrap, Data
from stepwatch.cli.errors import Misused
from stepwatch.cli.screen import counted, paint, say, shown, table
from stepwatch.cli.target import connect_quietly

if TYPE_CHECKING:
    from stepwatch.agents.settings import Settings
    from stepwatch.streams.sets import PolicyRefused, PolicySet

_PREFIX_MIN = 4
"""Digits of a digest that name a set: fewer might be a number."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One set as it was applied.

    Attributes:
        number: from 1, in the order of the topic.
        digest: of its files, hex.
        applied_at, by, note: when (UTC, by Kafka's clock), who and why.
        now: applied with `--now`.
        policy_set: None where workers refuse it.
        refused: why they do.
        until_us: when the next one begins; None: it has no end yet, or is refused.
        in_force: it judges what happens now.
    """

    number: int
    digest: str
    applied_at: str
    by: str
    note: str
    now: bool
    policy_set: PolicySet | None
    refused: PolicyRefused | None
    until_us: int | None
    in_force: bool


def show_history(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for each set.")] = False,
    bootstrap: Bootstrap = None,
    data: Data = None,
) -> None:
    """List every policy set that was ever applied: when, by whom, why, what it changed, and which is in force."""
    from stepwatch.streams.tuning.policy_changes import changes_between

    entries, before, rows = history(connect_quietly(data, bootstrap)), None, []
    for entry in entries:
        changes = changes_between(before, entry.policy_set) if entry.policy_set else []
        before = entry.policy_set or before
        if as_json:
            print(json.dumps({**_as_object(entry), "changes": changes}, ensure_ascii=False))
        else:
            rows.append(_row(entry, changes, is_first=before is entry.policy_set and entry.number == 1))
    if as_json:
        return
    if not rows:
        say("no set was applied yet: `stepwatch policy apply FILE`")
        return
    print(table(("", "SET", "APPLIED, UTC", "BY", "HOLDS FROM, UTC", "UNTIL", "WHAT"), rows, whole={0, 1}))


def show(
    wanted: Annotated[
        str | None, typer.Argument(metavar="[SET]", help="By `policy history`: its number or first digits.")
    ] = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="TIME", help="The set that judges what happened then; default: now.")
    ] = None,
    into: Annotated[
        Path | None, typer.Option("--into", metavar="DIR", help="Write its files there; none is replaced.")
    ] = None,
    bootstrap: Bootstrap = None,
    data: Data = None,
) -> None:
    """Show the files of a policy set: the one in force now, at a time, or by its number or digest."""
    if wanted is not None and at is not None:
        raise Misused("SET and --at: which set is meant is one of both")
    settings = connect_quietly(data, bootstrap)
    entries = history(settings, at_us=_moment_us(at) if at is not None else None)
    if not any(entry.policy_set for entry in entries):
        raise Misused(f"{settings.topics.policies} holds no policy set: apply one with `stepwatch policy apply FILE`")
    entry = one_of(entries, wanted) if wanted is not None else next(one for one in entries if one.in_force)
    if entry.policy_set is None:
        raise Misused(f"set {entry.digest[:12]} was refused:\n{entry.refused}")
    files = [(Path(file.name).name, file.text) for file in entry.policy_set.files]
    if into is not None:
        _write(files, into)
        return
    say(f"set {entry.digest[:12]}, applied {entry.applied_at} by {entry.by or 'somebody'}")
    for name, text in files:
        print(f"# {shown(name)}\n{text.rstrip()}" if len(files) > 1 else text.rstrip())


def history(settings: Settings, at_us: int | None = None) -> list[Entry]:
    """What was applied, the oldest first.

    Args:
        settings: where Kafka is.
        at_us: when the set that is in force is asked for; None: now.

    Raises:
        KafkaAway, KafkaRefused: no answer, or no permission.
    """
    from stepwatch.agents.policy_topic import read_records

    reader = asyncio.run(read_records(settings))
    digests = [key.decode(errors="replace") for key in reader.keys]
    return list(_entries(digests, reader.records, time.time_ns() // 1000 if at_us is None else at_us))


def _entries(digests: Sequence[str], records: Sequence[tuple[int, bytes]], at_us: int) -> Iterator[Entry]:
    from stepwatch.schemas.times import TIME_END_US, format_time
    from stepwatch.streams.sets import PolicySets, applied_sets

    applied = applied_sets(records)
    valid = [one.policy_set for one in applied if one.policy_set]
    sets = PolicySets(valid) if valid else None
    for number, (digest, one) in enumerate(zip(digests, applied, strict=True), start=1):
        record, policy_set = one.record, one.policy_set
        until_us = sets.span(policy_set)[1] if sets and policy_set else None
        yield Entry(
            number,
            digest,
            format_time(one.append_time_us)[:19].replace("T", " "),
            record.applied_by if record else "",
            record.note if record else "",
            bool(record and record.now),
            policy_set,
            one.refused,
            None if until_us == TIME_END_US else until_us,
            bool(sets and policy_set) and sets is not None and sets.at(at_us) is policy_set,
        )


def one_of(entries: Sequence[Entry], wanted: str) -> Entry:
    """The set that is meant by its number, or by the first digits of its digest; of equal ones the latest.

    Raises:
        Misused: none is, or several are.
    """
    number = int(wanted.removeprefix("#")) if wanted.removeprefix("#").isdecimal() else 0
    if 1 <= number <= len(entries):
        return entries[number - 1]
    found = [one for one in entries if len(wanted) >= _PREFIX_MIN and one.digest.startswith(wanted.lower())]
    if len({one.digest for one in found}) != 1:
        what = "several sets begin so" if found else "no such set"
        raise Misused(f"{wanted}: {what}; `stepwatch policy history` lists them by number and digest")
    return found[-1]


def _row(entry: Entry, changes: Sequence[str], *, is_first: bool) -> list[str]:
    if entry.policy_set is None:
        what = "refused: " + str(entry.refused).splitlines()[0]
    elif is_first:
        what = counted(len(entry.policy_set.requirements), "policy", "policies")
    else:
        what = "; ".join(changes) or "no policy, source or identity is another"
    if entry.note:
        what = f"{entry.note}: {what}"
    begin_us = entry.policy_set.effective_from_us if entry.policy_set else None
    begins = "the beginning" if entry.policy_set and begin_us is None else _minute(begin_us)
    until = paint("in force", "green") if entry.in_force else _minute(entry.until_us)
    return [str(entry.number), entry.digest[:12], entry.applied_at, shown(entry.by), begins, until, shown(what)]


def _minute(time_us: int | None) -> str:
    from stepwatch.schemas.times import format_time

    return "" if time_us is None else format_time(time_us)[:19].replace("T", " ")


def _as_object(entry: Entry) -> dict[str, Any]:
    from stepwatch.schemas.times import format_time

    policy_set = entry.policy_set
    begin_us = policy_set.effective_from_us if policy_set else None
    return {
        "number": entry.number,
        "set": entry.digest,
        "applied_at": entry.applied_at.replace(" ", "T") + "Z",
        "applied_by": entry.by,
        "note": entry.note,
        "now": entry.now,
        "effective_from": None if begin_us is None else format_time(begin_us),
        "until": None if entry.until_us is None else format_time(entry.until_us),
        "in_force": entry.in_force,
        "policies": list(policy_set.requirements) if policy_set else [],
        "refused": str(entry.refused) if entry.refused else None,
    }


def _moment_us(text: str) -> int:
    from stepwatch.cli.since import since_us

    return since_us(text)


def _write(files: Sequence[tuple[str, str]], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    taken = [name for name, _ in files if (folder / name).exists()]
    if taken:
        raise Misused(f"{folder} holds {', '.join(taken)} already: name another folder")
    for name, text in files:
        (folder / name).write_text(text, encoding="utf-8")
        print(folder / name)
