"""A small bank: who works there, and what an ordinary day of theirs looks like. Pure, and the same for a seed."""

from __future__ import annotations

import hashlib
from random import Random
from typing import Any, NamedTuple

from stepwatch.demo.said import Happening, Person, Resource, Voice, proof_of
from stepwatch.schemas.times import HOUR_US, MINUTE_US, SECOND_US

DAY_HOURS = 23
_FIRST = (
    "Ada Anders Astrid Bela Bruno Carla Chen Dana Dmitri Elif Emil Esther Farid Freja Gita Gustav Hanna Hugo Ida "
    "Ivan Jana Joel Kaito Karin Lars Leila Liam Magda Mats Mei Nadia Nils Olga Oskar Paula Per Priya Rafael Rosa "
    "Samir Signe Stefan Tara Tove Umar Vera Wanda Yusuf Zoe Zoltan"
)
_LAST = (
    "Adler Ahmed Berg Bianchi Castro Dahl Diaz Ekman Eriksen Falk Fontaine Gruber Haas Holm Ito Jansen Kaya Keller "
    "Kovacs Lang Larsen Lind Mehta Moreau Nagy Nilsson Okafor Olsen Papadakis Park Peters Quist Ricci Roth Sato "
    "Silva Singh Strand Suzuki Tanaka Vargas Virtanen Wang Weiss Winter Yilmaz Zhang Zimmer"
)
_JOBS = ("clerk",) * 9 + ("adviser",) * 7 + ("administrator",) * 2 + ("engineer",) * 2 + ("help desk",)
_METHODS = {"administrator": ("key",), "engineer": ("key",)}

QUIET_DEEDS = (
    ("accounts.balance.view", "account", "moderate"),
    ("accounts.statement.export", "account", "moderate"),
    ("customers.record.view", "customer", "moderate"),
    ("customers.note.write", "customer", "low"),
    ("loans.application.review", "loan", "moderate"),
    ("payments.payout.prepare", "payout", "moderate"),
    ("reports.ledger.read", "report", "low"),
)
"""What no policy polices: action, resource type, sensitivity."""


class Deed(NamedTuple):
    """A policed action: what it asks for, and how its proof has to be tied to it."""

    action: str
    resource_type: str
    sensitivity: str
    reason: str
    binding: str
    method: str = ""
    """The only method that its policy accepts; empty: the person's own."""


DEEDS: dict[str, tuple[Deed, ...]] = {
    "clerk": (
        Deed("payments.payout.approve", "payout", "high", "money_movement", "transaction"),
        Deed("payments.payout.approve", "payout", "critical", "amount_over_limit", "transaction"),
        Deed("payments.payout.release", "payout", "high", "money_movement", "transaction"),
    ),
    "adviser": (
        Deed("payments.payee.create", "payee", "high", "new_payee", "action"),
        Deed("payments.limit.raise", "limit", "high", "amount_over_limit", "action"),
        Deed("payments.payout.approve", "payout", "high", "money_movement", "transaction"),
    ),
    "administrator": (
        Deed("iam.role.grant", "role", "high", "privilege_change", "action", "key"),
        Deed("iam.role.grant", "role", "critical", "privilege_change", "action", "key"),
    ),
    "engineer": (
        Deed("kms.key.export", "kms_key", "critical", "sensitive_data", "action", "key"),
        Deed("iam.policy.attach", "policy", "high", "privilege_change", "action"),
    ),
    "help desk": (Deed("idp.factor.reset", "user", "high", "security_setting", "action"),),
}

ROBOTS = (
    Person("settlement robot", "svc-settlement-eu", "robot", "key", "192.0.2.10", "d-settlement"),
    Person("provisioning robot", "svc-provisioning-hr", "robot", "key", "192.0.2.11", "d-provisioning"),
)


