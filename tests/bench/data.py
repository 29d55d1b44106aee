"""The benchmark's events, seeded, in the order of their arrival: nine of ten are of no policy's concern.

Of every hundred: 90 actions that no policy matches, 5 that one does, 5 step-ups (each for one of these: in time, late,
of another session, by a weak factor, or stale), and one copy of any of them. Event time runs 1 ms an event.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator
from typing import NamedTuple

from stepwatch.schemas.times import SECOND_US, format_time
from stepwatch.streams.decode import ACTION, AUTHENTICATION

SUBJECTS = 20_000
SESSIONS = 8
TENANT = "acme"
GRACE_S = 1
POLICY = f"""
version: 1
defaults: {{grace: {GRACE_S}s, max_age: 5m, accept_late: 24h, same_session: true}}
sources: [{{name: /idp, silent_after: 30m, proves: [step_up]}}]
policies:
  - id: high-risk
    reason: money_movement
    owner: payments-oncall
    match: {{action: [payments.payout.approve, iam.policy.attach, secrets.key.export, db.table.drop]}}
    require: {{amr_any: [hwk, otp]}}
    alert: {{severity: critical}}
"""
_POLICED = ("payments.payout.approve", "iam.policy.attach", "secrets.key.export", "db.table.drop")
_PLAIN = (
    "payments.balance.read",
    "payments.statement.read",
    "docs.file.read",
    "docs.file.list",
    "crm.contact.read",
    "crm.contact.update",
    "mail.message.send",
    "iam.user.read",
    "build.job.start",
    "tickets.issue.comment",
)
_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"
_ACTION = (
    '{"specversion":"1.0","id":"a-%08d","source":"/payments/api","type":"stepwatch.action.performed","time":"%s",'
    '"subject":"u%05d","data":{"tenant":"acme","session":"s-%05d-%d","action":"%s","resource":{"type":"payout",'
    '"id":"po_%d","sensitivity":"%s"},"outcome":"success","transaction":"sha256:%016x","client":{"ip":"203.0.113.%d",'
    '"device":"d-%d","user_agent":"' + _AGENT + '"},"token":{"acr":"phr","amr":["hwk","user"],"auth_time":%d},'
    '"decision":{"result":"%s","reason":"%s"}}}'
)
_STEP_UP = (
    '{"specversion":"1.0","id":"v-%08d","source":"/idp","type":"stepwatch.stepup.verified","time":"%s",'
    '"subject":"u%05d","data":{"tenant":"acme","session":"s-%05d-%d","challenge":"c-%010x","amr":["%s"],"acr":"phr",'
    '"auth_time":%d,"credential":"cr-%05d","client":{"ip":"203.0.113.%d","device":"d-%d","user_agent":"'
    + _AGENT
    + '"}}}'
)


class Sent(NamedTuple):
    """One record of an input.

    Attributes:
        at_ms: its place in the order of arrival, from the first event's time.
        family: of the input.
        who: number of its subject, from 0.
        body: its value.
    """

    at_ms: int
    family: str
    who: int
    body: bytes


class Tick(NamedTuple):
    """An action before it is written down; `number` is its millisecond and the number in its id."""

    number: int
    who: int
    session: int
    policed: bool


def subject_of(who: int) -> str:
    """The subject's id, as it stands in the events."""
    return f"u{who:05d}"


def ticks(count: int, seed: int = 42, subjects: int = SUBJECTS) -> Iterator[Tick]:
    """The actions among `count` events (copies not counted); the other ticks are taken by step-ups."""
    draw = random.Random(seed).random
    for number in range(count):
        chance = draw()
        if chance < 0.95:
            who, session = divmod(int(draw() * subjects * SESSIONS), SESSIONS)
            yield Tick(number, who, session, chance >= 0.90)


