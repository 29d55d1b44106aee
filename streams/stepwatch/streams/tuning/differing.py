"""What another policy set would have said of the same events: every verdict and alert that changes.

Both sets are judged by the stream's own engine. Actions that no policy of either set can match, and that are no
`policy_gap`, have the same row under both; they are counted and left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from stepwatch.schemas.times import parse_time
from stepwatch.streams.decode import ACTION, Event, Fault, Heartbeat, Skipped, decode
from stepwatch.streams.replay import (
    END_US,
    Gathered,
    PlainLine,
    Row,
    event_key,
    judge_gathered,
    keep_first,
)
from stepwatch.streams.sets import PolicySets
from stepwatch.streams.skimming import plain_lines

Name = tuple[str, str, str, str]
"""(tenant, subject as sent, source, id): an action whatever its subject is mapped to."""
COMPARED: Final = ("verdict", "reason", "policy", "verification", "nearest_miss")
"""Members of a verdict's row that are compared; of an alert all are."""
GROUPS: Final = ("policy", "reason", "owner", "subject")
"""What flips are counted by."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict row with its sentence, and who owns the policy."""

    row: Row
    sentence: str
    owner: str


@dataclass(frozen=True, slots=True)
class Change:
    """One action that the two sets judge differently."""

    name: Name
    time_us: int
    action: str
    old: Judgement
    new: Judgement

    @property
    def flips(self) -> bool:
        """The verdict itself changes, not only its reason, policy or proof."""
        return bool(self.old.row["verdict"] != self.new.row["verdict"])

    @property
    def subject(self) -> str:
        """`tenant/subject`, by the new set."""
        return f"{self.name[0]}/{self.new.row['subject']}"


@dataclass(frozen=True, slots=True)
class AlertChange:
    """One alert that one set would not raise, or raise otherwise; None: it does not raise it."""

    old: Row | None
    new: Row | None

    @property
    def row(self) -> Row:
        """The alert as the new set has it, or else the old one."""
        row = self.new or self.old
        assert row is not None
        return row


@dataclass(frozen=True, slots=True)
class Difference:
    """All that changes.

    Attributes:
        actions: how many were judged by both sets, those of no policy too.
        judged: of these, how many some policy of either set may concern, or may be a gap.
        changes: actions with another verdict, reason, policy or proof, the oldest first.
        alerts: with another id, or the same with another content.
    """

    actions: int
    judged: int
    changes: list[Change]
    alerts: list[AlertChange]

    @property
    def flips(self) -> list[Change]:
        """The actions whose verdict changes."""
        return [change for change in self.changes if change.flips]

    def counted(self, by: str) -> Counter[tuple[str, str]]:
        """Flips by (what, `old -> new`): `by` is one of `GROUPS`."""
        return Counter((_value(change, by), _turn(change)) for change in self.flips)


