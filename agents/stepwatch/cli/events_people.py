"""A crowd at work, for load: who is there when, and what they do. Pure, and the same for a seed and a start.

The demo's bank has a day with stories that must end in certain alerts. This one goes on for as long as somebody wants,
at the rate that they want, and of everything that happens there is a share.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from random import Random
from typing import Any, Final, NamedTuple

from stepwatch.demo.bank import DEEDS, QUIET_DEEDS, ROBOTS, Bank, Deed, step_up, transaction_of
from stepwatch.demo.said import AUTHENTICATIONS, IDP, SOURCES, Happening, Person, Resource, Voice, encoded, proof_of
from stepwatch.schemas import events as ev
from stepwatch.schemas.times import DAY_US, HOUR_US, SECOND_US, format_time

BEAT_US: Final = 30 * SECOND_US
"""Between two heartbeats of one source."""
RAMP_US: Final = 45 * SECOND_US
"""The longest doing: so long after it began all of it has been sent, and so long it takes until the rate is reached."""
_FEEDS: Final = (IDP, "/core/banking", *sorted(SOURCES.values()))
_NAMED_MAX: Final = 1500
"""People with a name of their own; the rest are their namesakes, with a number."""
_SHIFT_US: Final = 9 * HOUR_US
_SESSION_US: Final = 4 * HOUR_US
_REST_US: Final = 31 * SECOND_US
"""Longer than a time step of TOTP."""
_TRIES: Final = 6


class Timed(NamedTuple):
    """One event of the crowd; a heartbeat has no subject."""

    happening: Happening
    is_heartbeat: bool


class Crowd:
    """People of a bank who act for ever.

    Args:
        seed, start_us: the same for both is the same events, byte for byte.
        people: how many, at least 1.
        rate: events per second of their time, heartbeats aside. Beyond what so many people can do one after another,
            more of it is actions that nobody polices.
    """

    def __init__(self, seed: int, start_us: int, people: int, rate: float) -> None:
        self._random = Random(f"{seed} {people}")
        # Ids of another run are other ids, or its events would be conflicts with those of this one.
        self._voice = Voice(f"{seed:x}-{start_us:x}-")
        self._start_us = start_us
        self._gap_us = SECOND_US / rate
        self._named = Bank(seed, start_us, min(people, _NAMED_MAX), (0, 0)).people
        self._count = people
        self._sessions: dict[str, tuple[str, int]] = {}
        self._busy_us: dict[str, int] = {}
        self._doings: tuple[tuple[float, Callable[[Person, int], list[Happening]]], ...] = (
            (0.62, self._quiet),
            (0.90, self._proved),
            (0.94, self._robot),
            (0.965, self._failed),
            (0.98, self._forgotten),
            (0.99, self._late),
            (0.997, self._refused),
            (1.0, self._worn_down),
        )

    def events(self) -> Iterator[Timed]:
        """What happens, for ever, in the order in which it is sent."""
        waiting: list[tuple[int, int, Timed]] = []
        numbers = count()
        next_us, beat_us = float(self._start_us), self._start_us

        def wait(happenings: Iterable[Happening], *, heartbeats: bool = False) -> None:
            for happening in happenings:
                heapq.heappush(waiting, (happening.when_us, next(numbers), Timed(happening, heartbeats)))

        while True:
            if beat_us <= next_us:
                wait(self._beats(beat_us), heartbeats=True)
                beat_us += BEAT_US
            elif not waiting or waiting[0][0] >= next_us:
                said = self._next(int(next_us))
                wait(said)
                next_us += len(said) * self._gap_us
            else:
                yield heapq.heappop(waiting)[2]

    def _next(self, time_us: int) -> list[Happening]:
        chance = self._random.random()
        doing = next(doing for share, doing in self._doings if chance < share)
        person = self._somebody(time_us)
        session = self._sessions.get(person.subject)
        if session is None or not 0 <= time_us - session[1] < _SESSION_US:
            return self._login(person, time_us)
        if time_us < self._busy_us.get(person.subject, 0) and doing != self._robot:
            return self._quiet(person, time_us)
        said = doing(person, time_us)
        if len(said) > 1:
            # One thing at a time, and one code of a step: what overlaps would look like an attack.
            self._busy_us[person.subject] = said[-1].when_us + _REST_US
        return said

    def _somebody(self, time_us: int) -> Person:
        """Whoever is on shift; at night whoever is found."""
        for _ in range(_TRIES):
            number = self._random.randrange(self._count)
            # Most begin between six and ten; one in twelve works at night. By the number alone: it costs no memory.
            begin_us = (18 if number % 12 == 11 else 6 + number % 5) * HOUR_US
            if (time_us - begin_us) % DAY_US < _SHIFT_US:
                break
        named = self._named[number % len(self._named)]
        turn = number // len(self._named)
        return named._replace(subject=f"{named.subject}.{turn + 1}", device=f"{named.device}-{turn}") if turn else named

    def _session(self, person: Person) -> str:
        return self._sessions[person.subject][0]

    def _login(self, person: Person, time_us: int) -> list[Happening]:
        session = self._voice.new_id("s")
        self._sessions[person.subject] = (session, time_us)
        amr = {"key": ["hwk", "user"], "otp": ["pwd", "otp"], "push": ["pwd", "swk"]}[person.method]
        started = self._voice.authentication("session.started", person, time_us, session, amr=amr)
        return [started, *self._quiet(person, time_us + 2 * SECOND_US)]

    def _quiet(self, person: Person, time_us: int) -> list[Happening]:
        action, kind, sensitivity = self._random.choice(QUIET_DEEDS)
        resource = Resource(kind, f"{kind}-{self._random.randrange(10_000):04d}", sensitivity)
        return [self._voice.action(person, time_us, self._session(person), action, resource)]

    def _proved(self, person: Person, time_us: int) -> list[Happening]:
        deed, resource, tie = self._deed(person)
        at_us = time_us + 22 * SECOND_US
        method = deed.method or person.method
        steps = step_up(self._voice, person, at_us, self._session(person), method, deed.reason, tie, age_s=3)
        return [*steps, self._act(person, at_us, deed, resource, tie, verification=proof_of(steps[-1]))]

    def _failed(self, person: Person, time_us: int) -> list[Happening]:
        """Three wrong codes; the application does not let it happen."""
        deed, resource, tie = self._deed(person)
        challenge = self._voice.new_id("c")
        steps = [
            self._step("failed", person, time_us + second * SECOND_US, challenge, failure="wrong_code", **tie)
            for second in (1, 7, 15)
        ]
        return [*steps, self._act(person, time_us + 16 * SECOND_US, deed, resource, tie, outcome="denied")]

    def _forgotten(self, person: Person, time_us: int) -> list[Happening]:
        """No proof at all, and it happens."""
        deed, resource, tie = self._deed(person)
        return [self._act(person, time_us, deed, resource, tie)]

    def _late(self, person: Person, time_us: int) -> list[Happening]:
        """Proved in time, but the proof arrives when it has already been asked for."""
        deed, resource, tie = self._deed(person)
        at_us = time_us + 22 * SECOND_US
        method = deed.method or person.method
        *asked, proof = step_up(self._voice, person, at_us, self._session(person), method, deed.reason, tie, age_s=3)
        late = proof._replace(when_us=at_us + 20 * SECOND_US)
        return [*asked, self._act(person, at_us, deed, resource, tie, verification=proof_of(proof)), late]

    def _refused(self, person: Person, time_us: int) -> list[Happening]:
        """The person says no, and it happens all the same."""
        deed, resource, tie = self._deed(person)
        challenge = self._voice.new_id("c")
        denied = self._step("denied", person, time_us + 5 * SECOND_US, challenge, **tie)
        return [denied, self._act(person, time_us + 9 * SECOND_US, deed, resource, tie)]

    def _worn_down(self, person: Person, time_us: int) -> list[Happening]:
        """Prompt after prompt, until one is answered."""
        tie = {"bound_action": "payments.payee.create"}
        said = []
        for number in range(7):
            challenge = self._voice.new_id("c")
            at_us = time_us + number * 3 * SECOND_US
            said.append(self._step("challenged", person, at_us, challenge, reason="new_payee", **tie))
            said.append(self._step("denied", person, at_us + 2 * SECOND_US, challenge, **tie))
        given_in = self._voice.verified(person, time_us + 24 * SECOND_US, self._session(person), "push", **tie)
        return [*said, given_in]

    def _robot(self, person: Person, time_us: int) -> list[Happening]:
        """A service acts: its policy exempts it. The person chosen has a rest."""
        robot = ROBOTS[self._random.randrange(len(ROBOTS))]
        is_settlement = "settlement" in robot.subject
        action, kind = ("payments.payout.release", "payout") if is_settlement else ("iam.role.grant", "role")
        resource = Resource(kind, self._voice.new_id(kind), "high")
        return [self._voice.action(robot, time_us, f"s-{robot.subject}", action, resource)]

    def _deed(self, person: Person) -> tuple[Deed, Resource, dict[str, Any]]:
        deed = self._random.choice(DEEDS[person.job])
        resource = Resource(deed.resource_type, self._voice.new_id(deed.resource_type), deed.sensitivity)
        if deed.binding == "transaction":
            return (
                deed,
                resource,
                {"transaction": transaction_of(deed.action, resource.id), "bound_action": deed.action},
            )
        return deed, resource, {"bound_action": deed.action}

    def _act(
        self, person: Person, time_us: int, deed: Deed, resource: Resource, tie: dict[str, Any], **data: Any
    ) -> Happening:
        said: dict[str, Any] = {"decision": {"result": "required", "reason": deed.reason}, **data}
        if "transaction" in tie:
            said["transaction"] = tie["transaction"]
        return self._voice.action(person, time_us, self._session(person), deed.action, resource, **said)

    def _step(self, kind: str, person: Person, time_us: int, challenge: str, **data: Any) -> Happening:
        session = self._session(person)
        return self._voice.authentication(f"stepup.{kind}", person, time_us, session, challenge=challenge, **data)

    def _beats(self, time_us: int) -> Iterator[Happening]:
        for feed in _FEEDS:
            said = {
                "specversion": "1.0",
                "id": self._voice.new_id("beat"),
                "source": feed,
                "type": ev.HEARTBEAT,
                "time": format_time(time_us),
                "data": {"complete_to": format_time(time_us)},
            }
            yield Happening(time_us, AUTHENTICATIONS, "", encoded(said))
