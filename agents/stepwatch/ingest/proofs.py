"""The verifications of the last `lookback`, held as the core holds them: its facts, its ledger, its filters."""

from __future__ import annotations

from itertools import islice
from typing import Final

from stepwatch.schemas import events as ev
from stepwatch.schemas.times import TIME_END_US
from stepwatch.streams.copies import NEW, seen
from stepwatch.streams.decode import Event
from stepwatch.streams.facts import LOGIN, STEP_UP, Action, Fact, fact_of
from stepwatch.streams.filters import Case, terms_of
from stepwatch.streams.judge import Judge
from stepwatch.streams.ledger import Ledger
from stepwatch.streams.liveness import Liveness
from stepwatch.streams.matching import Requirement
from stepwatch.streams.sets import PolicySet, PolicySets
from stepwatch.streams.waiting import Deadlines, SubjectKey

FACTS_MAX: Final = 1_000_000
"""Held in all, about 1 GB. Beyond it the oldest go first: a verification always before its revocation, so an answer
may lack a proof, and never shows one that is void."""
SHOWN_MAX: Final = 100
"""Verifications of one answer, the newest: an application asks for the last few minutes."""


class Proofs:
    """What assurance is answered from. Log time is the only clock of forgetting."""

    def __init__(self, facts_max: int = FACTS_MAX) -> None:
        self.count = 0
        self.forgotten_early = 0
        self._max = facts_max
        self._ledgers: dict[SubjectKey, Ledger] = {}
        self._going = Deadlines()

    def take(self, event: Event, sets: PolicySets) -> None:
        """Keep an authentication event if it proves or revokes; the first of its key counts, as in the core."""
        fact = fact_of(event, "")
        revokes = fact.type == ev.SESSION_REVOKED or (fact.type == ev.CREDENTIAL_CHANGED and fact.change == "revoked")
        if not (fact.kind or revokes):
            return
        subject = event.tenant, sets.at(event.time_us).canonical(event.tenant, event.subject)
        ledger = self._ledgers.setdefault(subject, Ledger(*subject))
        if seen(event, ledger) is not NEW:
            return
        ledger.add_fact(fact)
        self.count += 1
        self._going.add(fact.at_us + sets.lookback_max_us, subject, *fact.key)
        if self.count > self._max and (oldest := self._going.first_us()) is not None:
            before = self.count
            self.forget(oldest + 1)
            self.forgotten_early += before - self.count

    def forget(self, log_time_us: int) -> None:
        """Let go of what no answer can need any more."""
        for _, tenant, subject, source, event_id in self._going.passed(log_time_us):
            ledger = self._ledgers[tenant, subject]
            ledger.forget_fact((source, event_id))
            self.count -= 1
            if ledger.is_empty:
                del self._ledgers[tenant, subject]

    def live(
        self, tenant: str, subject: str, session: str, root_session: str, now_us: int, sets: PolicySets
    ) -> tuple[str, list[Fact]]:
        """What would count for an action of now, whatever its policy: trusted, not void, not older than `lookback`.

        Args:
            tenant, subject: of whom; an alias will do.
            session, root_session: only those of this session, or of the login it descends from; `""`: of any.
            now_us: the clock.
            sets: say who an alias is, which sources prove, and how long `lookback` is.

        Returns:
            The canonical subject; the newest `SHOWN_MAX` verifications, newest first.
        """
        policy_set = sets.at(now_us)
        subject = policy_set.canonical(tenant, subject)
        ledger = self._ledgers.get((tenant, subject))
        if ledger is None:
            return subject, []
        requirement = _requirement(policy_set, bool(session or root_session))
        terms = terms_of(policy_set, requirement)
        action = _action(now_us, session, root_session or session)
        case = Case(action, requirement, terms, ledger, TIME_END_US, Judge(sets, Liveness()))
        candidates = case.candidates(case.of_session(), requirement.lookback_us)
        return subject, list(islice((f for f in candidates if not any(r(case, f) for r in terms.rules)), SHOWN_MAX))


def _requirement(policy_set: PolicySet, same_session: bool) -> Requirement:
    """The weakest policy that the set could have: what fails it, fails all."""
    return Requirement(
        id="",
        version="",
        reason="",
        owner="",
        runbook="",
        severity="low",
        amr_any=frozenset(),
        acr_any=frozenset(),
        accept=frozenset({STEP_UP, LOGIN}),
        max_age_us=policy_set.lookback_max_us,
        same_session=same_session,
        binding="none",
        max_uses=None,
        same_device=False,
        same_ip=False,
        grace_us=0,
        dedup_us=0,
        clock_skew_us=policy_set.skew_max_us,
        lookback_us=policy_set.lookback_max_us,
        revise_within_us=0,
        accept_late_us=0,
    )


def _action(now_us: int, session: str, root: str) -> Action:
    """The action that somebody may be about to do."""
    return Action("", "", now_us, now_us, 0, "", "", True, False, now_us, now_us, session, root)
