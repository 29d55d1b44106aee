"""`stepwatch policy apply|rollback`: a set onto the topic, after its tests have passed and its difference was shown."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stepwatch.agents.errors import EXIT_PROBLEM
from stepwatch.cli.asking import Bootstrap, Data, Since
from stepwatch.cli.errors import Misused
from stepwatch.cli.policy import Files, policy_files, tried
from stepwatch.cli.policy_diff import Limit, limit_of
from stepwatch.cli.screen import counted, paint, say, shown
from stepwatch.cli.target import connect_quietly

if TYPE_CHECKING:
    from stepwatch.agents.policy_publishing import Manner
    from stepwatch.agents.settings import Settings
    from stepwatch.streams.sets import PolicySet, PolicySets

Now = Annotated[bool, typer.Option("--now", help="Hold at once, without the 11 minutes of notice.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Do all but publish.")]
Note = Annotated[str, typer.Option("--note", metavar="WHY", help="Why; kept in the history.")]
Expected = Annotated[
    str | None, typer.Option("--expect", metavar="SET", help="Publish only if this set is still the latest one.")
]
FailOver = Annotated[
    str | None,
    typer.Option("--fail-over", metavar="N", help="With --since: publish nothing if more verdicts flip: 10, or 0.5%."),
]


def apply(
    files: Files,
    now: Now = False,
    effective_from: Annotated[
        str | None,
        typer.Option("--effective-from", metavar="TIME", help="Hold from this time on, where the files say none."),
    ] = None,
    dry_run: DryRun = False,
    note: Note = "",
    expect: Expected = None,
    since: Since = None,
    fail_over: FailOver = None,
    bootstrap: Bootstrap = None,
    data: Data = None,
) -> None:
    """Publish policy files to all workers.

    First their tests run, then it is shown what changes: policy by policy, and with --since 7d every verdict and
    alert of that time that would have been another. They are the set that is judged by from then on. Running workers
    take it up by themselves; an event's own time says which set judges it. Nothing is published if a file is refused,
    a test fails, or the set is the latest already.

    Exit status 0; 1 where a test failed, more verdicts flip than --fail-over allows, or somebody else has applied
    another set since; 2 where a set is refused; 3 where a server does not answer.
    """
    from stepwatch.agents.policy_publishing import Manner
    from stepwatch.streams.sets import load_files

    sets = load_files(policy_files(files))
    if now and effective_from:
        raise Misused("--now and --effective-from: when it holds is one of both")
    if effective_from and any(one.effective_from_us is not None for one in sets.sets):
        raise Misused("--effective-from: the files say `effective_from` themselves; leave one of both out")
    if effective_from:
        _check_moment(effective_from)
    manner = Manner(now=now, effective_from=effective_from, note=note)
    checks = _Checks(dry_run, expect, since, _limit(fail_over, since))
    _put(connect_quietly(data, bootstrap), sets, manner, checks, data)


def rollback(
    wanted: Annotated[
        str | None, typer.Argument(metavar="[SET]", help="By `policy history`; default: the one before the latest.")
    ] = None,
    now: Now = False,
    dry_run: DryRun = False,
    note: Note = "",
    expect: Expected = None,
    since: Since = None,
    fail_over: FailOver = None,
    bootstrap: Bootstrap = None,
    data: Data = None,
) -> None:
    """Apply an earlier policy set again, as it was.

    Nothing is deleted: it is published anew, with the same checks as `policy apply`, and the history shows both.
    """
    from stepwatch.agents.policy_publishing import Manner
    from stepwatch.cli.policy_history import history, one_of
    from stepwatch.streams.sets import PolicySets

    settings = connect_quietly(data, bootstrap)
    entries = [entry for entry in history(settings) if entry.policy_set is not None]
    latest = entries[-1].digest if entries else ""
    earlier = [entry for entry in entries if entry.digest != latest]
    if wanted is None and not earlier:
        raise Misused(f"{settings.topics.policies} holds no other set than the latest: there is nothing to go back to")
    entry = earlier[-1] if wanted is None else one_of(entries, wanted)
    assert entry.policy_set is not None
    print(shown(f"back to set {entry.digest[:12]}, applied {entry.applied_at} by {entry.by or 'somebody'}"))
    manner = Manner(now=now, note=note or f"rollback to {entry.digest[:12]}")
    checks = _Checks(dry_run, expect, since, _limit(fail_over, since))
    _put(settings, PolicySets([entry.policy_set]), manner, checks, data)
    say(
        "workers that were started with a folder of policies (STEPWATCH_POLICIES_DIR, `up --policies`) publish it "
        f"again at their next start: `policy show {entry.digest[:12]} --into DIR` writes these files for it"
    )


@dataclass(frozen=True, slots=True)
class _Checks:
    """What must hold before a set is published, by the options of the same names."""

    dry_run: bool
    expect: str | None
    since: str | None
    limit: Limit | None


def _put(settings: Settings, sets: PolicySets, manner: Manner, checks: _Checks, data: Path | None) -> None:
    from stepwatch.agents.policy_publishing import publish_sets
    from stepwatch.cli.policy_history import history, one_of

    outcomes = tried(sets)
    failed = sum(not outcome.passed for outcome in outcomes)
    if failed:
        print(paint(f"{failed:,} of {counted(len(outcomes), 'test')} failed: nothing is published", "red"))
        raise typer.Exit(EXIT_PROBLEM)
    entries = history(settings)
    latest = next((entry.policy_set for entry in reversed(entries) if entry.policy_set), None)
    if latest is not None and [one.digest for one in sets.sets] == [latest.digest]:
        say("nothing to do: this set is the latest one already")
        return
    print(f"{counted(len(outcomes), 'test')} passed" if outcomes else "no tests in these files")
    if checks.expect is not None:
        manner = replace(manner, expected=one_of(entries, checks.expect).digest)
    _show_changes(latest, sets)
    if checks.since is not None and latest is not None:
        _show_flips(latest, sets, checks, data)
    if checks.dry_run:
        say("nothing was published; to apply just this" + (f": --expect {latest.digest[:12]}" if latest else ""))
        return
    digests = asyncio.run(publish_sets(settings, sets, manner))
    if not digests:
        say("nothing to do: this set is the latest one already")
        return
    for digest in digests:
        print(f"published {digest[:12]}")
    if manner.now:
        say("holds for actions that arrive from now on")
    else:
        say("the first set holds from when it is read, every other from 11 minutes after now at the earliest")


def _show_changes(latest: PolicySet | None, sets: PolicySets) -> None:
    from stepwatch.streams.tuning.policy_changes import changes_between

    for policy_set in sets.sets:
        before = f"against set {latest.digest[:12]}" if latest else "the first set"
        print(paint(f"set {policy_set.digest[:12]}, {before}", "bold"))
        changes = changes_between(latest, policy_set)
        for line in changes:
            print(shown(f"  {line}"))
        if not changes:
            print("  no policy, source or identity is another")
        latest = policy_set


def _show_flips(latest: PolicySet, sets: PolicySets, checks: _Checks, data: Path | None) -> None:
    from stepwatch.cli.policy_diff_input import Wanted, differing
    from stepwatch.cli.policy_diff_show import lines_of
    from stepwatch.streams.sets import PolicySets

    old = PolicySets([latest])
    found = differing(Wanted(old, sets, (), "", since=checks.since, data=data))
    for line in [*found.notes, *lines_of(found, old, sets, 10)]:
        print(line)
    if checks.limit is not None and checks.limit.is_passed(found.difference):
        say("more verdicts flip than --fail-over allows: nothing is published")
        raise typer.Exit(EXIT_PROBLEM)


def _limit(fail_over: str | None, since: str | None) -> Limit | None:
    if fail_over is not None and since is None:
        raise Misused("--fail-over: of which time? Add --since 7d")
    return limit_of(fail_over)


def _check_moment(text: str) -> None:
    from stepwatch.schemas.times import parse_time

    if parse_time(text) is None:
        raise Misused(f"--effective-from {text}: expected a time like 2026-11-24T09:00:00Z")
