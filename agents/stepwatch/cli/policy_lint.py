"""`stepwatch policy lint`: what a set of policies says and can hardly mean."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stepwatch.agents.errors import EXIT_PROBLEM
from stepwatch.cli.actions_file import ActionsFile, use_actions
from stepwatch.cli.lines import AS_THEY_ARE
from stepwatch.cli.policy import Files, policy_files
from stepwatch.cli.screen import counted, paint, say, shown
from stepwatch.cli.tune_input import Data, RunName, Since, Source, Tenant, Until, Wanted, read

if TYPE_CHECKING:
    from stepwatch.streams.tuning.lint import Finding


def lint(
    files: Files,
    events: Annotated[
        list[Path] | None, typer.Option("--events", metavar="FILE", help="Look at these events too; give several.")
    ] = None,
    source: Source = AS_THEY_ARE,
    actions: ActionsFile = None,
    since: Since = None,
    until: Until = None,
    tenant: Tenant = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line instead of text.")] = False,
    run: RunName = None,
    data: Data = None,
) -> None:
    """Find what policies say and can hardly mean.

    By the files: policies and patterns that are never reached, `accept: [login]` without `amr_any`, `same_session` on
    sources without sessions, actions that two owners share. By events (files, or stored ones with --since 30d) also
    patterns that match nothing, policies that judge nothing, sessions that are never reported.

    Exit status 0; 1 where something was found; 2 where the set is refused; 3 where a server does not answer.
    """
    from stepwatch.streams.sets import load_files
    from stepwatch.streams.tuning.lint import lint as lint_set

    use_actions(actions, source)
    sets = load_files(policy_files(files))
    found = [finding for policy_set in sets.sets for finding in lint_set(policy_set)]
    if events or any(said is not None for said in (since, until, tenant, run, data)):
        from stepwatch.streams.tuning.lint_seen import lint_seen

        names = [str(path) for path in events or ()]
        seen = read(Wanted(names, files, source, since, until, tenant, data, run))
        say(f"read {seen.words}")
        found += lint_seen(seen.gathered, sets, seen.since_us)
    _show(found, as_json)
    if found:
        raise typer.Exit(EXIT_PROBLEM)


def _show(found: Sequence[Finding], as_json: bool) -> None:
    if as_json:
        for finding in found:
            print(json.dumps(finding._asdict(), ensure_ascii=False))
        return
    for finding in found:
        print(shown(finding))
    print(paint(counted(len(found), "finding"), "yellow") if found else paint("ok", "green") + ": nothing found")
