"""The judged cases of the shared field folder: where they lie, and how rows are held against them."""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Row = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """One folder of `field/cases` that has an events.jsonl."""

    name: str
    folder: Path
    runs: tuple[Row, ...]  # of expected.json

    def lines(self) -> list[bytes]:
        """The lines of the case's events."""
        return (self.folder / "events.jsonl").read_bytes().splitlines()

    def policies(self, run: Row) -> list[Path]:
        """The policy files of one run."""
        return [self.folder / name for name in run["policies"]]

    def __str__(self) -> str:
        return self.name


def field_folder() -> Path | None:
    """The cases below STEPWATCH_SHARED, or else below a `shared` folder beside the checkout."""
    shared = os.environ.get("STEPWATCH_SHARED") or Path(__file__).parents[3] / "shared"
    folder = Path(shared) / "field" / "cases"
    return folder if folder.is_dir() else None


def cases() -> list[Case]:
    """The judged cases, by name; none where the folder is absent."""
    folder = field_folder()
    found = sorted(folder.glob("*/events.jsonl")) if folder else []
    return [Case(path.parent.name, path.parent, read_runs(path.parent)) for path in found]


def read_runs(folder: Path) -> tuple[Row, ...]:
    return tuple(json.loads((folder / "expected.json").read_text())["runs"])


def check(case: Case, run: Row, rows: Iterable[Row] | None) -> list[str]:
    """What differs between the rows of contract section 10 and what a run expects.

    Args:
        case: the case, for the wording.
        run: one of `case.runs`.
        rows: all rows of `replay --json`; None where the policy set was refused.

    Returns:
        One line for each difference; none where all is right.
    """
    where = f"{case.name} {'+'.join(run['policies'])}"
    if run.get("refused") or rows is None:
        refused = rows is None
        return [] if bool(run.get("refused")) == refused else [f"{where}: refused: {refused}"]
    kept = list(rows)
    differences = [*verdicts(run, kept), *rejected(run, kept), *alerts(run, kept)]
    return [f"{where}: {difference}" for difference in differences]


def of_kind(rows: Sequence[Row], kind: str) -> list[Row]:
    return [row for row in rows if row["kind"] == kind]


def mismatch(wanted: Row, row: Row) -> list[str]:
    """The named fields that differ; `nearest` is part of nearest_miss."""
    given = {**row, "nearest": {k: (row.get("nearest_miss") or {}).get(k) for k in wanted.get("nearest", {})}}
    return [f"{k}: wanted {v!r}, got {given.get(k)!r}" for k, v in wanted.items() if given.get(k) != v]


def verdicts(run: Row, rows: Sequence[Row]) -> list[str]:
    """Every expected verdict once, with the fields that are named, and no other action."""
    differences = []
    got = {row["action_id"]: row for row in of_kind(rows, "verdict")}
    if len(got) != len(of_kind(rows, "verdict")):
        differences.append("an action has more than one verdict")
    for wanted in run.get("verdicts", []):
        row = got.pop(wanted["action_id"], None)
        found = ["no verdict"] if row is None else mismatch(wanted, row)
        differences += [f"{wanted['action_id']}: {difference}" for difference in found]
    return differences + [f"{name}: a verdict that nobody expects" for name in got]


def rejected(run: Row, rows: Sequence[Row]) -> list[str]:
    """Rejections by id and field; those of `rejected_any` may be there or not."""
    free = {entry["id"] if isinstance(entry, dict) else entry for entry in run.get("rejected_any", [])}
    wanted = {(entry["id"], entry["field"]) for entry in run.get("rejected", [])}
    got = {(row["id"], row["field"]) for row in of_kind(rows, "rejected") if row["id"] not in free}
    return [f"not rejected: {entry}" for entry in sorted(wanted - got)] + [
        f"rejected: {entry}" for entry in sorted(got - wanted, key=repr)
    ]


def alerts(run: Row, rows: Sequence[Row]) -> list[str]:
    """Alerts of the kinds in `alerts_only`: each expected one is there, and there are no others."""
    left = [row for row in of_kind(rows, "alert") if row["alert"] in run.get("alerts_only", [])]
    differences = []
    for wanted in run.get("alerts", []):
        row = next((row for row in left if not mismatch(wanted, row)), None)
        if row is None:
            differences.append(f"no such alert: {wanted}")
        else:
            left.remove(row)
    return differences + [f"an alert that nobody expects: {row}" for row in left]
