"""An explanation for a person, as lines of a terminal, and for a machine, as one object."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from stepwatch.cli import screen
from stepwatch.cli.report import VERDICT_COLOURS
from stepwatch.cli.screen import GAP, counted, paint, shown, wrapped
from stepwatch.cli.timeline import Mark, Window, drawn
from stepwatch.schemas import events as ev
from stepwatch.schemas.policy import show_duration
from stepwatch.schemas.times import format_time
from stepwatch.streams.judge import VERIFIED
from stepwatch.streams.tuning.explaining import FAILS, NOT_ASKED, PASSES
from stepwatch.streams.tuning.remedies import IN_EVENTS
from stepwatch.streams.wording import deed, duration, factor

if TYPE_CHECKING:
    from stepwatch.cli.explain_input import OnRecord
    from stepwatch.streams.facts import Action, Fact
    from stepwatch.streams.tuning.explaining import Candidate, Explanation
    from stepwatch.streams.tuning.policy_lines import PolicyLines
    from stepwatch.streams.tuning.remedies import Remedy

CANDIDATES_SHOWN_MAX: Final = 12
"""Proofs that a person is shown: the youngest, and the chosen one; `--json` has all."""
MARKS_SHOWN_MAX: Final = 24
_BELOW: Final = "    "
_RESULTS: Final = {PASSES: "ok", FAILS: "FAILS"}
_LETTERS: Final = {
    ev.STEPUP_REQUIRED: "r",
    ev.STEPUP_CHALLENGED: "C",
    ev.STEPUP_DENIED: "D",
    ev.STEPUP_FAILED: "F",
    ev.STEPUP_EXPIRED: "E",
    ev.STEPUP_CANCELLED: "E",
    ev.STEPUP_BYPASSED: "B",
    ev.SESSION_REVOKED: "X",
    ev.CREDENTIAL_CHANGED: "K",
}


def lines_of(said: Explanation, changes: Sequence[Remedy], on_record: OnRecord | None) -> Iterator[str]:
    """An explanation as a person reads it."""
    room = screen.width()
    yield from _head(said, on_record, room)
    if said.action is not None and said.requirement is not None:
        yield ""
        yield paint("TIMELINE", "bold")
        yield from drawn(_marks(said), _window(said), said.event.time_us, room)
    yield ""
    yield from _policy(said.policies, room)
    if said.action is not None:
        yield ""
        yield from _proofs(said.candidates)
    if said.action is not None and said.decision.verdict != VERIFIED:
        yield ""
        yield from _changes(changes, room)


def _head(said: Explanation, on_record: OnRecord | None, room: int | None) -> Iterator[str]:
    event, decision = said.event, said.decision
    resource = event.data.resource
    of = (resource.type or "", resource.id or "") if resource else ("", "")
    words = deed(said.key[1], event.data.action or "", *of, event.data.on_behalf_of or "")
    yield paint(shown(words), "bold")
    verdict = paint(decision.verdict, VERDICT_COLOURS[decision.verdict])
    why = said.sentence
    if decision.chosen is not None:
        age_us = event.time_us - decision.chosen.at_us
        why = f"{factor(decision.chosen)} {decision.chosen.shown_id}, {duration(age_us)} before"
    yield f"{verdict} ({decision.reason})" + (f": {shown(why)}" if said.action is not None else "")
    if on_record is not None and (on_record.verdict, on_record.reason) != (decision.verdict, decision.reason):
        record = f"on record it is {on_record.verdict} ({on_record.reason})"
        yield wrapped(f"{record}: judged then by the policies and the signs of life of then", room, "")
    yield shown(f"tenant {said.key[0]}, source {said.key[3]}, id {said.key[4]}, {event.data.session or 'no session'}")
    when = f"at {format_time(event.time_us)}, arrived {duration(event.arrival_us - event.time_us)} later"
    if said.action is not None:
        grace_us, close_us = said.action.grace_end_us, said.action.closes_us
        when += f"; spoken of from {format_time(grace_us)[11:19]} on, final at {format_time(close_us)[11:19]}"
    yield wrapped(when, room, "")


def _window(said: Explanation) -> Window:
    assert said.requirement is not None
    time_us = said.event.time_us
    return Window(time_us - said.requirement.max_age_us, time_us + said.requirement.clock_skew_us)


def _marks(said: Explanation) -> list[Mark]:
    chosen, event = said.decision.chosen, said.event
    marks = [Mark(event.time_us, "A", shown(f"action {event.data.action}"), "bold")]
    for one in said.candidates:
        fact = one.fact
        letter = "L" if fact.type == ev.SESSION_STARTED else "V"
        marks.append(Mark(fact.at_us, letter, _named(fact), "green" if fact is chosen else "yellow"))
    marks += [
        Mark(fact.time_us, _LETTERS.get(fact.type, "·"), _named(fact), "red" if fact.type in _LETTERS else "")
        for fact in said.others
    ]
    # Those nearest to the action say most; a login of the morning stands at the edge.
    nearest = sorted(marks, key=lambda mark: abs(mark.time_us - event.time_us))[:MARKS_SHOWN_MAX]
    return sorted(nearest, key=lambda mark: mark.time_us)


def _named(fact: Fact) -> str:
    kind = fact.type.removeprefix("stepwatch.")
    what = f"{factor(fact)} {fact.shown_id}" if fact.kind else fact.id
    return shown(f"{kind} {what}" + (f", session {fact.session}" if fact.session else ""))


def _policy(policies: Sequence[PolicyLines], room: int | None) -> Iterator[str]:
    applied = next((number for number, one in enumerate(policies) if one.applies), None)
    if applied is None:
        yield paint("NO POLICY", "bold") + f" of {len(policies):,} matches"
        before, mine = policies, None
    else:
        mine, before = policies[applied], policies[:applied]
        yield paint(f"POLICY {shown(mine.policy)}", "bold") + shown(f"{GAP}({mine.file}:{mine.line})")
        yield from _conditions(mine, room)
    # An action whose name a policy does not even speak of needs no word about it.
    near = [one for one in before if all(line.holds for line in one.conditions if line.field == "match.action")]
    for one in near:
        failing = next(line for line in one.conditions if not line.holds and line.field != "exempt.when")
        words = f"not {one.policy} ({one.file}:{failing.line}): {failing.field} {failing.said}"
        yield wrapped(
            shown(words + (f"; it is {failing.value or 'missing'}" if failing.field != "match.when" else "")), room, ""
        )
    if others := len(before) - len(near):
        yield (
            f"{counted(others, 'policy', 'policies')} before it for actions of other names"
            if mine
            else (f"{counted(others, 'policy', 'policies')} for actions of other names")
        )


def _conditions(mine: PolicyLines, room: int | None) -> Iterator[str]:
    if not mine.conditions:
        yield "it sets no condition: it matches every action"
    size = max((len(line.field) for line in mine.conditions), default=0)
    for line in mine.conditions:
        mark = paint("yes", "green") if line.holds else paint("no ", "dim")
        value = f"  = {line.value}" if line.value else ""
        note = f"  {line.note}" if line.note else ""
        yield f"{mark} {line.field.ljust(size)}{GAP}" + shown(f"{line.said}{value}  (line {line.line}){note}")


def _proofs(candidates: Sequence[Candidate]) -> Iterator[str]:
    if not candidates:
        yield paint("PROOFS", "bold") + ": none of this subject in the whole lookback"
        return
    yield paint("PROOFS", "bold") + ", the youngest first; each filter on each"
    some = [one for number, one in enumerate(candidates) if number < CANDIDATES_SHOWN_MAX or one.chosen]
    for one in some:
        yield from _proof(one)
    if idle := [check.filter for check in candidates[0].checks if check.result == NOT_ASKED]:
        yield f"not asked by this policy: {', '.join(idle)}"
    if left := len(candidates) - len(some):
        yield f"and {counted(left, 'older one')}: --json has all"


def _proof(one: Candidate) -> Iterator[str]:
    age = f"{duration(one.age_us)} before" if one.age_us >= 0 else f"{duration(-one.age_us)} after"
    title = paint(shown(f"{factor(one.fact)} {one.fact.shown_id}"), "bold")
    state = paint("chosen", "green") if one.chosen else f"fails {len(one.failed)}" if one.failed else "passes"
    yield f"{title}{GAP}{age}{GAP}" + (shown(f"not looked at: {one.why_not}") if one.why_not else state)
    for check in one.checks:
        if check.result != NOT_ASKED:
            cell = paint(_RESULTS[check.result].ljust(5), "red" if check.result == FAILS else "")
            yield f"{_BELOW}{check.filter:16}{GAP}{cell}{GAP}{shown(check.detail)}"


def _changes(changes: Sequence[Remedy], room: int | None) -> Iterator[str]:
    yield paint("WOULD HAVE BEEN VERIFIED", "bold") + " with one of these, each judged anew:"
    if not changes:
        yield f"{_BELOW}no single change does it"
    for title, where in (("what happened", True), ("the policy", False)):
        if some := [change for change in changes if (change.where == IN_EVENTS) is where]:
            yield f"{title}:"
            for change in some:
                words = change.meaning if where else f"{change.change}: {change.meaning}"
                yield wrapped(shown(words), room, _BELOW)


def as_object(
    said: Explanation, changes: Sequence[Remedy], on_record: OnRecord | None, notes: Sequence[str]
) -> dict[str, Any]:
    """An explanation as JSON; times as in rows, durations in microseconds."""
    decision, requirement = said.decision, said.requirement
    return {
        "tenant": said.key[0],
        "subject": said.key[1],
        "source": said.key[3],
        "action_id": said.key[4],
        "action": said.event.data.action,
        "time": format_time(said.event.time_us),
        "arrival": format_time(said.event.arrival_us),
        "session": said.event.data.session or "",
        **_moments(said.action),
        "verdict": decision.verdict,
        "reason": decision.reason,
        "sentence": said.sentence if said.action is not None else "",
        "verification": decision.chosen.shown_id if decision.chosen is not None else None,
        "nearest_miss": decision.nearest.shown() if decision.nearest is not None else None,
        "on_record": on_record._asdict() if on_record is not None else None,
        "set": said.policy_set.digest[:12],
        "policy": requirement.id if requirement is not None else "",
        "policy_version": requirement.version if requirement is not None else "",
        "max_age": show_duration(requirement.max_age_us) if requirement is not None else None,
        "policies": [_policy_object(one) for one in said.policies],
        "candidates": [_candidate_object(one) for one in said.candidates],
        "others": [_fact_object(fact) for fact in said.others],
        "would_verify": [
            {
                "where": change.where,
                "change": change.change,
                "meaning": change.meaning,
                "verification": change.verification,
                "age_us": change.age_us,
            }
            for change in changes
        ],
        "notes": list(notes),
    }


def _moments(action: Action | None) -> dict[str, str | None]:
    return {
        "grace_ends": format_time(action.grace_end_us) if action is not None else None,
        "closes_at": format_time(action.closes_us) if action is not None else None,
    }


def _policy_object(one: PolicyLines) -> dict[str, Any]:
    lines = [
        {"field": c.field, "line": c.line, "said": c.said, "value": c.value, "holds": c.holds, "note": c.note}
        for c in one.conditions
    ]
    state = {"matches": one.matches, "applies": one.applies, "exempt": one.exempt}
    return {"policy": one.policy, "file": one.file, "line": one.line, **state, "conditions": lines}


def _candidate_object(one: Candidate) -> dict[str, Any]:
    checks = [{"filter": c.filter, "result": c.result, "by_us": c.by_us, "detail": c.detail} for c in one.checks]
    state = {"age_us": one.age_us, "is_candidate": one.is_candidate, "why_not": one.why_not, "chosen": one.chosen}
    return {**_fact_object(one.fact), **state, "failed": one.failed, "checks": checks}


def _fact_object(fact: Fact) -> dict[str, Any]:
    return {
        "type": fact.type,
        "source": fact.source,
        "id": fact.id,
        "verification": fact.verification,
        "time": format_time(fact.time_us),
        "arrival": format_time(fact.arrival_us),
        "at": format_time(fact.at_us),
        "session": fact.session,
        "root_session": fact.root,
        "amr": list(fact.amr),
        "acr": fact.acr,
        "credential": fact.credential,
    }
