"""`--actions FILE.yaml`: actions that a user adds to the tables of the adapters."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from stepwatch.cli.errors import Misused
from stepwatch.cli.lines import AS_THEY_ARE

ActionsFile = Annotated[
    Path | None, typer.Option("--actions", metavar="FILE.yaml", help="Your own entries for the tables of actions.")
]


def use_actions(path: Path | None, source: str = "") -> None:
    """Read a file of actions and let its entries count in this process, before any adapter reads a line.

    Args:
        path: the file; None: nothing to do.
        source: what is read, the word after `--from`.

    Raises:
        Misused: it cannot be read, or something in it is wrong (each complaint with file, line and field), or
            no product's log is read at all.
    """
    if path is None:
        return
    if source == AS_THEY_ARE:
        raise Misused("--actions means something with --from SOURCE only: events as they are name their own actions")
    from stepwatch.sources.extra_actions import Complaint, install, parse_extra
    from stepwatch.streams.yamltext import Problem, read_yaml, show_path

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Misused(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    document = read_yaml(str(path), text)

    def placed(complaints: Iterable[Complaint]) -> list[Problem]:
        found = []
        for complaint in complaints:
            near = complaint.path
            while near and near not in document.lines:
                near = near[:-1]
            line = document.lines.get(near, 1)
            found.append(Problem(str(path), line, show_path(complaint.path), complaint.message))
        return found

    if document.data is None and document.problems and document.problems[0].message.startswith("not YAML"):
        raise Misused(str(document.problems[0]))
    extra, complaints = parse_extra(document.data)
    problems = (document.problems if document.data is not None else []) + placed(complaints)
    if not problems:
        problems = placed(install(extra))
    if problems:
        raise Misused("\n".join(map(str, sorted(problems, key=lambda problem: problem.line))))
