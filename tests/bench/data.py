"""A seeded stream: 90 % actions that no policy matches, 5 % policed, 5 % step-ups, 1 % copies, in arrival order."""

from __future__ import annotations

import random
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field

from stepwatch.schemas.keys import partition_of, subject_key
from stepwatch.schemas.times import MINUTE_US, SECOND_US, format_time

PARTITIONS = 4
SUBJECTS = 20_000
MAX_AGE_US = 5 * MINUTE_US
SKEW_US = 5 * SECOND_US
GOOD = ("hwk", "otp")
POLICY = """
version: 1
defaults: {grace: 1s, max_age: 5m, clock_skew: 5s, accept_late: 24h}
policies:
  - id: high-risk
    match: {action: [payments.payout.approve, iam.policy.attach, secrets.key.export, db.table.drop]}
    require: {amr_any: [hwk, otp]}
"""
_LOW = (
    "payments.balance.read",
    "payments.statement.read",
    "docs.file.read",
    "docs.file.list",
    "crm.contact.read",
    "crm.contact.update",
    "mail.message.send",
    "build.job.start",
)
_HIGH = ("payments.payout.approve", "iam.policy.attach", "secrets.key.export", "db.table.drop")
_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"
_ACTION = (
    '{"specversion":"1.0","id":"%s","source":"/payments/api","type":"stepwatch.action.performed","time":"%s",'
    '"subject":"u%05d","data":{"tenant":"acme","session":"s-%05d-%d","action":"%s","resource":{"type":"payout",'
    '"id":"po_%d","sensitivity":"%s"},"outcome":"success","transaction":"sha256:%016x","client":{"ip":"203.0.113.%d",'
    '"device":"d-%d","user_agent":"%s"},"token":{"acr":"phr","amr":["hwk","user"],"auth_time":%d},'
    '"decision":{"result":"%s","reason":"%s"}}}'
)
_PROOF = (
    '{"specversion":"1.0","id":"%s","source":"/idp","type":"stepwatch.stepup.verified","time":"%s","subject":"u%05d",'
    '"data":{"tenant":"acme","session":"s-%05d-%d","challenge":"c-%010x","amr":["%s"],"acr":"phr",'
    '"credential":"cr-%05d","client":{"ip":"203.0.113.%d","device":"d-%d","user_agent":"%s"}}}'
)


@dataclass
class Stream:
    """Records by (input, partition), and what must come out.

    Attributes:
        records: ("actions" | "authentications", partition) -> (key, value) in the order of arrival.
        count: of all records.
        actions: distinct actions.
        policed: (action id, subject number, session, time us) of each distinct policed action.
        proofs: (subject number, session) -> sorted times of proofs by an accepted factor.
    """

    records: dict[tuple[str, int], list[tuple[bytes, bytes]]] = field(default_factory=dict)
    count: int = 0
    actions: int = 0
    policed: list[tuple[str, int, int, int]] = field(default_factory=list)
    proofs: dict[tuple[int, int], list[int]] = field(default_factory=dict)

    def expected(self) -> dict[str, str]:
        """Policed action -> verdict, by looking its proofs up: nothing here knows how the engine does it."""
        verdicts = {}
        for action_id, subject, session, time_us in self.policed:
            times = self.proofs.get((subject, session), [])
            first = bisect_left(times, time_us - MAX_AGE_US)
            verdicts[action_id] = "verified" if bisect_right(times, time_us + SKEW_US) > first else "unverified"
        return verdicts


def build_stream(count: int, end_us: int, seed: int = 42) -> Stream:
    """Make about `count` records whose event times end at `end_us`, 1 ms apart.

    Args:
        count: records before copies.
        end_us: the last event's time.
        seed: equal seeds give equal streams, but for the times.
    """
    rng = random.Random(seed)
    stream = Stream()
    keys = [subject_key("acme", f"u{number:05d}") for number in range(SUBJECTS)]
    homes = [partition_of(key, PARTITIONS) for key in keys]

    def put(name: str, subject: int, value: str) -> None:
        log = stream.records.setdefault((name, homes[subject]), [])
        record = (keys[subject], value.encode())
        log.append(record)
        stream.count += 1
        if rng.random() < 0.01:
            log.append(record)
            stream.count += 1

    def prove(subject: int, session: int, time_us: int, factor: str, number: int) -> None:
        noise = rng.getrandbits(40)
        proof = _PROOF % (
            *(f"v-{number:08d}", format_time(time_us), subject, subject, session, noise, factor),
            *(subject, noise % 250, noise % 9, _AGENT),
        )
        put("authentications", subject, proof)
        if factor in GOOD:
            stream.proofs.setdefault((subject, session), []).append(time_us)

    for number in range(count):
        chance = rng.random()
        if chance >= 0.95:
            continue  # its place is taken by the proof of a policed action
        time_us = end_us - (count - number) * 1000
        subject, session = rng.randrange(SUBJECTS), rng.randrange(8)
        risky = chance >= 0.90
        if risky:
            fate, factor = rng.random(), rng.choice(GOOD)
            if fate < 0.85:
                prove(subject, session, time_us - rng.randrange(100_000, 290_000_000), factor, number)
            elif fate < 0.92:
                prove(subject, (session + 1) % 8, time_us - rng.randrange(100_000, 200_000_000), factor, number)
            else:
                prove(subject, session, time_us - rng.randrange(305_000_000, 360_000_000), factor, number)
        noise = rng.getrandbits(64)
        action_id = f"a-{number:08d}"
        put(
            "actions",
            subject,
            _ACTION
            % (
                *(action_id, format_time(time_us), subject, subject, session),
                rng.choice(_HIGH if risky else _LOW),
                *(noise & 0xFFFFF, "critical" if risky else "low", noise, noise % 250, noise % 9, _AGENT),
                time_us // SECOND_US - 60,
                *(("required", "amount_over_limit") if risky else ("not_required", "none")),
            ),
        )
        stream.actions += 1
        if risky:
            stream.policed.append((action_id, subject, session, time_us))
    for times in stream.proofs.values():
        times.sort()
    return stream
