"""The files of a set -> its sources, aliases and policies, or every complaint (contract section 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from stepwatch.schemas.policy import Defaults, Policy, fill_in, policy_version, show_duration
from stepwatch.streams.conditions import Condition, ConditionRefused, compile_condition
from stepwatch.streams.identity import Identities, build_identities
from stepwatch.streams.loading import LoadedFile, PolicyRefused
from stepwatch.streams.matching import CompiledPolicy, Match, Patterns, Requirement
from stepwatch.streams.yamltext import Path, Problem


@dataclass(frozen=True, slots=True)
class Source:
    """A listed feed.

    Attributes:
        silent_after_us: None: need not be alive.
        proves: kinds of {"step_up", "login"}; None: the key is absent.
    """

    name: str
    silent_after_us: int | None
    proves: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Parts:
    """What a policy set is made of; `files` and `policies` in the order in which they match."""

    files: tuple[LoadedFile, ...]
    sources: dict[str, Source]
    identities: Identities
    policies: tuple[CompiledPolicy, ...]


def by_base_name(named: tuple[str, Any]) -> bytes:
    """Sort key of (file name, anything): byte order of the base names."""
    return PurePath(named[0]).name.encode("utf-8", "surrogateescape")


def assemble(files: Sequence[LoadedFile]) -> Parts:
    """Check the files of a set together.

    Args:
        files: in any order.

    Raises:
        PolicyRefused: with every complaint about the files and what they say together.
    """
    files = [file for _, file in sorted(((file.name, file) for file in files), key=by_base_name)]
    problems = [problem for file in files for problem in file.problems]
    problems += _disagreements(files)
    sources = _sources(files, problems)
    entries = [(file, index, identity) for file in files for index, identity in file.identities]
    identities, found = build_identities(entries)
    problems += found
    policies = _policies(files, problems)
    if problems:
        order = {file.name: number for number, file in enumerate(files)}
        raise PolicyRefused(sorted(problems, key=lambda problem: (order[problem.file], problem.line)))
    return Parts(tuple(files), sources, identities, tuple(policies))


def _disagreements(files: Sequence[LoadedFile]) -> list[Problem]:
    said = [file for file in files if file.effective_from_us is not None]
    message = f"another time than in {said[0].name}; the files of one set begin together" if said else ""
    return [
        file.problem(("effective_from",), message)
        for file in said
        if file.effective_from_us != said[0].effective_from_us
    ]


def _sources(files: Sequence[LoadedFile], problems: list[Problem]) -> dict[str, Source]:
    sources: dict[str, Source] = {}
    places: dict[str, str] = {}
    for file in files:
        for index, spec in file.sources:
            path = ("sources", index)
            proves = None if spec.proves is None else frozenset(spec.proves)
            source = Source(spec.name, spec.silent_after, proves)
            if sources.setdefault(spec.name, source) != source:
                message = f"{spec.name!r} contradicts what is said of it at {places[spec.name]}"
                problems.append(file.problem(path, message))
            places.setdefault(spec.name, f"{file.name}:{file.line(path)}")
    return sources


def _policies(files: Sequence[LoadedFile], problems: list[Problem]) -> list[CompiledPolicy]:
    compiled: list[CompiledPolicy] = []
    ids: dict[str, str] = {}
    for file in files:
        problems += _used_ids(file, ids)
        when = _conditions(file, "match", problems)
        exempt_when = _conditions(file, "exempt", problems)
        defaults = file.defaults
        if defaults is None:
            continue
        said_once = ("defaults", "max_age") in file.lines
        if said_once:
            problems += _too_short(file, defaults.max_age, defaults, ("defaults", "max_age"))
        for index, policy in file.policies:
            requirement = _requirement(policy, defaults)
            if policy.require.max_age is not None or not said_once:
                path = ("policies", index, "require", "max_age")
                problems += _too_short(file, requirement.max_age_us, defaults, path)
            compiled.append(_compile(policy, requirement, when.get(index), exempt_when.get(index)))
    return compiled


def _used_ids(file: LoadedFile, ids: dict[str, str]) -> list[Problem]:
    problems = []
    for index, said in file.raw_policies:
        path, policy_id = ("policies", index, "id"), said.get("id")
        if isinstance(policy_id, str) and policy_id in ids:
            problems.append(file.problem(path, f"{policy_id!r} is already the id at {ids[policy_id]}"))
        elif isinstance(policy_id, str):
            ids[policy_id] = f"{file.name}:{file.line(path)}"
    return problems


def _conditions(file: LoadedFile, part: str, problems: list[Problem]) -> dict[int, Condition]:
    # From the raw policies, so that a fault elsewhere in a policy does not hide one in its condition.
    conditions = {}
    for index, said in file.raw_policies:
        around = said.get(part)
        text = around.get("when") if isinstance(around, dict) else None
        if isinstance(text, str) and text:
            try:
                conditions[index] = compile_condition(text)
            except ConditionRefused as error:
                problems.append(file.problem(("policies", index, part, "when"), str(error)))
    return conditions


def _too_short(file: LoadedFile, max_age_us: int, defaults: Defaults, path: Path) -> list[Problem]:
    if max_age_us <= defaults.lookback:
        return []
    max_age, lookback = show_duration(max_age_us), show_duration(defaults.lookback)
    return [file.problem(path, f"max_age ({max_age}) is longer than lookback ({lookback}) of the same file")]


def _requirement(policy: Policy, defaults: Defaults) -> Requirement:
    whole = fill_in(policy, defaults)
    require, alert = whole["require"], whole["alert"]
    return Requirement(
        id=policy.id,
        version=policy_version(whole),
        reason=policy.reason,
        owner=policy.owner,
        runbook=policy.runbook,
        severity=alert["severity"],
        amr_any=frozenset(require["amr_any"]),
        acr_any=frozenset(require["acr_any"]),
        accept=frozenset(require["accept"]),
        max_age_us=require["max_age"],
        same_session=require["same_session"],
        binding=require["binding"],
        max_uses=require["max_uses"],
        same_device=require["same_device"],
        same_ip=require["same_ip"],
        grace_us=alert["grace"],
        dedup_us=alert["dedup"],
        clock_skew_us=whole["clock_skew"],
        lookback_us=whole["lookback"],
        revise_within_us=whole["revise_within"],
        accept_late_us=whole["accept_late"],
    )


def _compile(
    policy: Policy, requirement: Requirement, when: Condition | None, exempt_when: Condition | None
) -> CompiledPolicy:
    match = policy.match
    return CompiledPolicy(
        requirement=requirement,
        action=Patterns(match.action) if match.action else None,
        resource_type=Patterns(match.resource_type) if match.resource_type else None,
        sensitivity=frozenset(match.sensitivity) or None,
        tenant=Patterns(match.tenant) if match.tenant else None,
        when=when,
        exempt_when=exempt_when,
        plain=Match(requirement),
    )
