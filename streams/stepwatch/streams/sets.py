"""Policy sets: built from files or records, and which is in force at a time (contract section 4)."""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final

from pydantic import ValidationError

from stepwatch.schemas.policy import Defaults, PolicyRecord
from stepwatch.schemas.times import MINUTE_US, TIME_END_US, parse_time
from stepwatch.streams.building import Parts, Source, assemble, by_base_name
from stepwatch.streams.loading import LoadedFile, PolicyRefused, load_text
from stepwatch.streams.matching import Match, Matchable, Matcher, Requirement
from stepwatch.streams.yamltext import Problem

__all__ = [
    "Applied",
    "Match",
    "Matchable",
    "PolicyRefused",
    "PolicySet",
    "PolicySets",
    "Problem",
    "Requirement",
    "Source",
    "applied_sets",
    "build_set",
    "load_files",
    "load_texts",
    "set_digest",
    "sets_from_records",
]

NOTICE_US: Final = 11 * MINUTE_US
"""The least time from a set's append to its beginning: events may be 10 minutes ahead (contract 4)."""


class PolicySet:
    """One policy set, whole and checked. Made by `build_set`.

    Attributes:
        effective_from_us: in force from then on, inclusive; None: from the beginning of time.
        digest: hex SHA-256 of its files.
        has_aliases: `canonical` may answer another subject than it was asked for.
        sources: by name.
        any_proves: a source of the set has `proves`, so the others prove nothing.
        requirements: by policy id, in the order in which policies match.
        files: as loaded, with the policies' tests and the lines of everything.
        lookback_max_us, accept_late_max_us, skew_max_us: largest of its files' defaults.
        horizon_max_us: largest grace + revise_within of its policies and defaults.
        silent_after_max_us: 0 where no source has it.
    """

    __slots__ = (
        "_matcher",
        "accept_late_max_us",
        "any_proves",
        "canonical",
        "digest",
        "effective_from_us",
        "files",
        "has_aliases",
        "horizon_max_us",
        "lookback_max_us",
        "match",
        "may_concern",
        "may_match",
        "requirements",
        "silent_after_max_us",
        "skew_max_us",
        "sources",
    )

    def __init__(self, effective_from_us: int | None, parts: Parts) -> None:
        files, sources = parts.files, parts.sources
        self.effective_from_us = effective_from_us
        self.files = files
        self.digest = set_digest([(file.name, file.text) for file in files])
        self.sources = sources
        self.any_proves = any(source.proves is not None for source in sources.values())
        self.requirements: Mapping[str, Requirement] = {
            policy.requirement.id: policy.requirement for policy in parts.policies
        }
        self._matcher = Matcher(parts.policies)
        # Bound once: asked for every event, a method that only hands on would cost as much as the answer.
        self.canonical = parts.identities.canonical
        self.has_aliases = parts.identities.any
        self.may_match = self._matcher.may_match
        self.may_concern = self._matcher.may_concern
        self.match = self._matcher.match
        # A file without policies speaks through its defaults alone: policy gaps and patterns go by them.
        defaults = [file.defaults or Defaults() for file in files] or [Defaults()]
        self.lookback_max_us = max(said.lookback for said in defaults)
        self.accept_late_max_us = max(said.accept_late for said in defaults)
        self.skew_max_us = max(said.clock_skew for said in defaults)
        self.horizon_max_us = max(
            *(said.grace + said.revise_within for said in defaults),
            *(required.grace_us + required.revise_within_us for required in self.requirements.values()),
            0,
        )
        self.silent_after_max_us = max((s.silent_after_us or 0 for s in sources.values()), default=0)

    def __repr__(self) -> str:
        return f"PolicySet({self.digest[:12]}, from {self.effective_from_us}, {list(self.requirements)})"


class PolicySets:
    """All policy sets known.

    Attributes:
        sets: by their beginning; of two with the same, the later given is in force.
        refused: what `sets_from_records` found to be no valid set: to be told, not to be judged by.
        lookback_max_us, accept_late_max_us, horizon_max_us, silent_after_max_us: largest of any set.
    """

    __slots__ = (
        "_by_digest",
        "_only",
        "_starts",
        "accept_late_max_us",
        "horizon_max_us",
        "lookback_max_us",
        "refused",
        "sets",
        "silent_after_max_us",
    )

    def __init__(self, sets: Sequence[PolicySet], refused: Sequence[PolicyRefused] = ()) -> None:
        """Order the sets.

        Args:
            sets: at least one.
            refused: what else was read and is no set.

        Raises:
            ValueError: no set; a worker waits until one is applied.
        """
        if not sets:
            raise ValueError("no policy set: apply one with `--policies DIR`, or name a file with `--policy FILE`")
        self.sets = tuple(sorted(sets, key=_start))
        self.refused = tuple(refused)
        self._starts = [_start(policy_set) for policy_set in self.sets]
        self._by_digest = {policy_set.digest: policy_set for policy_set in self.sets}
        self._only = self.sets[0] if len(self.sets) == 1 else None
        self.lookback_max_us = max(policy_set.lookback_max_us for policy_set in self.sets)
        self.accept_late_max_us = max(policy_set.accept_late_max_us for policy_set in self.sets)
        self.horizon_max_us = max(policy_set.horizon_max_us for policy_set in self.sets)
        self.silent_after_max_us = max(policy_set.silent_after_max_us for policy_set in self.sets)

    def at(self, time_us: int) -> PolicySet:
        """The set in force at a time: `effective_from` is inclusive; before the first, the first."""
        if self._only is not None:
            return self._only
        return self.sets[max(bisect_right(self._starts, time_us) - 1, 0)]

    def span(self, policy_set: PolicySet) -> tuple[int, int]:
        """From which time on, inclusive, until which one a set is in force; us."""
        index = self.sets.index(policy_set)
        until_us = self._starts[index + 1] if index + 1 < len(self.sets) else TIME_END_US
        return int(self._starts[index]) if index else 0, int(until_us)

    def judging(self, digest: str, time_us: int) -> PolicySet:
        """The set that judged an action first, and does so in every revision.

        A set applied with `--now` begins in the past of actions that are already judged; it is not theirs.
        """
        return self._by_digest.get(digest) or self.at(time_us)

    def __repr__(self) -> str:
        return f"PolicySets({list(self.sets)})"


