"""What differs between two policy sets, policy by policy, as a person reads it; whose verdicts flip is `differing`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel

from stepwatch.schemas.policy import Defaults, fill_in, show_duration
from stepwatch.streams.sets import PolicySet

_DURATIONS: Final = frozenset(
    {"max_age", "grace", "dedup", "clock_skew", "lookback", "revise_within", "accept_late", "silent_after"}
)


def changes_between(old: PolicySet | None, new: PolicySet) -> list[str]:
    """Each difference as one line: `+` what is new, `-` what is gone, `~` what is another.

    Policies are compared with their defaults filled in (contract section 4, `policy_version`), so a changed default
    shows at each policy that it reaches, and a comment or a test nowhere.

    Args:
        old: what is in force; None: nothing yet.
        new: what is to be.

    Returns:
        Policies in the order of the new set, then those that are gone, their order, sources, identities.
    """
    before = _policies(old) if old else {}
    after = _policies(new)
    lines = list(_compared("", before, after))
    kept = [name for name in after if name in before]
    if kept != [name for name in before if name in after]:
        lines.append(f"~ the order in which policies match: {', '.join(after)}")
    lines += _compared("source ", _sources(old), _sources(new))
    lines += _compared("identity ", _identities(old), _identities(new))
    return lines


def _compared(kind: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for name, said in after.items():
        if name not in before:
            yield f"+ {kind}{name}"
        elif said != before[name]:
            yield f"~ {kind}{name}: {'; '.join(_fields('', before[name], said))}"
    for name in before:
        if name not in after:
            yield f"- {kind}{name}"


def _fields(path: str, old: Any, new: Any) -> Iterator[str]:
    """`require.max_age 5m → 10m`, for each field that is another."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in {**old, **new}:
            if old.get(name) != new.get(name):
                yield from _fields(f"{path}.{name}" if path else name, old.get(name), new.get(name))
    else:
        yield f"{path} {_value(path, old)} → {_value(path, new)}"


def _value(path: str, value: Any) -> str:
    if isinstance(value, int) and path.rpartition(".")[2] in _DURATIONS:
        return show_duration(value)
    if value is None or value in ("", [], {}):
        return "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def _policies(policy_set: PolicySet) -> dict[str, Any]:
    return {
        policy.id: fill_in(policy, file.defaults or Defaults())
        for file in policy_set.files
        for _, policy in file.policies
    }


def _sources(policy_set: PolicySet | None) -> dict[str, Any]:
    return {one.name: _said(one) for file in policy_set.files for _, one in file.sources} if policy_set else {}


def _identities(policy_set: PolicySet | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for file in policy_set.files if policy_set else ():
        for _, one in file.identities:
            name = f"{one.subject} in {', '.join(one.tenant)}" if one.tenant else one.subject
            found.setdefault(name, {"aliases": []})["aliases"] += one.aliases
    return found


def _said(part: BaseModel) -> dict[str, Any]:
    return part.model_dump(mode="json")
