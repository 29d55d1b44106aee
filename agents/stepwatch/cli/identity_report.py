"""What `stepwatch identities` shows: proposals as YAML with their evidence, subjects without their other half."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from stepwatch.cli import screen
from stepwatch.cli.screen import counted, shown

if TYPE_CHECKING:
    from stepwatch.streams.proposing import Basis, Proposed
    from stepwatch.streams.unmatched import Unmatched

_EVIDENCE_SHOWN = 3
"""Of one alias; the others are counted."""
_HINTS_SHOWN = 50
_HEADER = ("SUBJECT", "ONLY", "TIMES", "POLICED", "SOURCES", "MAYBE THE SAME AS")


def as_yaml(found: Proposed) -> Iterator[str]:
    """A policy file with nothing but `identities`, to be read by a person before it is used."""
    yield "# Proposed by `stepwatch identities build`: read each alias and its evidence before you use this file."
    yield "# An address proves nothing by itself; whoever assumes a role chooses the name of its session."
    yield "version: 1"
    yield "identities:" if found.proposals else "identities: []"
    for proposal in found.proposals:
        yield f"  - subject: {_quoted(proposal.subject)}"
        yield "    aliases:"
        for alias in proposal.aliases:
            yield f"      - {_quoted(alias.name)}"
            for line in _evidence(alias.evidence):
                yield f"        # {line}"
    if found.conflicts:
        yield ""
        yield "# CONFLICTS: each would make one person of several accounts of one product. Nothing is proposed by them:"
        yield "# find out whose the name is, then write that alias yourself."
    for conflict in found.conflicts:
        yield f"# - {', '.join(map(_quoted, conflict.names))} would join {conflict.source}'s accounts"
        yield f"#   {', '.join(map(_quoted, conflict.accounts))}"
        for line in _evidence(conflict.evidence):
            yield f"#     {line}"
    if found.hints:
        yield ""
        yield "# HINTS: people who are called by the same word, and whom no row joins. A word is no proof."
    for hint in found.hints[:_HINTS_SHOWN]:
        yield f"# - {_quoted(hint.word)}: {', '.join(map(_quoted, hint.subjects))}"
    if len(found.hints) > _HINTS_SHOWN:
        yield f"# - and {len(found.hints) - _HINTS_SHOWN:,} more: --json gives all"


def as_objects(found: Proposed) -> Iterator[str]:
    """The same for machines, one JSON object a line."""
    for proposal in found.proposals:
        for alias in proposal.aliases:
            evidence = [basis._asdict() for basis in alias.evidence]
            yield _json({"kind": "alias", "subject": proposal.subject, "alias": alias.name, "evidence": evidence})
    for conflict in found.conflicts:
        evidence = [basis._asdict() for basis in conflict.evidence]
        yield _json({"kind": "conflict", **conflict._asdict(), "evidence": evidence})
    for hint in found.hints:
        yield _json({"kind": "hint", **hint._asdict()})


def unmatched_lines(found: Sequence[Unmatched], subjects: int) -> Iterator[str]:
    """The table of subjects that do only one of the two, out of so many that do either."""
    if not subjects:
        yield "no subject: nobody acts or proves in these logs"
        return
    if not found:
        yield "every subject that acts proves too, and the other way round"
        return
    with_tenant = len({one.tenant for one in found}) > 1
    rows = [
        (
            shown(f"{one.tenant}/{one.subject}" if with_tenant else one.subject),
            one.only,
            f"{one.times:,}",
            f"{one.policed:,}",
            shown(", ".join(one.sources)),
            shown("; ".join(f"{partner.subject} ({partner.why})" for partner in one.partners)),
        )
        for one in found
    ]
    yield screen.table(_HEADER, rows, {2, 3}, {1, 2, 3})


def unmatched_object(one: Unmatched) -> dict[str, Any]:
    """One of them for machines."""
    return one._asdict() | {"partners": [partner._asdict() for partner in one.partners]}


def _evidence(evidence: Sequence[Basis]) -> Iterator[str]:
    for basis in evidence[:_EVIDENCE_SHOWN]:
        yield f"{shown(basis.file)}: {basis.field}, beside {_quoted(basis.beside)}, in {counted(basis.rows, 'row')}"
    if len(evidence) > _EVIDENCE_SHOWN:
        rest = evidence[_EVIDENCE_SHOWN:]
        yield f"and in {counted(sum(basis.rows for basis in rest), 'row')} elsewhere"


def _quoted(name: str) -> str:
    """A name as YAML, on one line: whatever it holds, it ends no text and no comment, and turns no reading order."""
    import yaml

    return yaml.dump(name, allow_unicode=shown(name) == name, default_style='"', width=2**31).rstrip("\n")


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False)
