"""The signs of the watcher's life: how far each role is, what waits, who is silent, what was refused."""

from __future__ import annotations

from typing import Final, NamedTuple

from stepwatch.agents.alert_log import AlertState
from stepwatch.agents.lateness import LAG_MAX_S, OVERDUE_MAX_S
from stepwatch.console.service import Console
from stepwatch.console.tables import TablesAway, tenants_of
from stepwatch.console.users import User
from stepwatch.console.watch import Seen, worker_pages
from stepwatch.schemas.times import DAY_US, MINUTE_US

_LETTERS: Final = """
SELECT count() AS letters, countIf(error = 'bug') AS bugs FROM dead_letters_current
WHERE time >= fromUnixTimestamp64Micro({since:Int64}, 'UTC') AND ({all:Bool} OR has({tenants:Array(String)}, tenant))
"""


class Sign(NamedTuple):
    """One sign of the watcher's life.

    Attributes:
        name: what is looked at.
        tone: good, odd or bad.
        value: in a word or a number with its unit.
        words: what that means; what to do where it is not good.
    """

    name: str
    tone: str
    value: str
    words: str


async def signs_of(console: Console, user: User, alerts: list[AlertState]) -> list[Sign]:
    """All of them.

    Args:
        console: what it has seen.
        user: who looks; of others' tenants nothing is counted.
        alerts: those that are open, of this user's tenants.
    """
    return [*_reading(console), _silence(alerts), *await _letters(console, user, console.clock())]


def _reading(console: Console) -> list[Sign]:
    """What Kafka and the workers' own pages say."""
    watch = console.watch
    if watch.seen is None or watch.away:
        what = "not looked at yet" if not watch.away else watch.away
        return [Sign("Kafka", "bad" if watch.away else "odd", "away" if watch.away else "looking", what)]
    signs = []
    for role, does in (("correlate", "judges"), ("store", "fills the tables"), ("notify", "calls people")):
        standing = watch.seen.roles[role]
        value = f"{standing.behind:,} offsets behind" if standing.behind else "has read everything"
        if standing.stands:
            signs.append(Sign(role, "bad", value, f"it {does}, and has noted no progress: see whether it runs"))
        else:
            signs.append(Sign(role, "good", value, f"it {does}"))
    return [*signs, *_figures(watch.seen, len(worker_pages(console.settings)))]


def _figures(seen: Seen, pages: int) -> list[Sign]:
    """What the workers' own pages say.

    Args:
        seen: with their figures.
        pages: how many were asked.
    """
    if seen.unheard or not pages:
        named = f"no answer from {', '.join(seen.unheard)}" if pages else "none is known here"
        words = f"{named}: see whether `stepwatch correlate` runs, or say where by STEPWATCH_CONSOLE_WORKERS"
        tone = "bad" if pages and len(seen.unheard) == pages else "odd"
        silent = [Sign("worker's page", tone, "silent", words)]
        if len(seen.unheard) == pages:
            return silent
    else:
        silent = []
    figures = seen.figures
    owned = int(figures.get("stepwatch_partitions_owned", 0))
    signs = [*silent]
    if owned < seen.partitions and not silent:
        words = "nothing in the others is judged: start a worker, or see what its /readyz waits for"
        signs.append(Sign("partitions", "bad", f"{owned:,} of {seen.partitions:,} owned", words))
    for name, key, most_s, do in (
        ("log time lag", "stepwatch_log_time_lag_seconds", LAG_MAX_S, "alerts come that much later: add a worker"),
        ("overdue", "stepwatch_overdue_seconds", OVERDUE_MAX_S, "a decision is due and not said: `stepwatch doctor`"),
    ):
        late_s = figures.get(key, 0.0)
        good = late_s <= most_s
        signs.append(Sign(name, "good" if good else "bad", f"{late_s:.1f} s", "as it should be" if good else do))
    waiting = int(figures.get("stepwatch_waiting_actions", 0))
    value = f"{waiting:,} action{'' if waiting == 1 else 's'}"
    signs.append(Sign("waiting", "good", value, "their grace has not ended"))
    if not figures.get("stepwatch_policy_sets"):
        signs.append(Sign("policies", "bad", "none", "nothing is judged: `stepwatch policy apply FILE`"))
    return signs


def _silence(alerts: list[AlertState]) -> Sign:
    silent = [str(alert["reason"]) for alert in alerts if alert["kind"] == "source_silence"]
    if not silent:
        return Sign("sources", "good", "none silent", "of those that policies listen to, as far as you may see")
    named = ", ".join(sorted(silent)[:5])
    return Sign(
        "sources", "bad", f"{len(silent)} silent", f"{named}: call its owner; until it is back, actions are blind"
    )


async def _letters(console: Console, user: User, now_us: int) -> list[Sign]:
    try:
        (row,) = await console.tables.recent(
            _LETTERS, since=now_us // MINUTE_US * MINUTE_US - DAY_US, **tenants_of(user)
        )
    except TablesAway as error:
        return [Sign("ClickHouse", "bad", "away", str(error))]
    count, bugs = row["letters"], row["bugs"]
    if not count:
        return [Sign("dead letters", "good", "none", "in the last 24 h")]
    do = "events NOT judged, by a fault of ours" if bugs else "records refused in the last 24 h"
    return [Sign("dead letters", "bad" if bugs else "odd", f"{count:,}", f"{do}: `stepwatch dead-letters list`")]