def _start(policy_set: PolicySet) -> float:
    return -1 if policy_set.effective_from_us is None else policy_set.effective_from_us


def set_digest(texts: Iterable[tuple[str, str]]) -> str:
    """The hash of a set, and key of its `stepwatch.policies` record: hex SHA-256 of its files by base name.

    The order in which the files are given does not matter.
    """
    named = [[PurePath(name).name, text] for name, text in sorted(texts, key=by_base_name)]
    return hashlib.sha256(json.dumps(named, separators=(",", ":")).encode()).hexdigest()


def load_files(paths: Sequence[Path]) -> PolicySets:
    """Policy sets from files, as `replay` takes them.

    Files with the same `effective_from` are one set; those without one are together one, in force from the
    beginning of time.

    Raises:
        PolicyRefused: with every complaint about every file.
        ValueError: no path.
    """
    problems: list[Problem] = []
    texts: list[tuple[str, str]] = []
    for path in paths:
        try:
            texts.append((str(path), path.read_bytes().decode()))
        except OSError as error:
            problems.append(Problem(str(path), 0, "", f"cannot be read: {error.strerror or error}"))
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            problems.append(Problem(str(path), line, "", "not UTF-8"))
    return _sets_of(texts, problems)


def load_texts(texts: Sequence[tuple[str, str]]) -> PolicySets:
    """The same from (name, YAML text) pairs, wherever they were read.

    Raises:
        PolicyRefused: with every complaint about every text.
        ValueError: no text.
    """
    return _sets_of(texts, [])


def _sets_of(texts: Sequence[tuple[str, str]], problems: list[Problem]) -> PolicySets:
    groups: dict[int | None, list[LoadedFile]] = {}
    for name, text in texts:
        file = load_text(name, text)
        groups.setdefault(file.effective_from_us, []).append(file)
    sets = []
    for effective_from_us, files in groups.items():
        try:
            sets.append(_build(files, effective_from_us))
        except PolicyRefused as refused:
            problems.extend(refused.problems)
    if problems:
        raise PolicyRefused(problems)
    return PolicySets(sets)


@dataclass(frozen=True, slots=True)
class Applied:
    """One record of `stepwatch.policies`.

    Attributes:
        append_time_us: when Kafka got it.
        record: who applied what, and how; None where the value is no such record.
        policy_set: what it is; None where it is refused.
        refused: why; None where it is a set.
    """

    append_time_us: int
    record: PolicyRecord | None
    policy_set: PolicySet | None
    refused: PolicyRefused | None


def applied_sets(records: Sequence[tuple[int, bytes]]) -> list[Applied]:
    """What was applied, record by record, in the order of the topic.

    The first valid set holds from the beginning, one applied with `--now` from its append time. Every other
    holds from its `effective_from`, but at least 11 minutes after its append time, and then without one.

    Args:
        records: (append time in microseconds, value).
    """
    found: list[Applied] = []
    for number, (append_time_us, value) in enumerate(records):
        record = None
        try:
            record = PolicyRecord.model_validate_json(value)
            files = [load_text(said.name, said.text) for said in record.files]
            if not any(one.policy_set for one in found):
                begin_us = None
            elif record.now:
                begin_us = append_time_us
            else:
                begin_us = max(_wanted(record, files) or 0, append_time_us + NOTICE_US)
            found.append(Applied(append_time_us, record, _build(files, begin_us), None))
        except ValidationError as error:
            said = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            refused = PolicyRefused([Problem(f"record {number} of policies", 0, "", said)])
            found.append(Applied(append_time_us, record, None, refused))
        except PolicyRefused as error:
            # The old set stays (contract section 4); whoever applied this one has been told so before.
            found.append(Applied(append_time_us, record, None, error))
    return found


def sets_from_records(records: Sequence[tuple[int, bytes]]) -> PolicySets:
    """Policy sets from the records of `stepwatch.policies`; see `applied_sets`.

    Raises:
        ValueError: no record holds a valid set.
    """
    applied = applied_sets(records)
    return PolicySets(
        [one.policy_set for one in applied if one.policy_set], [one.refused for one in applied if one.refused]
    )


def _wanted(record: PolicyRecord, files: Sequence[LoadedFile]) -> int | None:
    said = [file.effective_from_us for file in files if file.effective_from_us is not None]
    if said:
        return said[0]
    return parse_time(record.effective_from) if record.effective_from else None


def build_set(texts: Sequence[tuple[str, str]], effective_from_us: int | None) -> PolicySet:
    """Build one policy set.

    Args:
        texts: (file name, YAML text) in any order: files go in byte order of their base names.
        effective_from_us: when it begins, whatever the files say; None: from the beginning of time.

    Raises:
        PolicyRefused: with every complaint, each with file, line and field.
    """
    return _build([load_text(name, text) for name, text in texts], effective_from_us)


def _build(files: Sequence[LoadedFile], effective_from_us: int | None) -> PolicySet:
    return PolicySet(effective_from_us, assemble(files))