class Both:
    """The events of a file as two sets see them.

    Args:
        old, new: what is compared.
    """

    def __init__(self, old: PolicySets, new: PolicySets) -> None:
        self.old, self.new = old, new
        self._olds, self._news = Gathered(), Gathered()
        # Lines arrive, and heartbeats are heard, whatever the policies.
        self._news.heartbeats, self._news.arrivals = self._olds.heartbeats, self._olds.arrivals
        # Where both know everybody by the same name, to look once is enough.
        once = not any(policy_set.has_aliases for policy_set in (*old.sets, *new.sets))
        self._skim_old = plain_lines(old, new if once else None)
        self._skim_new = None if once else plain_lines(new)

    @property
    def has_heartbeats(self) -> bool:
        """Whether a source gave a sign of life, so that silence can be judged."""
        return bool(self._olds.heartbeats)

    def gather(self, lines: Iterable[bytes]) -> Iterator[tuple[int, Fault]]:
        """Read lines as `replay` takes them; also of several files, one after another.

        Returns:
            The rejected ones with their numbers, from 1, while they are read.
        """
        arrivals, olds, news = self._olds.arrivals, self._olds.events, self._news.events
        skim_old, skim_new = self._skim_old, self._skim_new
        for number, line in enumerate(lines, start=1):
            text = line.strip()
            if not text:
                continue
            by_old = skim_old(text)
            by_new = by_old if by_old is None or skim_new is None else skim_new(text)
            if by_old is not None and by_new is not None:
                # It has the same row under both; it is kept since a copy of it may concern one of them.
                tenant, subject, source, event_id, arrival_us = by_old
                arrivals.append(arrival_us)
                key, plain = (tenant, subject, ACTION, source, event_id), PlainLine(arrival_us, text)
                keep_first(olds, key, plain)
                keep_first(news, key if by_new[1] == subject else (tenant, by_new[1], *key[2:]), plain)
                continue
            outcome = decode(text, None)
            if isinstance(outcome, Fault):
                yield number, outcome
            elif not isinstance(outcome, Skipped):
                arrivals.append(outcome.arrival_us)
                if isinstance(outcome, Heartbeat):
                    self._olds.heartbeats.append(outcome)
                else:
                    keep_first(olds, event_key(outcome, self.old), outcome)
                    keep_first(news, event_key(outcome, self.new), outcome)

    def compare(
        self,
        old: PolicySets,
        new: PolicySets,
        since_us: int = 0,
        until_us: int = END_US,
        actions: int | None = None,
    ) -> Difference:
        """Judge everything by both sets.

        Args:
            old, new: with the identities of those that it was gathered by.
            since_us, until_us: only actions and alerts with a time from the one on and before the other; all else is
                what these stand on.
            actions: how many there were in that time, where not all were read; None: as many as were gathered.
        """
        if actions is None:
            actions = sum(key[2] == ACTION for key in self._olds.events)
        by_old, by_new = (_judge(*of, since_us, until_us) for of in ((self._olds, old), (self._news, new)))
        changes = [
            Change(name, event.time_us, event.data.action, was, by_new.verdicts[name][1])
            for name, (event, was) in by_old.verdicts.items()
            if name in by_new.verdicts and _differ(was.row, by_new.verdicts[name][1].row, COMPARED)
        ]
        alerts = [
            AlertChange(by_old.alerts.get(alert_id), by_new.alerts.get(alert_id))
            for alert_id in sorted({*by_old.alerts, *by_new.alerts})
        ]
        return Difference(
            actions=actions,
            judged=len(by_old.verdicts),
            changes=sorted(changes, key=lambda change: (change.time_us, change.name)),
            alerts=sorted(
                (one for one in alerts if one.old != one.new),
                key=lambda one: (one.row["first_time"], one.row["alert_id"]),
            ),
        )


class _Judged(NamedTuple):
    """What one set says: verdicts of what concerns it, and alerts by their ids."""

    verdicts: dict[Name, tuple[Event, Judgement]]
    alerts: dict[str, Row]


def _judge(gathered: Gathered, sets: PolicySets, since_us: int, until_us: int) -> _Judged:
    concerned = Gathered()
    concerned.heartbeats, concerned.arrivals = gathered.heartbeats, gathered.arrivals
    events = {key: event for key, event in gathered.events.items() if isinstance(event, Event)}
    concerned.events = {**events}
    found = _Judged({}, {})
    for row, sentence in judge_gathered(concerned, sets):
        if row["kind"] == "alert":
            if since_us <= (parse_time(row["last_time"]) or 0) < until_us:
                found.alerts[row["alert_id"]] = row
            continue
        event = events[row["tenant"], row["subject"], ACTION, row["source"], row["action_id"]]
        if since_us <= event.time_us < until_us:
            requirement = sets.at(event.time_us).requirements.get(row["policy"])
            said = Judgement(row, sentence, requirement.owner if requirement is not None else "")
            found.verdicts[event.tenant, event.subject, event.source, event.id] = (event, said)
    return found


def _differ(old: Row, new: Row, names: Iterable[str]) -> bool:
    return any(old[name] != new[name] for name in names)


def _value(change: Change, by: str) -> str:
    """What a change is counted under: as the new set has it, or the old one where the new has none."""
    if by == "subject":
        return change.subject
    if by == "owner":
        return change.new.owner or change.old.owner
    if by == "policy":
        return str(change.new.row["policy"] or change.old.row["policy"])
    return f"{change.old.row['reason']} -> {change.new.row['reason']}"


def _turn(change: Change) -> str:
    return f"{change.old.row['verdict']} -> {change.new.row['verdict']}"
