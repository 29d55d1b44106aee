"""What would have made an action verified: single changes, each tried by judging again what its verdict stands on.

A change is one number or switch of the policy, or one thing about one proof. Only what the engine then calls `verified`
is told. Numbers are the smallest whole seconds that do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from stepwatch.schemas import events as ev
from stepwatch.schemas.policy import show_duration
from stepwatch.schemas.times import SECOND_US, format_time
from stepwatch.streams.decode import AUTHENTICATION, Event, decode
from stepwatch.streams.facts import LOGIN, STEP_UP, Action, Fact
from stepwatch.streams.judge import VERIFIED
from stepwatch.streams.matching import Requirement
from stepwatch.streams.replay import EventKey, Gathered
from stepwatch.streams.sets import PolicySets
from stepwatch.streams.tuning.explaining import Candidate, Explanation, judged_action, whole
from stepwatch.streams.tuning.variants import varied
from stepwatch.streams.wording import duration, factor

IN_EVENTS: Final = "events"
IN_POLICY: Final = "policy"
CANDIDATES_TRIED_MAX: Final = 5
"""Proofs that are tried with a change: those with the fewest failed filters. Each trial judges the subject anew."""
_NEW_ID: Final = "one-more-proof"
_ANY_FACTOR: Final = "otp"

Changed = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Remedy:
    """One change that makes the action verified.

    Attributes:
        where: `IN_EVENTS`: somebody would have had to do or report it; `IN_POLICY`: a tuner would have to write it.
        change: in short, `max_age 5m -> 312s`.
        meaning: in words.
        verification: id of the proof that then covers the action.
        age_us: of that proof.
    """

    where: str
    change: str
    meaning: str
    verification: str
    age_us: int


def remedies(gathered: Gathered, sets: PolicySets, found: Explanation) -> list[Remedy]:
    """Single changes that make an action verified, those in the events first, the smallest of each first.

    Args:
        gathered, sets: that the action was explained by.
        found: the explanation; of a verified action, or one that needs no proof, there is nothing to change.
    """
    if found.action is None or found.requirement is None or found.decision.verdict == VERIFIED:
        return []
    if found.action.overloaded:
        return []  # whatever the proof
    trial = _Trial(gathered, sets, found)
    return [*_in_events(trial), *_in_policy(trial)]


class _Trial:
    """One action, judged again and again."""

    def __init__(self, gathered: Gathered, sets: PolicySets, found: Explanation) -> None:
        assert found.action is not None
        assert found.requirement is not None
        self.gathered = gathered if found.requirement.max_uses is not None else _what_counts(gathered, found)
        self.sets, self.found = sets, found
        self.action: Action = found.action
        self.requirement: Requirement = found.requirement
        failing = [one for one in found.candidates if one.fact.arrival_us <= found.action.closes_us]
        self.nearest = sorted(failing, key=lambda one: (len(one.failed), abs(one.age_us)))[:CANDIDATES_TRIED_MAX]

    def judge(self, where: str, change: str, meaning: str, gathered: Gathered, sets: PolicySets) -> Remedy | None:
        """The remedy, if it is one."""
        _, action, decision = judged_action(gathered, sets, self.found.key)
        chosen = decision.chosen
        if decision.verdict != VERIFIED or chosen is None or action is None:
            return None
        return Remedy(where, change, meaning, chosen.shown_id, action.time_us - chosen.at_us)

    def with_policy(self, change: str, meaning: str, **members: Any) -> Remedy | None:
        """With other members of the requirement."""
        policy = self.requirement.id

        def changed(requirement: Requirement) -> Requirement:
            return replace(requirement, **members) if requirement.id == policy else requirement

        return self.judge(IN_POLICY, change, meaning, self.gathered, varied(self.sets, changed))

    def with_events(self, change: str, meaning: str, without: EventKey | None, event: Changed | None) -> Remedy | None:
        """With one event taken out, and one put in; what is no event is no remedy."""
        gathered = Gathered()
        gathered.heartbeats, gathered.arrivals = self.gathered.heartbeats, self.gathered.arrivals
        gathered.events = {key: kept for key, kept in self.gathered.events.items() if key != without}
        if event is not None:
            decoded = decode(msgspec.json.encode(event), None)
            if not isinstance(decoded, Event):
                return None
            key = (*self.found.key[:2], decoded.family, decoded.source, decoded.id)
            gathered.events[key] = decoded
        return self.judge(IN_EVENTS, change, meaning, gathered, self.sets)


def _what_counts(gathered: Gathered, found: Explanation) -> Gathered:
    """The action and what its verdict stands on, where what earlier actions chose does not matter.

    A busy service may have ten thousands of actions, and each trial would judge them all.
    """
    facts = [*(one.fact for one in found.candidates), *found.others]
    keys = [found.key, *((*found.key[:2], AUTHENTICATION, *fact.key) for fact in facts)]
    mine = Gathered()
    mine.heartbeats, mine.arrivals = gathered.heartbeats, gathered.arrivals
    mine.events = {key: gathered.events[key] for key in keys}
    return mine


def _some(tried: Iterable[Remedy | None]) -> Iterator[Remedy]:
    return (remedy for remedy in tried if remedy is not None)


# In the events.


def _in_events(trial: _Trial) -> Iterator[Remedy]:
    for one in trial.nearest:
        yield from _some(_other_proof(trial, one))
    yield from _some(_other_action(trial))
    yield from _some(_one_more(trial))


def _other_proof(trial: _Trial, one: Candidate) -> Iterator[Remedy | None]:
    """One proof with one thing about it changed."""
    fact, action = one.fact, trial.action
    key = (*trial.found.key[:2], AUTHENTICATION, fact.source, fact.id)
    event = whole(trial.gathered, key)
    name = f"{factor(fact)} {fact.shown_id}"
    for what, value, data in _other_data(trial, fact):
        yield trial.with_events(
            f"{fact.shown_id}: {what} {value}", f"{name} with {what} {value}", key, _as_sent(event, **data)
        )
    late_us = trial.requirement.max_age_us
    if one.age_us > late_us:
        at_us = action.time_us - late_us
        words = f"{name} {duration(one.age_us - late_us)} later"
        yield trial.with_events(f"{fact.shown_id}: later", words, key, _at(event, at_us))
    if (over_us := fact.time_us - action.time_us - trial.requirement.clock_skew_us) > 0:
        at_us = fact.time_us - over_us
        words = f"{name} {duration(over_us)} earlier"
        yield trial.with_events(f"{fact.shown_id}: earlier", words, key, _at(event, at_us))
    source = _proving(trial, fact.kind)
    if source is not None and source != fact.source:
        moved = {**_as_sent(event), "source": source}
        yield trial.with_events(f"{fact.shown_id}: source {source}", f"{name} reported by {source}", key, moved)
    if "voided" in one.failed:
        for other in trial.found.others:
            if other.type in (ev.SESSION_REVOKED, ev.CREDENTIAL_CHANGED) and other.time_us <= action.time_us:
                gone = (*trial.found.key[:2], AUTHENTICATION, other.source, other.id)
                words = f"without the revocation {other.id}, {name} covers it"
                yield trial.with_events(f"without {other.id}", words, gone, None)


def _other_data(trial: _Trial, fact: Fact) -> Iterator[tuple[str, str, Changed]]:
    """(what, value, members of `data`): as the policy and the action want them, where the proof has others."""
    action, requirement = trial.action, trial.requirement
    if requirement.same_session and action.session and fact.session != action.session:
        yield "session", action.session, {"session": action.session, "root_session": action.root}
    for amr in sorted(requirement.amr_any - set(fact.amr)):
        yield "amr", amr, {"amr": [amr]}
    for acr in sorted(requirement.acr_any - {fact.acr}):
        yield "acr", acr, {"acr": acr}
    if requirement.binding == "action" and fact.bound_action != action.action:
        yield "bound_action", action.action, {"bound_action": action.action}
    if requirement.binding == "transaction" and action.transaction and fact.transaction != action.transaction:
        yield "transaction", action.transaction, {"transaction": action.transaction}
    if requirement.same_device and action.device and fact.device != action.device:
        yield "device", action.device, {"client": {"device": action.device, "ip": fact.ip}}
    if requirement.same_ip and action.ip and fact.ip != action.ip:
        yield "address", action.ip, {"client": {"device": fact.device, "ip": action.ip}}


def _other_action(trial: _Trial) -> Iterator[Remedy | None]:
    """The action reported with what it lacks, as the nearest proofs have it."""
    event = whole(trial.gathered, trial.found.key)
    for one in trial.nearest:
        fact = one.fact
        if trial.requirement.same_session and not trial.action.session and fact.session:
            sent = _as_sent(event, session=fact.session)
            yield trial.with_events(
                f"session {fact.session} of the action",
                f"the action reported in session {fact.session}",
                trial.found.key,
                sent,
            )
        if trial.requirement.binding == "transaction" and not trial.action.transaction and fact.transaction:
            sent = _as_sent(event, transaction=fact.transaction)
            words = "the action reported with the transaction of the proof"
            yield trial.with_events(f"transaction {fact.transaction} of the action", words, trial.found.key, sent)


def _one_more(trial: _Trial) -> Iterator[Remedy | None]:
    """One more proof at the moment of the action, as the policy wants it."""
    action, requirement = trial.action, trial.requirement
    kind = STEP_UP if STEP_UP in requirement.accept else LOGIN
    amr = min(requirement.amr_any, default=_ANY_FACTOR)
    data = {
        "tenant": trial.found.key[0],
        "session": action.session,
        "root_session": action.root,
        "amr": [amr],
        "acr": min(requirement.acr_any, default=""),
        "bound_action": action.action,
        "transaction": action.transaction,
        "client": {"device": action.device, "ip": action.ip},
        "verification": _NEW_ID,
    }
    event = {
        "specversion": "1.0",
        "id": _NEW_ID,
        "source": _proving(trial, kind) or action.source,
        "type": ev.STEPUP_VERIFIED if kind == STEP_UP else ev.SESSION_STARTED,
        "time": format_time(action.time_us),
        "arrival": format_time(action.arrival_us),
        "subject": trial.found.key[1],
        "data": data,
    }
    what = "verification" if kind == STEP_UP else "login"
    said = [f"by {amr}" if requirement.amr_any else ""]
    said += ["in the same session" if requirement.same_session else ""]
    said += [{"action": "for this action", "transaction": "for this transaction"}.get(requirement.binding, "")]
    words = " ".join(["a", what, *filter(None, said)])
    within = f", at most {duration(requirement.max_age_us)} before the action"
    yield trial.with_events(f"one more {what}", words + within, None, event)


def _proving(trial: _Trial, kind: str) -> str | None:
    """A source that may prove this kind; None where no source is asked."""
    sources = trial.found.policy_set.sources.values()
    return next((source.name for source in sources if source.proves is not None and kind in source.proves), None)


def _as_sent(event: Event, **data: Any) -> Changed:
    """The event as it was sent, with its arrival, and other members of `data`."""
    sent: Changed = msgspec.json.decode(event.value)
    sent["arrival"] = format_time(event.arrival_us)
    return {**sent, "data": {**(sent.get("data") or {}), **data}}


def _at(event: Event, at_us: int) -> Changed:
    """The event as if it had happened at another time, and arrived as much earlier or later."""
    sent = _as_sent(event)
    sent["time"] = format_time(at_us)
    sent["arrival"] = format_time(event.arrival_us + at_us - event.time_us)
    sent["data"].pop("auth_time", None)
    return sent


# In the policy.


def _in_policy(trial: _Trial) -> Iterator[Remedy]:
    yield from _some(
        [_longer_age(trial), _more_skew(trial), _later_close(trial), _accepted_late(trial), _more_uses(trial)]
    )
    yield from _some(_switches(trial))


def _smallest(values: Iterable[int], attempt: Callable[[int], Remedy | None]) -> Remedy | None:
    """What the smallest value that helps makes of it; the greater a value, the more it allows."""
    tried = sorted(set(values))
    if not tried or (best := attempt(tried[-1])) is None:
        return None
    low, high = 0, len(tried) - 1
    while low < high:
        middle = (low + high) // 2
        found = attempt(tried[middle])
        if found is None:
            low = middle + 1
        else:
            high, best = middle, found
    return best


def _seconds(us: int) -> int:
    """Rounded up to whole seconds: policies are written in these."""
    return -(-us // SECOND_US) * SECOND_US


def _number(trial: _Trial, name: str, member: str, values: Iterable[int], words: str) -> Remedy | None:
    """The smallest value above the one of now."""
    now_us = getattr(trial.requirement, member)

    def attempt(value_us: int) -> Remedy | None:
        change = f"{name} {show_duration(now_us)} -> {show_duration(value_us)}"
        return trial.with_policy(change, f"{words}, {duration(value_us - now_us)} more", **{member: value_us})

    return _smallest((value_us for value_us in map(_seconds, values) if value_us > now_us), attempt)


def _longer_age(trial: _Trial) -> Remedy | None:
    most_us = trial.requirement.lookback_us
    ages = (one.age_us for one in trial.found.candidates if _seconds(one.age_us) <= most_us)
    return _number(trial, "max_age", "max_age_us", ages, "proofs may be older")


def _more_skew(trial: _Trial) -> Remedy | None:
    spans = (one.fact.time_us - trial.action.time_us for one in trial.found.candidates)
    return _number(trial, "clock_skew", "clock_skew_us", spans, "a proof may be dated after the action")


def _later_close(trial: _Trial) -> Remedy | None:
    end_us = trial.action.grace_end_us
    spans = (one.fact.arrival_us - end_us for one in trial.found.candidates)
    return _number(trial, "revise_within", "revise_within_us", spans, "evidence may arrive later")


def _accepted_late(trial: _Trial) -> Remedy | None:
    span_us = trial.action.arrival_us - trial.action.time_us
    return _number(trial, "accept_late", "accept_late_us", [span_us], "actions may be reported later")


def _more_uses(trial: _Trial) -> Remedy | None:
    now = trial.requirement.max_uses
    if now is None:
        return None

    def attempt(uses: int) -> Remedy | None:
        return trial.with_policy(f"max_uses {now} -> {uses}", "a proof may cover more actions", max_uses=uses)

    earlier = sum(key[2] == trial.found.key[2] for key in trial.gathered.events)
    return _smallest(range(now + 1, max(now, earlier) + 1), attempt)


def _switches(trial: _Trial) -> Iterator[Remedy | None]:
    requirement = trial.requirement
    if requirement.same_session:
        change = "same_session true -> false"
        yield trial.with_policy(change, "a proof of any session counts", same_session=False)
    if requirement.same_device:
        yield trial.with_policy("same_device true -> false", "a proof from any device counts", same_device=False)
    if requirement.same_ip:
        yield trial.with_policy("same_ip true -> false", "a proof from any address counts", same_ip=False)
    for binding in {"transaction": ("action", "none"), "action": ("none",)}.get(requirement.binding, ()):
        change = f"binding {requirement.binding} -> {binding}"
        yield trial.with_policy(change, "a proof counts that was asked for something else", binding=binding)
    for kind in sorted({STEP_UP, LOGIN} - requirement.accept):
        yield trial.with_policy(f"accept + {kind}", f"a {kind} counts too", accept=requirement.accept | {kind})
    facts = [one.fact for one in trial.found.candidates[:CANDIDATES_TRIED_MAX]]
    if requirement.amr_any:
        for amr in sorted({amr for fact in facts for amr in fact.amr} - requirement.amr_any):
            yield trial.with_policy(f"amr_any + {amr}", f"{amr} counts too", amr_any=requirement.amr_any | {amr})
    if requirement.acr_any:
        for acr in sorted({fact.acr for fact in facts if fact.acr} - requirement.acr_any):
            yield trial.with_policy(f"acr_any + {acr}", f"acr {acr} counts too", acr_any=requirement.acr_any | {acr})
