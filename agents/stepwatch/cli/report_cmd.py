"""`stepwatch report`: a period for an auditor, as one page or as JSON."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stepwatch.cli import screen
from stepwatch.cli.asking import Data, Patience, RunName, Since, Tenant, Until, period, reading_tables
from stepwatch.cli.errors import Misused

if TYPE_CHECKING:
    from stepwatch.agents.settings import Settings
    from stepwatch.store.report import PolicyTexts
    from stepwatch.streams.sets import PolicySets

_PATIENCE_S = 300
_DAYS = 30


def report(
    since: Since = None,
    until: Until = None,
    tenant: Tenant = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the page to this file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead, to standard output.")] = False,
    policy: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Show the text of these policy files; default: the topic `policies`."),
    ] = None,
    of_run: RunName = None,
    data: Data = None,
    patience_s: Patience = _PATIENCE_S,
) -> None:
    """Report a period: were triggers well defined, was all verified, were people verified properly.

    The page holds all that it shows, and prints. The text of the policies in force comes from the topic `policies`;
    where Kafka is away or a run is asked, it is missing unless --policy names the files, and the page says so. A file
    is made readable by its owner only: names and addresses are in it.

    Exit status 0; 2 where the period or a policy file is wrong or the file cannot be written; 3 where ClickHouse does
    not answer.
    """
    from importlib.metadata import version

    from stepwatch.store.report import Asked, as_object, build_report

    if (html is None) != as_json:
        raise Misused("say what is to be written: --html FILE, or --json")
    begin, end = period(since, until, _DAYS)
    with reading_tables(data, of_run, patience_s) as (client, settings):
        tables = f"run {of_run}" if of_run is not None else f"database {settings.clickhouse_database}"
        asked = Asked(begin, end, tenant or "", tables, datetime.now(UTC), version("stepwatch"))
        texts = _texts(settings, policy, of_run, begin, end)
        made = build_report(client, asked, texts)
    if texts.missing:
        screen.say(f"the policies' text is missing: {texts.missing}")
    if html is None:
        print(json.dumps(as_object(made), ensure_ascii=False))
        return
    from stepwatch.store.report_page import render

    write_private(html, render(made))
    screen.say(f"wrote {html}")


def write_private(path: Path, text: str) -> None:
    """Write a file at once, readable by its owner only from its first byte on.

    Raises:
        OSError: it cannot be written.
    """
    handle, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
        os.replace(draft, path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def _texts(
    settings: Settings, policy: list[Path] | None, run: str | None, begin: datetime, end: datetime
) -> PolicyTexts:
    """The policies' text in force: of the files named, or of the topic."""
    from stepwatch.cli.policy import policy_files
    from stepwatch.store.report import PolicyTexts
    from stepwatch.streams.sets import load_files

    if policy:
        return _in_force(load_files(policy_files(policy)), begin, end)
    if run is not None:
        return PolicyTexts(missing="a run keeps no policies: name the files that it was judged by with --policy FILE")
    from stepwatch.agents.errors import RoleError
    from stepwatch.agents.policies import read_sets

    topic = settings.topics.policies
    try:
        sets = asyncio.run(read_sets(settings))
    except RoleError as error:
        return PolicyTexts(missing=f"the topic {topic} could not be read ({error}); --policy FILE shows a file instead")
    if sets is None:
        return PolicyTexts(missing=f"the topic {topic} holds no policy set; --policy FILE shows a file instead")
    return _in_force(sets, begin, end)


def _in_force(sets: PolicySets, begin: datetime, end: datetime) -> PolicyTexts:
    from stepwatch.schemas.times import format_time
    from stepwatch.store.report import PolicyTexts

    begin_us, end_us = (int(moment.timestamp() * 1_000_000) for moment in (begin, end))
    files: list[tuple[str, str, str]] = []
    ids: list[str] = []
    for one in sets.sets:
        since_us, until_us = sets.span(one)
        if since_us < end_us and until_us > begin_us:
            since = "" if one is sets.sets[0] else format_time(since_us)[:19] + "Z"
            files += [(since, Path(file.name).name, file.text) for file in one.files]
            ids += one.requirements
    return PolicyTexts(files, list(dict.fromkeys(ids)))
