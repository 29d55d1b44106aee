"""`stepwatch policy check|test`: for who writes policies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stepwatch.agents.errors import EXIT_PROBLEM
from stepwatch.cli.errors import Misused
from stepwatch.cli.screen import counted, paint, say, shown

if TYPE_CHECKING:
    from stepwatch.streams.policytests import Outcome
    from stepwatch.streams.sets import PolicySet, PolicySets

commands = typer.Typer(no_args_is_help=True, help="Check, test, compare and apply policy files.")
Files = Annotated[list[Path], typer.Argument(metavar="FILE...", help="Policy files, or folders of them.")]
SUFFIXES = (".yaml", ".yml")


@commands.command()
def check(files: Files) -> None:
    """Say what is wrong with policy files.

    Each complaint with file, line and field. Exit status 0, with warnings too; 2 where the set is refused.
    """
    from stepwatch.streams.sets import load_files

    sets = load_files(policy_files(files))
    warnings = [words for policy_set in sets.sets for words in _warnings(policy_set)]
    for words in warnings:
        print(shown(words))
    for policy_set in sets.sets:
        print(shown(_described(policy_set)))
    print(paint("ok", "green") + (f", {counted(len(warnings), 'warning')}" if warnings else ""))


@commands.command("test")
def try_out(
    files: Files,
    coverage: Annotated[
        bool, typer.Option("--coverage", help="Say what the tests never touch: patterns, conditions, filters, reasons.")
    ] = False,
) -> None:
    """Run the tests inside policy files.

    Exit status 0; 1 where a test failed or there is none; 2 where the set is refused.
    """
    from stepwatch.streams.sets import load_files

    sets = load_files(policy_files(files))
    outcomes = tried(sets)
    if coverage and outcomes:
        from stepwatch.cli.policy_coverage import coverage_lines

        print("\n".join(coverage_lines(sets)))
    if not outcomes:
        say("no tests: write `tests` below a policy, at least one that must fire and one that must stay silent")
        raise typer.Exit(EXIT_PROBLEM)
    failed = sum(not outcome.passed for outcome in outcomes)
    if failed:
        print(paint(f"{failed:,} of {counted(len(outcomes), 'test')} failed", "red"))
        raise typer.Exit(EXIT_PROBLEM)
    policies = counted(sum(len(one.requirements) for one in sets.sets), "policy", "policies")
    print(paint("ok", "green") + f": {counted(len(outcomes), 'test')} of {policies} passed")


def tried(sets: PolicySets) -> list[Outcome]:
    """Run the tests inside policy files, and show those that fail."""
    from stepwatch.streams.policytests import run_tests

    outcomes = list(run_tests(sets))
    for outcome in outcomes:
        if not outcome.passed:
            _show_failure(outcome)
    return outcomes


def policy_files(paths: Sequence[Path]) -> list[Path]:
    """The files named, and the policy files in the folders named.

    Raises:
        Misused: a folder holds none.
    """
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted(p for p in path.iterdir() if p.suffix in SUFFIXES and p.is_file())
        if not inside:
            raise Misused(f"{path} holds no policy file (*.yaml, *.yml)")
        found += inside
    return found


def _warnings(policy_set: PolicySet) -> Iterator[str]:
    """What is allowed and yet hardly meant, as `file:line: field: warning: message`."""
    from stepwatch.streams.conditions import compile_condition
    from stepwatch.streams.policytests import missing_tests

    for file in policy_set.files:
        for index, policy in file.policies:
            place = f"policies[{index}]"
            for words in missing_tests(policy):
                line = file.line(("policies", index, "tests"))
                yield f"{file.name}:{line}: {place}.tests: warning: {policy.id}: {words}"
            for part, text in (("match", policy.match.when), ("exempt", policy.exempt.when)):
                warning = compile_condition(text).warning if text else ""
                if warning:
                    line = file.line(("policies", index, part, "when"))
                    yield f"{file.name}:{line}: {place}.{part}.when: warning: {warning}; it fails when evaluated"


def _described(policy_set: PolicySet) -> str:
    from stepwatch.schemas.times import format_time

    start_us = policy_set.effective_from_us
    begins = "" if start_us is None else f", from {format_time(start_us)[:19]}Z on"
    policies = [policy for file in policy_set.files for _, policy in file.policies]
    tests = sum(len(policy.tests) for policy in policies)
    said = [counted(len(policy_set.files), "file"), counted(len(policies), "policy", "policies")]
    return f"set {policy_set.digest[:12]}: {', '.join(said)}, {counted(tests, 'test')}{begins}"


def _show_failure(outcome: Outcome) -> None:
    print(shown(f"{outcome.file}:{outcome.line}: {outcome.policy}: {outcome.name}"))
    print(shown(f"    expected  {outcome.expected}"))
    print(shown(f"    got       {outcome.got}" + (f": {outcome.explanation}" if outcome.explanation else "")))
