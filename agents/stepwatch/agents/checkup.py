"""Is all well? One check after the other, each with what to do where it is not (`stepwatch doctor`)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from stepwatch.agents.checks import Check
from stepwatch.agents.clients import close_client, in_words, open_admin, open_reader
from stepwatch.agents.dead_letters import DeadLetters, Wanted
from stepwatch.agents.errors import KafkaAway, RoleError
from stepwatch.agents.policies import read_sets
from stepwatch.agents.reading import first_record, noted_offsets
from stepwatch.agents.settings import Settings
from stepwatch.agents.topics import check_topics, retention_needed_ms
from stepwatch.schemas.times import DAY_US, SECOND_US
from stepwatch.store.client import BadUrl, Trouble, name_of, open_client, trouble_of, words_of
from stepwatch.store.migrate import MigrationRefused, pending_migrations
from stepwatch.store.tls import TlsRefused
from stepwatch.streams.effects import BUG
from stepwatch.streams.sets import PolicySets

LOOK_S = 11.0
"""How long a role's lag, or an open transaction, is looked at: a role notes its place every 5 s, a busy one later."""
CLOCK_MAX_US = 5 * SECOND_US
_NAMED_MAX = 5
_CLICKHOUSE_S = 10


@dataclass(slots=True)
class _Look:
    """What was seen at one moment.

    Attributes:
        ends: committed end of every partition.
        asked_us, told_us: this machine's clock before the ends were asked for, and after.
        open: end of what is written but not committed, where that is more.
        at: role -> partition -> offset that its group has noted.
    """

    ends: dict[Any, int] = field(default_factory=dict)
    asked_us: int = 0
    told_us: int = 0
    open: dict[Any, int] = field(default_factory=dict)
    at: dict[str, dict[Any, int]] = field(default_factory=dict)


async def check_up(settings: Settings, now_us: int, tell_waiting: Callable[[], None]) -> AsyncIterator[Check]:
    """Look at everything but ClickHouse.

    Args:
        settings: where Kafka is.
        now_us: the wall clock.
        tell_waiting: called before the look that takes seconds.

    Raises:
        RoleError: Kafka stopped answering meanwhile.
    """
    try:
        await close_client(await open_admin(settings))
    except RoleError as error:
        yield trouble_with_kafka(error)
        return
    yield Check("Kafka", f"answers at {settings.kafka_bootstrap}")
    missing = {problem.topic for problem in await check_topics(settings) if problem.missing}
    sets = None if settings.topics.policies in missing else await read_sets(settings)
    problems = await check_topics(settings, 0 if sets is None else retention_needed_ms(sets))
    for problem in problems:
        yield Check("topics", f"{problem.topic}: {problem.words}", problem.repair)
    if not problems:
        yield Check("topics", f"{len(settings.topics.specs())}, as they must be")
    for check in _policies(sets):
        yield check
    if any(problem.missing for problem in problems):
        return
    tell_waiting()
    try:
        async for check in _running(settings):
            yield check
        yield await _bugs(settings, sets, now_us)
    except KafkaError as error:
        raise in_words(settings, error) from error


def trouble_with_kafka(error: RoleError) -> Check:
    """What a failure of Kafka means: its message ends with what to do."""
    words, _, do = str(error).rpartition(": ")
    return Check("Kafka", words, do, away=isinstance(error, KafkaAway))


def _policies(sets: PolicySets | None) -> list[Check]:
    if sets is None:
        return [Check("policies", "no set is in force: nothing is judged", "apply one: `stepwatch policy apply FILE`")]
    checks = [
        Check("policies", f"a set was refused, the one before it stays: {refused}", "repair it, and apply it again")
        for refused in sets.refused
    ]
    return checks or [Check("policies", f"{len(sets.sets)} in the topic, the last {sets.sets[-1].digest[:12]}")]


