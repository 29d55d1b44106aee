"""Events that are taken and that these policies cannot use: what they demand, and what is not there."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from stepwatch.cli.events_findings import Finding, warning
from stepwatch.cli.events_warnings import VAGUE_AMR
from stepwatch.schemas import events as ev
from stepwatch.streams.decode import ACTION, Event
from stepwatch.streams.intake import ActionView
from stepwatch.streams.matching import Patterns, Requirement
from stepwatch.streams.sets import PolicySet, PolicySets

_NAMED_MAX: Final = 5
_SOURCES_MAX: Final = 4096


class _Demand(NamedTuple):
    """A policy: what it requires, and where it applies; None: no condition."""

    requirement: Requirement
    actions: Patterns | None
    tenants: Patterns | None
    types: Patterns | None

    def concerns(self, tenant: str, action: str | None) -> bool:
        """Whether it may apply in a tenant, to an action of that name (None: any)."""
        return (self.tenants is None or self.tenants.matches(tenant)) and (
            action is None or self.actions is None or self.actions.matches(action)
        )


class Demands:
    """What policy sets demand, asked of each event by the set in force at its time."""

    def __init__(self, sets: PolicySets) -> None:
        self._sets = sets
        self._views = {id(policy_set): _View(policy_set) for policy_set in sets.sets}

    def canonical(self, event: Event) -> str:
        """The canonical subject of an event."""
        return self._sets.at(event.time_us).canonical(event.tenant, event.subject)

    def of_event(self, event: Event) -> Iterator[Finding]:
        """What an event says in vain, or does not say."""
        view = self._views[id(self._sets.at(event.time_us))]
        yield from view.of_source(event.source)
        yield from view.of_subject(event)
        if event.family == ACTION:
            yield from view.of_action(event, self.canonical(event))
        elif event.type == ev.STEPUP_VERIFIED:
            yield from view.of_proof(event, "step_up")
        elif event.type == ev.SESSION_STARTED:
            yield from view.of_login(event)

    def of_source(self, source: str, time_us: int) -> Iterator[Finding]:
        """A source that is nearly one of those listed."""
        yield from self._views[id(self._sets.at(time_us))].of_source(source)


class _View:
    def __init__(self, policy_set: PolicySet) -> None:
        self._set = policy_set
        self._demands = [
            _Demand(
                policy_set.requirements[policy.id],
                _patterns(policy.match.action),
                _patterns(policy.match.tenant),
                _patterns(policy.match.resource_type),
            )
            for file in policy_set.files
            for _, policy in file.policies
        ]
        self._people = {
            name
            for file in policy_set.files
            for _, identity in file.identities
            for name in (identity.subject, *identity.aliases)
        }
        self._near: dict[str, str] = {}

    def of_source(self, source: str) -> Iterator[Finding]:
        if source in self._set.sources:
            return
        if source not in self._near:
            if len(self._near) >= _SOURCES_MAX:
                self._near.clear()
            found = difflib.get_close_matches(source[:200], self._set.sources, n=1, cutoff=0.75)
            self._near[source] = found[0] if found else ""
        if near := self._near[source]:
            hint = f"did you mean {near}? The policies list no such source"
            yield warning("source_unlisted", "source", "a source that the policies list", hint, source)

    def of_subject(self, event: Event) -> Iterator[Finding]:
        subject = event.subject
        if self._people and subject not in self._people and any(sign in subject for sign in "@:\\"):
            hint = (
                "no policy file lists it under `identities`: what this person does and proves elsewhere is a stranger's"
            )
            yield warning("subject_unlisted", "subject", "a canonical id or a listed alias", hint, subject)

    def of_action(self, event: Event, subject: str) -> Iterator[Finding]:
        data, view = event.data, ActionView(event, subject)
        match = self._set.match(view)
        required = match.requirement
        if required is None:
            yield from self._untyped(event, view)
            return
        if match.exempt:
            return
        name = [required]
        if required.same_session and not (data.session or data.root_session):
            yield _no_session(name)
        if required.binding == "transaction" and not data.transaction:
            yield _no_transaction(name)
        client = data.client
        for member, demanded in (("device", required.same_device), ("ip", required.same_ip)):
            if demanded and not (client and getattr(client, member)):
                hint = _never(name, f"same_{member}")
                yield warning(f"no_{member}", f"data.client.{member}", "of whoever acts", hint)

    def _untyped(self, event: Event, view: ActionView) -> Iterator[Finding]:
        """No policy matches: is it because one asks for a resource type that is not said?"""
        if view.resource_type:
            return
        asking = [
            demand.requirement
            for demand in self._demands
            if demand.actions is not None
            and demand.concerns(event.tenant, view.action)
            and demand.types is not None
            and not demand.types.matches("")
        ]
        if asking:
            hint = (
                f"{_named(asking)} {_verb(asking, 'asks', 'ask')} for a resource_type: without it none of them matches"
            )
            yield warning("no_resource_type", "data.resource.type", "the kind of thing that was touched", hint)

    def of_login(self, event: Event) -> Iterator[Finding]:
        if event.data.amr:
            yield from self.of_proof(event, "login")
            return
        if accepting := self._accepting("login", event):
            hint = f"{_named(accepting)} {_verb(accepting, 'accepts', 'accept')} a login: without amr it is no proof"
            yield warning("no_amr", "data.amr", "the methods that were used, like hwk, otp, swk", hint)

    def of_proof(self, event: Event, kind: str) -> Iterator[Finding]:
        data = event.data
        source = self._set.sources.get(event.source)
        if self._set.any_proves and not (source and source.proves and kind in source.proves):
            hint = f"the policies do not list it with `proves: [{kind}]`: this proves nothing"
            yield warning("may_not_prove", "source", f"a source that may prove a {kind}", hint, event.source)
        accepting = self._accepting(kind, event)
        strict = [required for required in accepting if required.same_session]
        if strict and not (data.session or data.root_session):
            yield _no_session(strict)
        yield from _of_factor(accepting, data.amr or [], data.acr)
        linked = [required for required in accepting if required.binding == "transaction"]
        if data.bound_action and linked and not data.transaction:
            yield _no_transaction(linked)

    def _accepting(self, kind: str, event: Event) -> list[Requirement]:
        """The policies of its tenant that accept such a proof, of a bound one those of that action."""
        bound = event.data.bound_action or None
        return [
            demand.requirement
            for demand in self._demands
            if kind in demand.requirement.accept and demand.concerns(event.tenant, bound)
        ]


def _of_factor(accepting: list[Requirement], amr: list[str], acr: str | None) -> Iterator[Finding]:
    """A factor that none of the policies takes; an amr that is vague or missing is told of without them."""
    precise = [word for word in amr if word not in VAGUE_AMR]
    if accepting and precise and all(required.amr_any and required.amr_any.isdisjoint(amr) for required in accepting):
        words = sorted(set().union(*(required.amr_any for required in accepting)))
        hint = f"{_named(accepting)} cannot be met by it"
        yield warning("amr_not_accepted", "data.amr", f"one of {', '.join(words)}", hint, amr)
    if accepting and all(required.acr_any and acr not in required.acr_any for required in accepting):
        words = sorted(set().union(*(required.acr_any for required in accepting)))
        hint = f"{_named(accepting)} cannot be met by it"
        yield warning("acr_not_accepted", "data.acr", f"one of {', '.join(words)}", hint, acr or None)


def _no_session(policies: list[Requirement]) -> Finding:
    hint = f"session is missing: {_never(policies, 'same_session')}"
    return warning("no_session", "data.session", "the session, or a root_session", hint)


def _no_transaction(policies: list[Requirement]) -> Finding:
    hint = f"transaction is missing: {_never(policies, 'binding: transaction')}"
    return warning("no_transaction", "data.transaction", "the hash of what the person was shown", hint)


def _never(policies: list[Requirement], what: str) -> str:
    return f"{_named(policies)} {_verb(policies, 'demands', 'demand')} {what} and can never be met"


def _named(policies: Iterable[Requirement]) -> str:
    """`policy a`; `policies a, b and c`."""
    ids = [required.id for required in policies]
    if len(ids) == 1:
        return f"policy {ids[0]}"
    if len(ids) > _NAMED_MAX:
        return f"policies {', '.join(ids[:_NAMED_MAX])} and {len(ids) - _NAMED_MAX} more"
    return f"policies {', '.join(ids[:-1])} and {ids[-1]}"


def _verb(policies: list[Requirement], one: str, several: str) -> str:
    return one if len(policies) == 1 else several


def _patterns(texts: list[str]) -> Patterns | None:
    return Patterns(texts) if texts else None
