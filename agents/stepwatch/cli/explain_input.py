"""What `stepwatch explain` reads: an action and the events of its subject, from files or from ClickHouse."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from stepwatch.cli.asking import PATIENCE_S, reading_tables
from stepwatch.cli.errors import Misused
from stepwatch.cli.lines import AS_THEY_ARE, Converted, adapter_of
from stepwatch.cli.policy_sets import policies_of
from stepwatch.cli.screen import counted, say

if TYPE_CHECKING:
    from stepwatch.streams.replay import EventKey, Gathered
    from stepwatch.streams.sets import PolicySets

NAMED_MAX = 20
"""Actions of one id that are named when somebody has to choose."""
_DAYS_BACK = 7
"""Stored events that are read before the action, at least: `max_uses` asks what earlier actions chose, and so on."""
_FOUND = """SELECT tenant, subject, source, action_id, time, closes_at, verdict, reason FROM audit_current
WHERE {said:String} IN (action_id, concat(source, '/', action_id), concat(tenant, '/', source, '/', action_id))
  AND ({tenant:String} = '' OR tenant = {tenant:String}) AND ({source:String} = '' OR source = {source:String})
ORDER BY time DESC, tenant, source, subject LIMIT {most:UInt32}"""


class OnRecord(NamedTuple):
    """What the tables say of an action."""

    verdict: str
    reason: str


@dataclass(frozen=True, slots=True)
class Meant:
    """What was typed: which action, of which files; without files, of which tables."""

    action: str
    tenant: str = ""
    source: str = ""
    events: Sequence[str] = ()
    log: str = AS_THEY_ARE
    policies: Sequence[Path] = ()
    data: Path | None = None
    run: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """One action, and what its verdict stands on.

    Attributes:
        gathered: of its subject.
        sets: to judge by.
        on_record: of a stored action.
        notes: what the reader should know.
    """

    key: EventKey
    gathered: Gathered
    sets: PolicySets
    on_record: OnRecord | None
    notes: list[str]


def find(meant: Meant) -> Found:
    """Find the action that was meant.

    Raises:
        Misused: there is none, or several; a file cannot be read; no policies.
        PolicyRefused: a policy file.
        ServerAway: ClickHouse or Kafka does not answer.
    """
    return _in_files(meant) if meant.events else _in_tables(meant)


def gather_files(events: Sequence[str], log: str, sets: PolicySets, into: Gathered) -> int:
    """Gather files of events, and say what is none of them; returns how many lines were read."""
    from stepwatch.streams.replay import gather

    adapter, read = adapter_of(log), 0
    for name in events:
        lines, rejected = Converted(name, adapter), []
        for explained in gather(lines, sets, into):
            origin = lines.origin(explained.row["line"])
            rejected.append(
                f"{origin.file or name}: line {origin.line}: {explained.row['field']}: {explained.sentence}"
            )
        if rejected:
            say(f"{counted(len(rejected), 'line')} rejected and left out; the first: {rejected[0]}")
        for words in lines.skips_in_words():
            say(words)
        read += lines.lines_read
    return read


def _in_files(meant: Meant) -> Found:
    from stepwatch.streams.replay import Gathered
    from stepwatch.streams.tuning.explaining import find_actions, of_subject

    if not meant.policies:
        raise Misused("no policies: name their files or their folder with --policy")
    sets, gathered = policies_of(meant.policies, None), Gathered()
    gather_files(meant.events, meant.log, sets, gathered)
    keys = find_actions(gathered, meant.action, meant.tenant, meant.source)
    key = keys[0] if len(keys) == 1 else None
    if key is None:
        raise _none_or_several(meant, ((one[0], one[1], one[3], one[4]) for one in keys))
    return Found(key, of_subject(gathered, key), sets, None, [])


def _in_tables(meant: Meant) -> Found:
    from stepwatch.store.stored_events import stored_lines
    from stepwatch.streams.decode import ACTION
    from stepwatch.streams.replay import Gathered, gather
    from stepwatch.streams.tuning.explaining import of_subject
    from stepwatch.streams.tuning.variants import without_silence

    sets, notes = policies_of(meant.policies, meant.data), []
    with reading_tables(meant.data, meant.run, PATIENCE_S) as (client, _):
        values = {"said": meant.action, "tenant": meant.tenant, "source": meant.source, "most": NAMED_MAX}
        rows: Sequence[Sequence[Any]] = client.query(_FOUND, values).result_rows
        if len(rows) != 1:
            raise _none_or_several(meant, (tuple(row[:4]) for row in rows))
        tenant, subject, source, action_id, time, closes_at, verdict, reason = rows[0]
        since, until = _reach(sets, time, closes_at)
        gathered = Gathered()
        for refused in gather(stored_lines(client, since, until, tenant, subject=subject), sets, gathered):
            say(f"a stored event is none, and is left out: {refused.row['field']}: {refused.sentence}")
    if sets.silent_after_max_us:
        sets = without_silence(sets)
        notes.append("heartbeats are not stored, so this is judged as if no source had `silent_after`")
    # A newer set may know the stored subject by another name.
    keys = [key for key in gathered.events if (key[0], *key[2:]) == (tenant, ACTION, source, action_id)]
    if not keys:
        raise Misused(f"{action_id} of {source}: its first revision, which holds the event, is not stored any more")
    return Found(keys[0], of_subject(gathered, keys[0]), sets, OnRecord(verdict, reason), notes)


def _reach(sets: PolicySets, time: datetime, closes_at: datetime) -> tuple[datetime, datetime]:
    """From when until when events may speak of an action."""
    time, closes_at = time.replace(tzinfo=UTC), closes_at.replace(tzinfo=UTC)
    back = max(2 * timedelta(microseconds=sets.lookback_max_us), timedelta(days=_DAYS_BACK))
    # An event may be ten minutes ahead of its arrival (contract section 3).
    return time - back, max(time, closes_at) + timedelta(microseconds=sets.horizon_max_us) + timedelta(minutes=11)


def _none_or_several(meant: Meant, names: Iterable[tuple[str, str, str, str]]) -> Misused:
    """No action, or several, in words; of each (tenant, subject, source, id)."""
    found = list(names)
    where = f"in {', '.join(meant.events)}" if meant.events else "in the tables"
    if not found:
        return Misused(
            f"no action {meant.action} {where}: give its id, or tenant/source/id, as `replay --json` shows it"
        )
    said = [f"    {tenant}/{source}/{event_id}  ({subject})" for tenant, subject, source, event_id in found[:NAMED_MAX]]
    return Misused("\n".join([f"several actions {meant.action} {where}; say which:", *said]))
