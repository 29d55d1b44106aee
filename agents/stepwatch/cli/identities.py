"""`stepwatch identities build|unmatched`: who is who by the logs themselves, and whom no alias joins yet."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from stepwatch.agents.errors import EXIT_PROBLEM
from stepwatch.cli.errors import Misused
from stepwatch.cli.lines import AS_THEY_ARE, Converted, adapter_of
from stepwatch.cli.policy import policy_files
from stepwatch.cli.screen import counted, say

if TYPE_CHECKING:
    from stepwatch.sources.base import Adapter, Event, Skip
    from stepwatch.streams.proposing import Evidence

commands = typer.Typer(no_args_is_help=True, help="Who is who: propose aliases, find whom none joins.")
# Options that may come again and again, each followed by files, are no options to click: they reach us as words.
_IN_ORDER = {"ignore_unknown_options": True}
Logs = Annotated[
    list[str], typer.Argument(metavar="--from SOURCE FILE|DIR...", help="Logs; give --from again for others.")
]


class Log(NamedTuple):
    """One file or folder, and whose log it is."""

    source: str
    file: str


@commands.command(context_settings=_IN_ORDER)
def build(
    logs: Logs,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line instead of YAML.")] = False,
) -> None:
    """Propose the `identities` of a policy file, for review.

    By what the rows of logs say: one of Okta's names a person by id and by address, one of CloudTrail's names a role's
    session by its ARN and its name. YAML goes to standard output, with the evidence for each alias beside it. Names
    that would make one person of two accounts of one product are named as conflicts, and left out.

    Exit status 0; 1 where there are conflicts; 2 where a file cannot be read.
    """
    from stepwatch.cli.identity_report import as_objects, as_yaml
    from stepwatch.sources.names import READERS

    evidence = _evidence()
    rows = 0
    for log in logs_of(logs):
        if log.source not in READERS:
            known = ", ".join(sorted(READERS))
            raise Misused(f"--from {log.source}: its rows name nobody twice; sources whose rows do are {known}")
        adapter = _Listening(log, evidence, with_events=False)
        for _ in Converted(log.file, adapter):
            pass  # nothing comes: it only listens
        rows += adapter.rows
    found = evidence.propose()
    for line in as_objects(found) if as_json else as_yaml(found):
        print(line)
    aliases = sum(len(proposal.aliases) for proposal in found.proposals)
    say(
        f"{counted(rows, 'record')} read: {counted(aliases, 'alias', 'aliases')} of "
        f"{counted(len(found.proposals), 'person', 'people')} proposed, {counted(len(found.conflicts), 'conflict')}, "
        f"{counted(len(found.hints), 'hint')}"
    )
    if found.conflicts:
        raise typer.Exit(EXIT_PROBLEM)


@commands.command(context_settings=_IN_ORDER)
def unmatched(
    logs: Logs,
    policy: Annotated[list[Path], typer.Option("--policy", metavar="FILE", help="A policy file; give several.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line instead of a table.")] = False,
    most: Annotated[int, typer.Option("--limit", metavar="N", min=0, help="How many to show; 0: all.")] = 40,
) -> None:
    """List the subjects that only ever act, or only ever prove.

    The commonest cause of false alarms: somebody acts under one name and proves under another. Give the logs of
    applications and of identity providers together; the likely other half is named where something hints at it.

    Exit status 0; 2 where the policies are refused or a file cannot be read.
    """
    from stepwatch.cli.identity_report import unmatched_lines, unmatched_object
    from stepwatch.streams.decode import Event as Decoded
    from stepwatch.streams.decode import Fault, decode
    from stepwatch.streams.sets import load_files
    from stepwatch.streams.unmatched import Tally

    tally, evidence = Tally(load_files(policy_files(policy))), _evidence()
    none = 0
    for log in logs_of(logs):
        lines = Converted(log.file, _Listening(log, evidence) if log.source != AS_THEY_ARE else None)
        for line in lines:
            event = decode(line, None) if line.strip() else None
            if isinstance(event, Decoded):
                tally.add(event)
            none += isinstance(event, Fault)
        none += lines.skipped.total()
    found = tally.unmatched(evidence)
    shown = found[:most] if most else found
    if as_json:
        for one in shown:
            print(json.dumps(unmatched_object(one), ensure_ascii=False))
    else:
        for words in unmatched_lines(shown, tally.subjects):
            print(words)
    more = f"; the first {len(shown)} are shown, --limit 0 shows all" if len(shown) < len(found) else ""
    say(f"{len(found):,} of {counted(tally.subjects, 'subject')} only act or only prove{more}")
    if none:
        say(f"{counted(none, 'record')} passed over, being no event: `stepwatch replay` says why")


def logs_of(words: Sequence[str]) -> list[Log]:
    """The files after each `--from SOURCE`, in the order in which they were typed.

    Raises:
        Misused: a file before any source, a source without a file, an unknown source or option.
    """
    logs: list[Log] = []
    source, files = "", 0
    left = list(words)
    while left:
        word = left.pop(0)
        if word == "--from" or word.startswith("--from="):
            _needs_file(source, files)
            source = word.partition("=")[2] or (left.pop(0) if left else "")
            if not source:
                raise Misused("--from needs a source, then its files: --from okta okta.jsonl")
            adapter_of(source)
            files = 0
        elif word.startswith("-") and word != "-":
            raise Misused(f"no such option: {word} (a file of that name: ./{word})")
        elif not source:
            raise Misused(f"{word}: whose log is it? Put --from SOURCE before it, as in --from okta {word}")
        else:
            logs.append(Log(source, word))
            files += 1
    _needs_file(source, files)
    return logs


def _needs_file(source: str, files: int) -> None:
    if source and not files:
        raise Misused(f"--from {source}: name at least one file after it")


class _Listening:
    """An adapter that hands what a row says of who is who to the evidence, on its way.

    Attributes:
        rows: how many it has read.
    """

    def __init__(self, log: Log, evidence: Evidence, *, with_events: bool = True) -> None:
        from stepwatch.sources.names import names

        self.name = log.source
        self.rows = 0
        self._log = log
        self._evidence = evidence
        self._names = names
        self._adapter: Adapter | None = adapter_of(log.source) if with_events else None

    def events(self, line: bytes) -> list[Event | Skip]:
        """The events of a row; none where only names are asked for."""
        self.rows += 1
        self._evidence.add(self._log.source, self._log.file, self._names(self._log.source, line))
        return self._adapter.events(line) if self._adapter is not None else []


def _evidence() -> Evidence:
    from stepwatch.streams.proposing import Evidence

    return Evidence()