async def _running(settings: Settings) -> AsyncIterator[Check]:
    """What moves: roles that read, transactions that end."""
    topics = settings.topics
    outputs = (topics.audit, topics.evidence, topics.alerts, topics.dead_letters)
    reads = {
        "correlate": topics.inputs,
        "store": (*outputs, topics.responses),
        "notify": (topics.alerts, topics.dead_letters),
    }
    names = (*topics.inputs, *outputs, topics.state)
    tps = [TopicPartition(name, number) for name in names for number in range(settings.partitions)]
    committed = await open_reader(settings, tps)
    uncommitted = await open_reader(settings, tps, isolation_level="read_uncommitted")
    admin = await open_admin(settings)
    try:
        first = await _look(settings, admin, committed, uncommitted, tps, reads)
        await asyncio.sleep(LOOK_S)
        last = await _look(settings, admin, committed, uncommitted, tps, reads)
        begins = await committed.beginning_offsets(tps)
        for role, its_topics in reads.items():
            its = {tp: begins[tp] for tp in tps if tp.topic in its_topics}
            yield await _lag(role, its, first, last, committed)
        clock = await _clock(first, last, committed, topics.inputs)
    finally:
        for client in (committed, uncommitted, admin):
            await close_client(client)
    yield _transactions(settings, first, last)
    yield clock