def events(count: int, begin_us: int, seed: int = 42, subjects: int = SUBJECTS) -> Iterator[Sent]:
    """Every record of both inputs but heartbeats, in the order of arrival.

    Args:
        count: events before copies; about a hundredth more come out.
        begin_us: time of the first event; the last one's is `count` ms later.
        seed: of all that is left to chance.
        subjects: who act.
    """
    rng = random.Random(seed + 1)
    copies: list[Sent] = []
    merged = heapq.merge(_actions(count, begin_us, seed, subjects), _step_ups(count, begin_us, seed, subjects))
    for sent in merged:
        while copies and copies[0].at_ms <= sent.at_ms:
            yield heapq.heappop(copies)
        yield sent
        if rng.random() < 0.01:
            heapq.heappush(copies, sent._replace(at_ms=sent.at_ms + rng.randrange(50, 3000)))
    yield from sorted(copies)


def heartbeat(name: str, time_us: int) -> bytes:
    """A sign of life of the source that proves."""
    return (
        f'{{"specversion":"1.0","id":"{name}","source":"/idp","type":"stepwatch.heartbeat",'
        f'"time":"{format_time(time_us)}","data":{{"tenant":"{TENANT}"}}}}'
    ).encode()


def _actions(count: int, begin_us: int, seed: int, subjects: int) -> Iterator[Sent]:
    for tick in ticks(count, seed, subjects):
        time_us = begin_us + tick.number * 1000
        yield Sent(
            tick.number, ACTION, tick.who, action_body(tick.number, time_us, tick.who, tick.session, tick.policed)
        )


def _step_ups(count: int, begin_us: int, seed: int, subjects: int) -> list[Sent]:
    """A step-up for each policed action, sorted by arrival; most of them prove it."""
    rng = random.Random(seed + 2)
    found: list[Sent] = []
    for tick in ticks(count, seed, subjects):
        if tick.policed:
            time_ms, at_ms, session, amr = _proof_of(tick, rng)
            body = step_up_body(len(found), begin_us + time_ms * 1000, tick.who, session, amr)
            found.append(Sent(max(at_ms, 0), AUTHENTICATION, tick.who, body))
    found.sort()
    return found


def _proof_of(tick: Tick, rng: random.Random) -> tuple[int, int, int, str]:
    """(time ms, arrival ms, session, amr) of the step-up that comes with a policed action."""
    now, chance, good = tick.number, rng.random(), rng.choice(("hwk", "otp"))
    if chance < 0.80:
        time_ms = max(0, now - rng.randrange(100, 290_000))
        return time_ms, time_ms, tick.session, good
    if chance < 0.90:  # in time, but it arrives after the action
        time_ms = now + rng.randrange(-1500, 2000)
        return time_ms, max(now, time_ms) + rng.randrange(100, 2500), tick.session, good
    if chance < 0.933:
        time_ms = max(0, now - rng.randrange(100, 200_000))
        return time_ms, time_ms, (tick.session + 1) % SESSIONS, good
    if chance < 0.966:
        return max(0, now - rng.randrange(100, 4000)), now - 50, tick.session, "pwd"
    time_ms = now - rng.randrange(305_000, 360_000)
    return time_ms, time_ms, tick.session, good


def _mixed(number: int) -> int:
    """64 bits that look random, from the number alone."""
    return (number + 1) * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF


def action_body(number: int, time_us: int, who: int, session: int, policed: bool) -> bytes:
    """An action of the benchmark; its id is `a-` and the number in eight digits."""
    mixed = _mixed(number)
    names = _POLICED if policed else _PLAIN
    return (
        _ACTION
        % (
            number,
            format_time(time_us),
            who,
            who,
            session,
            names[(mixed >> 32) % len(names)],
            mixed >> 44,
            "critical" if policed else "low",
            mixed,
            mixed % 250,
            mixed % 9,
            time_us // SECOND_US - 60,
            "required" if policed else "not_required",
            "amount_over_limit" if policed else "none",
        )
    ).encode()


def step_up_body(number: int, time_us: int, who: int, session: int, amr: str) -> bytes:
    """A step-up of the benchmark; its id is `v-` and the number in eight digits."""
    mixed = _mixed(number)
    values = (number, format_time(time_us), who, who, session, mixed >> 24, amr, time_us // SECOND_US, who)
    return (_STEP_UP % (*values, mixed % 250, mixed % 9)).encode()
