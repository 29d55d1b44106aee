"""Is the watcher alive: how far each role has read, and what the worker's own page says of lag and waiting."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import urllib3
from aiokafka import TopicPartition
from prometheus_client.parser import text_string_to_metric_families

from stepwatch.agents.clients import close_client, open_admin, open_reader
from stepwatch.agents.lateness import LAG_MAX_S, OVERDUE_MAX_S
from stepwatch.agents.reading import first_record, noted_offsets, partition_count
from stepwatch.agents.settings import Settings

LOOK_S: Final = 5.0
_LOOKS: Final = 3
"""So many looks ago is 15 s: a role notes its place every 5 s, a busy one later."""
_PAGE_BYTES_MAX: Final = 8 << 20
_WANTED: Final = (
    "stepwatch_log_time_lag_seconds",
    "stepwatch_waiting_actions",
    "stepwatch_overdue_seconds",
    "stepwatch_policy_sets",
    "stepwatch_partitions_owned",
)


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a role is.

    Attributes:
        behind: offsets between its place and the end; where it moves, marks of transactions are counted too.
        stands: whether it has noted no progress since the last look, although there is a record to read.
    """

    behind: int
    stands: bool


@dataclass(slots=True)
class Seen:
    """What was seen at one moment.

    Attributes:
        at_us: when.
        partitions: of each input; each needs a worker.
        roles: by name.
        figures: of the workers' own pages: the greatest lag and overdue, s; the sums of the others.
        unheard: pages that did not answer.
    """

    at_us: int
    partitions: int = 0
    roles: dict[str, Standing] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    unheard: list[str] = field(default_factory=list)

    @property
    def outline(self) -> tuple[object, ...]:
        """What somebody would want to be told of when it changes."""
        figures = self.figures
        late = figures.get("stepwatch_log_time_lag_seconds", 0.0) > LAG_MAX_S
        overdue = figures.get("stepwatch_overdue_seconds", 0.0) > OVERDUE_MAX_S
        owned, sets = figures.get("stepwatch_partitions_owned"), figures.get("stepwatch_policy_sets")
        return [role.stands for role in self.roles.values()], self.unheard, late, overdue, owned, sets


class Watch:
    """Looks every 5 s.

    Args:
        settings: where Kafka and the workers' pages are.
        clock: microseconds since 1970.
        changed: called after a look at which something is well that was not, or the other way round.

    Attributes:
        seen: None before the first look.
        away: why Kafka could not be looked at; `""` where it could.
    """

    def __init__(self, settings: Settings, clock: Callable[[], int], changed: Callable[[], None]) -> None:
        self.seen: Seen | None = None
        self.away = ""
        self._settings = settings
        self._clock = clock
        self._changed = changed
        self._past: dict[str, deque[dict[Any, int]]] = {}
        self._marks: dict[Any, tuple[int, int]] = {}

    async def look_for_ever(self) -> None:
        """Look again and again, until cancelled or Kafka fails."""
        topics = self._settings.topics
        outputs = (topics.audit, topics.evidence, topics.alerts, topics.dead_letters, topics.responses)
        reads = {"correlate": topics.inputs, "store": outputs, "notify": (topics.alerts, topics.dead_letters)}
        count = await partition_count(self._settings, topics.alerts)
        names = {name for its in reads.values() for name in its}
        tps = [TopicPartition(name, number) for name in sorted(names) for number in range(count)]
        reader, admin = await open_reader(self._settings, tps), None
        try:
            admin = await open_admin(self._settings)
            while True:
                seen = Seen(self._clock(), count)
                ends = await reader.end_offsets(tps)
                begins = await reader.beginning_offsets(tps)
                for role, its_topics in reads.items():
                    noted = await noted_offsets(self._settings, admin, role)
                    its = {tp: begin for tp, begin in begins.items() if tp.topic in its_topics}
                    seen.roles[role] = await self._standing(role, reader, noted, its, ends)
                await asyncio.to_thread(self._ask_workers, seen)
                before, self.seen = self.seen, seen
                if self.away or before is None or before.outline != seen.outline:
                    self.away = ""
                    self._changed()
                await asyncio.sleep(LOOK_S)
        finally:
            for client in (reader, admin):
                if client is not None:
                    await close_client(client)

    def stops(self, words: str) -> None:
        """Say why there is no look any more; the last one stays."""
        self.away = words
        self._changed()

    async def _standing(
        self, role: str, reader: Any, noted: dict[Any, int], begins: dict[Any, int], ends: dict[Any, int]
    ) -> Standing:
        """How far a role is, from the places that it has noted."""
        at = {tp: max(noted.get(tp, begin), begin) for tp, begin in begins.items()}
        past = self._past.setdefault(role, deque(maxlen=_LOOKS))
        last, oldest = (past[-1], past[0] if len(past) == _LOOKS else {}) if past else ({}, {})
        past.append(at)
        behind, stands = 0, False
        for tp, offset in at.items():
            if offset >= ends[tp] or self._marks.get(tp) == (offset, ends[tp]):
                continue
            # A role never notes the mark of the last transaction, which is nothing to be read.
            if last.get(tp) == offset and await first_record(reader, tp, offset, ends[tp]) is None:
                self._marks[tp] = (offset, ends[tp])
                continue
            behind += ends[tp] - offset
            stands |= oldest.get(tp) == offset
        return Standing(behind, stands)

    def _ask_workers(self, seen: Seen) -> None:
        for url in worker_pages(self._settings):
            try:
                answer = urllib3.request("GET", url, timeout=urllib3.Timeout(2.0), retries=False, preload_content=False)
                try:
                    text = answer.read(_PAGE_BYTES_MAX).decode(errors="replace")
                finally:
                    answer.release_conn()
                _add_figures(text, seen.figures)
            except (urllib3.exceptions.HTTPError, OSError, ValueError):
                seen.unheard.append(url)


def worker_pages(settings: Settings) -> list[str]:
    """Where the workers' metrics are: those that are set, or that of this machine's."""
    if settings.console_workers:
        return [url.strip() for url in settings.console_workers.split(",") if url.strip()]
    port = settings.web_port("correlate")
    return [] if port is None else [f"http://{settings.web_host}:{port}/metrics"]


def _add_figures(text: str, figures: dict[str, float]) -> None:
    """Add the figures of one worker: of what is late the worst counts, of the rest the sum."""
    for family in text_string_to_metric_families(text):
        if family.name in _WANTED:
            for sample in family.samples:
                before = figures.get(family.name, 0.0)
                worst = family.name.endswith("_seconds") or family.name == "stepwatch_policy_sets"
                figures[family.name] = max(before, sample.value) if worst else before + sample.value
