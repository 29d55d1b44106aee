"""`stepwatch explain`: why an action was judged so, and what would have made it verified."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from stepwatch.cli.actions_file import ActionsFile, use_actions
from stepwatch.cli.asking import Data, RunName
from stepwatch.cli.errors import Misused
from stepwatch.cli.lines import AS_THEY_ARE
from stepwatch.cli.screen import say


def explain(
    action: Annotated[str, typer.Argument(metavar="ACTION", help="Its id, or tenant/source/id.")],
    events: Annotated[
        list[str] | None,
        typer.Option(
            "--events", metavar="FILE", help="A file or folder of events, as `replay` reads it; give several."
        ),
    ] = None,
    policy: Annotated[
        list[Path] | None,
        typer.Option(
            "--policy", metavar="FILE", help="A policy file or folder; for stored actions default: as applied."
        ),
    ] = None,
    tenant: Annotated[str, typer.Option(metavar="TENANT", help="Only an action of this one.")] = "",
    source: Annotated[str, typer.Option(metavar="SOURCE", help="Only an action of this source.")] = "",
    log: Annotated[
        str, typer.Option("--from", metavar="SOURCE", help="Whose log the files are, by `sources list`.")
    ] = AS_THEY_ARE,
    actions: ActionsFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object with everything.")] = False,
    run: RunName = None,
    data: Data = None,
) -> None:
    """Explain the verdict of one action.

    Which policy applies, line by line; every filter on every proof, and by how much; the timeline; which single change
    would have made it verified, each tried by the stream's own engine. Of files with --events, or of what ClickHouse
    has stored.

    Exit status 0; 2 where there is no such action, or several; 3 where a server does not answer.
    """
    from stepwatch.cli.explain_input import Meant, find
    from stepwatch.cli.explain_show import as_object, lines_of
    from stepwatch.streams.tuning.explaining import explain as explained
    from stepwatch.streams.tuning.remedies import remedies

    if events and (run is not None or data is not None):
        raise Misused("--run and --data mean stored events: leave them out, or --events")
    use_actions(actions, log)
    found = find(Meant(action, tenant, source, tuple(events or ()), log, tuple(policy or ()), data, run))
    said = explained(found.gathered, found.sets, found.key)
    changes = remedies(found.gathered, found.sets, said)
    if as_json:
        print(json.dumps(as_object(said, changes, found.on_record, found.notes), ensure_ascii=False))
        return
    for note in found.notes:
        say(note)
    for line in lines_of(said, changes, found.on_record):
        print(line)