async def _look(
    settings: Settings, admin: Any, committed: Any, uncommitted: Any, tps: list[Any], reads: dict[str, tuple[str, ...]]
) -> _Look:
    look = _Look(asked_us=time.time_ns() // 1000)
    look.ends = await committed.end_offsets(tps)
    look.told_us = time.time_ns() // 1000
    ends = await uncommitted.end_offsets(tps)
    look.open = {tp: end for tp, end in ends.items() if end > look.ends[tp]}
    for role in reads:
        look.at[role] = await noted_offsets(settings, admin, role)
    return look


async def _lag(role: str, begins: dict[Any, int], first: _Look, last: _Look, reader: Any) -> Check:
    """How far a role is behind, and whether it reads."""
    at = {tp: max(last.at[role].get(tp, begin), begin) for tp, begin in begins.items()}
    behind = {tp: last.ends[tp] - offset for tp, offset in at.items() if offset < last.ends[tp]}
    stood = [tp for tp in behind if last.at[role].get(tp, -1) == first.at[role].get(tp, -1) and first.ends[tp] > at[tp]]
    # The mark of a transaction is nothing to be read, and a role never notes the last one.
    standing = [tp for tp in stood if await first_record(reader, tp, at[tp], last.ends[tp]) is not None]
    if standing:
        worst = max(standing, key=behind.__getitem__)
        words = (
            f"{sum(behind[tp] for tp in standing):,} offsets behind, and has noted no progress for {LOOK_S:.0f} s in "
            f"{len(standing)} of {len(begins)} partitions (most in {worst.topic}-{worst.partition}: {behind[worst]:,})"
        )
        return Check(role, words, f"see whether `stepwatch {role}` runs; its /readyz says what it waits for")
    count = sum(behind[tp] for tp in behind if tp not in stood)
    return Check(role, f"reads, {count:,} offsets behind" if count else "has read everything")


async def _clock(first: _Look, last: _Look, reader: Any, inputs: tuple[str, ...]) -> Check:
    """How far this machine's clock is from the broker's, by a record that came between the two looks.

    Of an input: those are free of transactions, so what can be read now was not written long before.
    """
    for tp in sorted(tp for tp in last.ends if tp.topic in inputs):
        if last.ends[tp] > first.ends[tp] and (record := await first_record(reader, tp, first.ends[tp], last.ends[tp])):
            came_us = record.timestamp * 1000
            # It came after the first look was asked for, and before the last one was told; a stamp is cut to 1 ms.
            ahead_us = max(came_us - last.told_us, 0) or min(came_us + 1000 - first.asked_us, 0)
            return clock_check(ahead_us, last.told_us - first.asked_us)
    return Check("clock", f"nothing came for {LOOK_S:.0f} s by which to compare this machine's clock with the broker's")


def clock_check(ahead_us: int, looked_us: int) -> Check:
    """What it means that the broker's clock is at least so far ahead of this machine's, or behind where negative.

    Args:
        ahead_us: how far a record's stamp lies outside the time for which was looked.
        looked_us: how long that was: a smaller difference is not seen.
    """
    if abs(ahead_us) <= CLOCK_MAX_US:
        seen_s = (looked_us + CLOCK_MAX_US) / SECOND_US
        return Check("clock", f"this machine's and the broker's agree to within {seen_s:.0f} s")
    way = "ahead of" if ahead_us > 0 else "behind"
    return Check(
        "clock",
        f"the broker's is {abs(ahead_us) / 1e6:.1f} s or more {way} this machine's: lags and detection times are wrong "
        "by that, and more than 10 min make dead letters of good events",
        "set both by NTP",
    )


def _transactions(settings: Settings, first: _Look, last: _Look) -> Check:
    hanging = [tp for tp in last.open if tp in first.open and first.ends[tp] == last.ends[tp]]
    if not hanging:
        return Check("transactions", "none hangs")
    named = ", ".join(f"{tp.topic}-{tp.partition}@{last.ends[tp]}" for tp in hanging[:_NAMED_MAX])
    more = ", …" if len(hanging) > _NAMED_MAX else ""
    wait_s = settings.transaction_timeout_ms / 1000
    return Check(
        "transactions",
        f"open for {LOOK_S:.0f} s or longer, so nothing behind can be read: {named}{more}",
        f"Kafka ends it within {wait_s:g} s of its begin; if it stays, start `stepwatch correlate`: taking the "
        "partition over closes it. Else find and abort it with `kafka-transactions.sh find-hanging` and `abort`",
    )


async def _bugs(settings: Settings, sets: PolicySets | None, now_us: int) -> Check:
    """Events on which the core failed, as long as judging them could still help."""
    window_us = DAY_US if sets is None else max(sets.accept_late_max_us, DAY_US)
    wanted = Wanted(error=BUG)
    recent: list[str] = []
    old = 0
    async with DeadLetters(settings) as letters:
        async for letter in letters.all(lambda letter: wanted.holds(letter, settings.prefix)):
            if now_us - letter.time_us <= window_us:
                recent.append(letter.id)
            else:
                old += 1
    older = f"; {old:,} older" if old else ""
    if not recent:
        return Check("bugs", f"no event was left unjudged by a fault of ours within {window_us // DAY_US} d{older}")
    named = ", ".join(recent[:_NAMED_MAX]) + (", …" if len(recent) > _NAMED_MAX else "")
    return Check(
        "bugs",
        f"{len(recent):,} within {window_us // DAY_US} d were NOT judged, by a fault of ours: {named}{older}",
        f"`stepwatch dead-letters show {recent[0]}` says what was raised: report it, and once a repaired version runs, "
        f"`stepwatch dead-letters replay --all --error {BUG}`",
    )


def check_clickhouse(settings: Settings) -> Check:
    """Whether ClickHouse answers and its tables are this program's; blocks for at most some seconds."""
    where = f"ClickHouse at {settings.clickhouse_url}"
    start = "start `stepwatch store`: it makes the tables"
    try:
        client = open_client(settings, answer_timeout_s=_CLICKHOUSE_S)
        try:
            pending = pending_migrations(client, settings.clickhouse_database)
        finally:
            client.close()
    except BadUrl as error:
        return Check("ClickHouse", str(error), "set STEPWATCH_CLICKHOUSE_URL")
    except TlsRefused as error:
        return Check("ClickHouse", str(error), "see the setting that is named")
    except MigrationRefused as error:
        return Check("ClickHouse", str(error), "run the Stepwatch that wrote it, or a newer one")
    except Exception as error:
        trouble = trouble_of(error)
        if trouble is None:
            raise
        if name_of(error) in ("UNKNOWN_DATABASE", "UNKNOWN_TABLE"):
            return Check("ClickHouse", f"{where} has no tables of ours in {settings.clickhouse_database}", start)
        if trouble is Trouble.AWAY:
            do = "start it, or set STEPWATCH_CLICKHOUSE_URL; detection and paging go on without it"
            return Check("ClickHouse", f"no answer from {where} ({words_of(error)})", do, away=True)
        do = "see STEPWATCH_CLICKHOUSE_USER and its password, and what that user may do"
        return Check("ClickHouse", f"{where} refuses us: {words_of(error)}", do)
    if pending:
        return Check(
            "ClickHouse", f"{where}: the schema is older than this program: {', '.join(pending)} to run", start
        )
    return Check("ClickHouse", f"answers at {settings.clickhouse_url}, its schema is up to date")