class Bank:
    """The people of a bank, and the day that ends now.

    Args:
        seed: the same seed, the same bank and day.
        now_us: the end of the day.
        people: how many, at least 20.
        outage_us: begin and end of the hours in which the identity provider will be silent: nobody whose work
            is policed does it then, but whom a story speaks of.
    """

    def __init__(self, seed: int, now_us: int, people: int, outage_us: tuple[int, int]) -> None:
        self._random = Random(seed)
        self._voice = Voice("")
        self._outage_us = outage_us
        self._until_us = now_us
        self.start_us = now_us - DAY_HOURS * HOUR_US
        self.people = [self._hire(name, number) for number, name in enumerate(self._names(people))]

    def day(self) -> list[Happening]:
        """All that happens, in the order in which it is sent."""
        happenings = [happening for person in self.people for happening in self._work(person)]
        happenings += [happening for robot in ROBOTS for happening in self._toil(robot)]
        # A producer that got no answer sends again: the copy must change nothing.
        for happening in self._random.sample(happenings, len(happenings) // 150):
            happenings.append(happening._replace(when_us=happening.when_us + 30 * MINUTE_US))
        kept = [happening for happening in happenings if happening.when_us < self._until_us]
        return sorted(kept, key=lambda happening: happening.when_us)

    def _names(self, count: int) -> list[str]:
        every = [f"{first} {last}" for first in _FIRST.split() for last in _LAST.split()]
        return self._random.sample(every, count)

    def _hire(self, name: str, number: int) -> Person:
        job = _JOBS[number % len(_JOBS)]
        method = self._random.choice(_METHODS.get(job, ("key", "otp", "otp", "push")))
        address = f"198.51.100.{number % 254 + 1}"
        return Person(name, subject_of(name), job, method, address, f"d-{number:03d}")

    def _work(self, person: Person) -> list[Happening]:
        """One or two spells of work, each in a session of its own."""
        said: list[Happening] = []
        for _ in range(self._random.choice((1, 1, 2))):
            begin_us = self.start_us + self._random.randrange(MINUTE_US, (DAY_HOURS - 4) * HOUR_US)
            session = self._voice.new_id("s")
            amr = {"key": ["hwk", "user"], "otp": ["pwd", "otp"], "push": ["pwd", "swk"]}[person.method]
            said.append(self._voice.authentication("session.started", person, begin_us, session, amr=amr))
            for _ in range(self._random.randrange(4, 13)):
                said.append(self._quiet(person, begin_us + self._random.randrange(4 * HOUR_US), session))
            for part in range(self._random.choice((0, 1, 1, 2))):
                # Apart from each other, so that no proof of one is near the other.
                time_us = begin_us + part * 2 * HOUR_US + self._random.randrange(20 * MINUTE_US, 100 * MINUTE_US)
                if not self._outage_us[0] - 10 * MINUTE_US <= time_us <= self._outage_us[1]:
                    said += self._policed(person, time_us, session)
        return said

    def _quiet(self, person: Person, time_us: int, session: str) -> Happening:
        action, kind, sensitivity = self._random.choice(QUIET_DEEDS)
        resource = Resource(kind, f"{kind}-{self._random.randrange(10_000):04d}", sensitivity)
        return self._voice.action(person, time_us, session, action, resource)

    def _policed(self, person: Person, time_us: int, session: str) -> list[Happening]:
        """A step-up and what it was for; one in ten fails, and the application then does not let it happen."""
        deed = self._random.choice(DEEDS[person.job])
        resource = Resource(deed.resource_type, self._voice.new_id(deed.resource_type), deed.sensitivity)
        tie: dict[str, Any] = (
            {"transaction": transaction_of(deed.action, resource.id)}
            if deed.binding == "transaction"
            else {"bound_action": deed.action}
        )
        method = deed.method or person.method
        decided = {"result": "required", "reason": deed.reason}
        if method == "otp" and self._random.random() < 0.25:
            steps = self._fail(person, time_us, session, tie)
            done: dict[str, Any] = {"outcome": "denied", "decision": decided}
        else:
            age_s = self._random.randrange(3, 120)
            steps = step_up(self._voice, person, time_us, session, method, deed.reason, tie, age_s)
            done = {"decision": decided, "verification": proof_of(steps[-1])}
        if "transaction" in tie:
            done["transaction"] = tie["transaction"]
        return [*steps, self._voice.action(person, time_us, session, deed.action, resource, **done)]

    def _fail(self, person: Person, time_us: int, session: str, tie: dict[str, Any]) -> list[Happening]:
        challenge = self._voice.new_id("c")
        return [
            self._voice.authentication(
                "stepup.failed",
                person,
                time_us - seconds * SECOND_US,
                session,
                challenge=challenge,
                failure="wrong_code",
                **tie,
            )
            for seconds in (40, 25, 9)
        ]

    def _toil(self, robot: Person) -> list[Happening]:
        """What a robot does every hour, without a proof and exempt from it."""
        action, kind = (
            ("payments.payout.release", "payout") if "settlement" in robot.subject else ("iam.role.grant", "role")
        )
        return [
            self._voice.action(
                robot,
                self.start_us + hour * HOUR_US + self._random.randrange(HOUR_US),
                f"s-{robot.subject}",
                action,
                Resource(kind, self._voice.new_id(kind), "high"),
            )
            for hour in range(DAY_HOURS)
        ]


def step_up(
    voice: Voice,
    person: Person,
    time_us: int,
    session: str,
    method: str,
    reason: str,
    tie: dict[str, Any],
    age_s: int = 4,
) -> list[Happening]:
    """A step-up that succeeds shortly before an action, from the demand to the proof.

    Args:
        voice: who says it.
        person: who proves.
        time_us: of the action, us.
        session: in which it happens.
        method: `key`, `otp` or `push`.
        reason: why it is asked for.
        tie: what the proof is for, `bound_action` or `transaction`.
        age_s: how long before the action the proof is given, s.
    """
    challenge = voice.new_id("c")
    decided = {"result": "required", "reason": reason}
    proved_us = time_us - age_s * SECOND_US
    asked_us = proved_us - 17 * SECOND_US
    return [
        voice.authentication(
            "stepup.required", person, asked_us - SECOND_US, session, reason=reason, decision=decided, **tie
        ),
        voice.authentication("stepup.challenged", person, asked_us, session, challenge=challenge, reason=reason, **tie),
        voice.verified(person, proved_us, session, method, challenge=challenge, **tie),
    ]


def bad_records(voice: Voice, person: Person, time_us: int) -> tuple[Happening, Happening]:
    """Two events that nobody can use: one cut off on its way, one whose action is a number."""
    whole = voice.action(person, time_us, "s-bad", "reports.ledger.read", Resource("report", "r-1", "low"))
    other = voice.action(person, time_us, "s-bad", "reports.ledger.read", Resource("report", "r-2", "low"))
    return (
        whole._replace(value=whole.value[: len(whole.value) // 2]),
        other._replace(value=other.value.replace(b'"reports.ledger.read"', b"17")),
    )


def subject_of(name: str) -> str:
    """`Nora Lindqvist` -> `nora.lindqvist`."""
    return name.lower().replace(" ", ".")


def transaction_of(action: str, resource_id: str) -> str:
    """The opaque hash of what the person was shown (contract section 3)."""
    return "sha256:" + hashlib.sha256(f"{action} {resource_id}".encode()).hexdigest()[:16]
