"""`stepwatch tune`: what other windows would have said, judged by the stream's own engine. Nothing live is touched."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stepwatch.cli.actions_file import ActionsFile, use_actions
from stepwatch.cli.errors import Misused
from stepwatch.cli.lines import AS_THEY_ARE
from stepwatch.cli.screen import say
from stepwatch.cli.tune_input import Data, Events, Policies, RunName, Since, Source, Tenant, Until, Wanted, read

if TYPE_CHECKING:
    from stepwatch.cli.tune_input import Read
    from stepwatch.streams.tuning.rejudging import Evidence

commands = typer.Typer(
    no_args_is_help=True,
    help="Choose the numbers of policies from what happened. By files, or by stored events with --since.",
)
Policy = Annotated[str, typer.Argument(metavar="POLICY", help="Id of the policy.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object instead of text; names everybody.")]
Try = Annotated[list[str] | None, typer.Option("--try", metavar="DURATION", help="Try this one too; give several.")]


@commands.command("max-age")
def max_age(
    policy: Policy,
    events: Events = None,
    policies: Policies = None,
    source: Source = AS_THEY_ARE,
    actions: ActionsFile = None,
    since: Since = None,
    until: Until = None,
    tenant: Tenant = None,
    also: Try = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw it: .svg or .html.")] = None,
    as_json: AsJson = False,
    run: RunName = None,
    data: Data = None,
) -> None:
    """Choose how old a proof may be.

    How old proofs are when the actions of POLICY happen; for each window how many verdicts flip and whose; where the
    curve bends; what is recommended, and how sure that is.

    Exit status 0; 2 where there is nothing to go by; 3 where a server does not answer.
    """
    from stepwatch.cli.tune_age import age_lines, age_object
    from stepwatch.cli.tune_plot import check_plot, write_plot
    from stepwatch.streams.tuning.tune_max_age import tune_max_age

    if plot is not None:
        check_plot(plot)
    also_us = [_duration(text) for text in also or ()]
    found, evidence = _evidence(Wanted(events, policies, source, since, until, tenant, data, run), actions)
    with _in_words():
        tuned = tune_max_age(evidence, policy, also_us)
    if plot is not None:
        write_plot(tuned, found.words, plot)
    _show(found, age_object(tuned) if as_json else None, age_lines(tuned))


@commands.command("grace")
def grace(
    policy: Policy,
    events: Events = None,
    policies: Policies = None,
    source: Source = AS_THEY_ARE,
    actions: ActionsFile = None,
    since: Since = None,
    until: Until = None,
    tenant: Tenant = None,
    also: Try = None,
    as_json: AsJson = False,
    run: RunName = None,
    data: Data = None,
) -> None:
    """Choose how long to wait for a proof before anybody is paged.

    How late the covering proofs of POLICY's actions arrive, by source; for each grace how many pages would have been
    raised, and how many of them withdrawn since the proof came after all.

    Exit status 0; 2 where there is nothing to go by; 3 where a server does not answer.
    """
    from stepwatch.cli.tune_tables import as_plain, grace_lines
    from stepwatch.streams.tuning.tune_grace import tune_grace

    also_us = [_duration(text) for text in also or ()]
    found, evidence = _evidence(Wanted(events, policies, source, since, until, tenant, data, run), actions)
    with _in_words():
        tuned = tune_grace(evidence, policy, also_us)
    _show(found, {"tuned": "grace", **as_plain(tuned)} if as_json else None, grace_lines(tuned))


@commands.command("dedup")
def dedup(
    policy: Policy,
    events: Events = None,
    policies: Policies = None,
    source: Source = AS_THEY_ARE,
    actions: ActionsFile = None,
    since: Since = None,
    until: Until = None,
    tenant: Tenant = None,
    also: Try = None,
    as_json: AsJson = False,
    run: RunName = None,
    data: Data = None,
) -> None:
    """Choose how long actions without proof share one alert.

    How many alerts of POLICY each length makes of the same actions, and how many actions the largest holds.

    Exit status 0; 2 where there is nothing to go by; 3 where a server does not answer.
    """
    from stepwatch.cli.tune_tables import as_plain, dedup_lines
    from stepwatch.streams.tuning.tune_dedup import tune_dedup

    also_us = [_duration(text) for text in also or ()]
    found, evidence = _evidence(Wanted(events, policies, source, since, until, tenant, data, run), actions)
    with _in_words():
        tuned = tune_dedup(evidence, policy, also_us)
    _show(found, {"tuned": "dedup", **as_plain(tuned)} if as_json else None, dedup_lines(tuned))


@commands.command("lookback")
def lookback(
    events: Events = None,
    policies: Policies = None,
    source: Source = AS_THEY_ARE,
    actions: ActionsFile = None,
    since: Since = None,
    until: Until = None,
    tenant: Tenant = None,
    also: Try = None,
    as_json: AsJson = False,
    run: RunName = None,
    data: Data = None,
) -> None:
    """Choose how far back proofs are looked for, for all policies.

    Which verdicts and reasons each lookback would change, and how many facts a worker holds for it.

    Exit status 0; 2 where there is nothing to go by; 3 where a server does not answer.
    """
    from stepwatch.cli.tune_tables import as_plain, lookback_lines
    from stepwatch.streams.tuning.tune_lookback import tune_lookback

    also_us = [_duration(text) for text in also or ()]
    found, evidence = _evidence(
        Wanted(events, policies, source, since, until, tenant, data, run, reach_days=7), actions
    )
    with _in_words():
        tuned = tune_lookback(evidence, also_us)
    _show(found, {"tuned": "lookback", **as_plain(tuned)} if as_json else None, lookback_lines(tuned))


@commands.command("clock-skew")
def clock_skew(
    events: Events = None,
    policies: Policies = None,
    source: Source = AS_THEY_ARE,
    actions: ActionsFile = None,
    since: Since = None,
    until: Until = None,
    tenant: Tenant = None,
    also: Try = None,
    as_json: AsJson = False,
    run: RunName = None,
    data: Data = None,
) -> None:
    """Choose how far clocks may disagree, for all policies.

    By pairs of events of which one must come first (a challenge and its answer, a proof and the action that names it, a
    session and what is done in it): how many are dated the wrong way round, by source, and by how much.

    Exit status 0; 2 where there is nothing to go by; 3 where a server does not answer.
    """
    from stepwatch.cli.tune_tables import as_plain, skew_lines
    from stepwatch.streams.tuning.tune_clock_skew import tune_clock_skew

    also_us = [_duration(text) for text in also or ()]
    found, evidence = _evidence(Wanted(events, policies, source, since, until, tenant, data, run), actions)
    with _in_words():
        tuned = tune_clock_skew(evidence, also_us)
    _show(found, {"tuned": "clock_skew", **as_plain(tuned)} if as_json else None, skew_lines(tuned))


@commands.command("patterns")
def patterns(
    events: Events = None,
    policies: Policies = None,
    source: Source = AS_THEY_ARE,
    actions: ActionsFile = None,
    since: Since = None,
    until: Until = None,
    tenant: Tenant = None,
    as_json: AsJson = False,
    run: RunName = None,
    data: Data = None,
) -> None:
    """See how far `mfa_fatigue` and `otp_guessing` stand from their counts.

    The counts are the contract's, no setting of a policy file: what fewer or more would have alerted.

    Exit status 0; 2 where there is nothing to go by; 3 where a server does not answer.
    """
    from stepwatch.cli.tune_tables import as_plain, pattern_lines
    from stepwatch.streams.tuning.tune_patterns import tune_patterns

    found, evidence = _evidence(Wanted(events, policies, source, since, until, tenant, data, run), actions)
    with _in_words():
        tuned = tune_patterns(evidence)
    _show(found, {"tuned": "patterns", "patterns": as_plain(tuned)} if as_json else None, pattern_lines(tuned))


def _evidence(wanted: Wanted, actions: Path | None) -> tuple[Read, Evidence]:
    """Read what is wanted, and judge it once."""
    from stepwatch.streams.tuning.rejudging import Evidence

    use_actions(actions, wanted.source)
    found = read(wanted)
    return found, Evidence(found.gathered, found.sets, found.since_us)


def _show(found: Read, as_object: dict[str, Any] | None, lines: Iterable[str]) -> None:
    """Print what was found: for machines where there is an object, else for a person, with the notes about it."""
    if as_object is not None:
        print(json.dumps({"read": found.words, "notes": found.notes, **as_object}, ensure_ascii=False))
        return
    for note in found.notes:
        say(note)
    say(f"read {found.words}")
    for line in lines:
        print(line)


def _duration(text: str) -> int:
    from stepwatch.schemas.policy import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise Misused(f"--try {text}: {error}") from error


@contextmanager
def _in_words() -> Iterator[None]:
    """What says nothing of what was asked ends the command with its own words."""
    from stepwatch.streams.tuning.tune_base import NothingToTune

    try:
        yield
    except NothingToTune as error:
        raise Misused(str(error)) from error
