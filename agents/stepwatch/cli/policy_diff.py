"""`stepwatch policy diff`: what another policy set would have said of the same events. Nothing live is touched."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stepwatch.agents.errors import EXIT_PROBLEM
from stepwatch.cli.actions_file import ActionsFile, use_actions
from stepwatch.cli.asking import Data, RunName, Since, Tenant, Until
from stepwatch.cli.errors import Misused
from stepwatch.cli.lines import AS_THEY_ARE
from stepwatch.cli.policy import policy_files
from stepwatch.cli.screen import say

if TYPE_CHECKING:
    from stepwatch.streams.sets import PolicySets
    from stepwatch.streams.tuning.differing import Difference

_LIMIT = re.compile(r"([0-9]+(?:\.[0-9]+)?)(%?)", re.ASCII)


def diff(
    policies: Annotated[
        list[Path],
        typer.Argument(metavar="[OLD] NEW", help="Policy files or folders; OLD default: --git, or as applied."),
    ],
    events: Annotated[
        list[str] | None,
        typer.Option(
            "--events", metavar="FILE", help="A file or folder of events, as `replay` reads it; give several."
        ),
    ] = None,
    git: Annotated[
        str | None, typer.Option("--git", metavar="REV", help="OLD is NEW as this branch, tag or commit has it.")
    ] = None,
    fail_over: Annotated[
        str | None, typer.Option(metavar="N", help="End with 1 if more verdicts flip: 10, or 0.5% of those judged.")
    ] = None,
    log: Annotated[
        str, typer.Option("--from", metavar="SOURCE", help="Whose log the files are, by `sources list`.")
    ] = AS_THEY_ARE,
    actions: ActionsFile = None,
    since: Since = None,
    until: Until = None,
    tenant: Tenant = None,
    most: Annotated[int, typer.Option("--most", metavar="N", min=0, help="How many changes are listed.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object with every change.")] = False,
    run: RunName = None,
    data: Data = None,
) -> None:
    """Compare two policy sets over the same events.

    Every verdict and alert that would change, counted by policy, reason, owner and subject, listed and explained, by
    the stream's own engine: over files with --events, or over what ClickHouse has stored with --since 7d.

    Exit status 0; 1 where more verdicts flip than --fail-over allows; 2 where a set is refused or there is nothing to
    read; 3 where a server does not answer.
    """
    from stepwatch.cli.policy_diff_input import Wanted, differing
    from stepwatch.cli.policy_diff_show import as_object, lines_of

    limit = limit_of(fail_over)
    if bool(events) == (since is not None):
        raise Misused("what to judge: name files with --events, or take stored events with --since 7d; one of both")
    if events and any(said is not None for said in (until, tenant, run, data)):
        raise Misused("--until, --tenant, --run and --data mean stored events: leave them out, or --events")
    use_actions(actions, log)
    old, new = _two_sets(policies, git, data, stored=not events)
    found = differing(Wanted(old, new, tuple(events or ()), log, since, until, tenant, data, run))
    failed = limit is not None and limit.is_passed(found.difference)
    if as_json:
        print(json.dumps(as_object(found, old, new, fail_over, failed), ensure_ascii=False))
    else:
        for note in found.notes:
            say(note)
        for line in lines_of(found, old, new, most):
            print(line)
        if failed:
            say(f"more than --fail-over {fail_over} verdicts flip")
    if failed:
        raise typer.Exit(EXIT_PROBLEM)


@dataclass(frozen=True, slots=True)
class Limit:
    """How many verdicts may flip: a number, or percent of the actions that were judged."""

    number: float
    percent: bool

    def is_passed(self, difference: Difference) -> bool:
        """Whether more flip."""
        flips = len(difference.flips)
        return flips * 100 > self.number * difference.judged if self.percent else flips > self.number


def limit_of(text: str | None) -> Limit | None:
    """What `--fail-over` says.

    Raises:
        Misused: it says neither a number nor percent.
    """
    if text is None:
        return None
    found = _LIMIT.fullmatch(text)
    if found is None:
        raise Misused(f"--fail-over {text}: expected a number of verdicts like 10, or percent like 0.5%")
    return Limit(float(found[1]), bool(found[2]))


def _two_sets(
    policies: Sequence[Path], git: str | None, data: Path | None, *, stored: bool
) -> tuple[PolicySets, PolicySets]:
    from stepwatch.cli.policy_git import texts_at
    from stepwatch.cli.policy_sets import policies_of
    from stepwatch.streams.sets import load_files, load_texts

    *before, last = policies
    new = load_files(policy_files([last]))
    if git is not None:
        if before:
            raise Misused("OLD comes from --git: name NEW only")
        return load_texts(texts_at(git, last)), new
    if len(before) > 1:
        raise Misused(f"expected OLD and NEW, got {len(policies)} paths: give a folder for a set of several files")
    if before:
        return load_files(policy_files(before)), new
    if not stored:
        raise Misused("nothing to compare with: name OLD before NEW, or take it from git with --git main")
    return policies_of((), data), new
