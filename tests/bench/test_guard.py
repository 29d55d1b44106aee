"""The guard against getting slower: what it compares, when it fails, when it says that it cannot tell."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from tests.bench import guard
from tests.bench.counted import parts
from tests.bench.guard import Change, changes, table

FOUND = {"plain action": 1000.0}


@pytest.fixture
def baseline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A baseline of this machine, a valgrind that is there, and counts that need none."""
    path = tmp_path / "instructions.json"
    monkeypatch.setattr(guard, "BASELINE", path)
    monkeypatch.setattr(guard, "count", lambda: FOUND)
    monkeypatch.setattr(shutil, "which", lambda name: name)
    monkeypatch.setattr(sys, "argv", ["guard"])
    return path


def write(path: Path, made_with: dict[str, str], count: float) -> None:
    path.write_text(json.dumps({"made_with": made_with, "instructions_an_event": {"plain action": count}}))


def test_a_tenth_more_is_let_through_and_more_than_that_is_not() -> None:
    assert not Change("p", 1000, 1100).too_much
    assert Change("p", 1000, 1101).too_much
    assert not Change("p", 1000, 1).too_much


def test_a_part_that_was_not_counted_on_both_sides_is_shown_and_not_compared() -> None:
    found = changes({"old": 5, "both": 100}, {"both": 90, "new": 7})
    assert [(change.part, change.percent) for change in found] == [
        ("both", pytest.approx(-10)),
        ("new", None),
        ("old", None),
    ]
    assert not any(change.too_much for change in found)
    assert "-10.0 %" in table(found)


def test_it_fails_past_ten_percent_and_names_the_part(baseline: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(baseline, guard.here(), 909)
    assert guard.main() == 1
    assert "plain action" in capsys.readouterr().out.splitlines()[-1]
    write(baseline, guard.here(), 910)
    assert guard.main() == 0


def test_counts_of_another_build_of_python_are_not_compared(baseline: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(baseline, {**guard.here(), "python": "CPython 3.99"}, 1)
    assert guard.main() == 0
    assert "not compared: the baseline holds for CPython 3.99" in capsys.readouterr().out


def test_without_valgrind_nothing_is_compared_and_it_says_so(
    baseline: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(baseline, guard.here(), 1)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert guard.main() == 0
    assert "no valgrind" in capsys.readouterr().out


def test_accepting_writes_what_holds_from_now_on_and_keeps_what_was_not_counted(
    baseline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(baseline, guard.here(), 1)
    known = json.loads(baseline.read_text())
    known["instructions_an_event"]["native"] = 70
    baseline.write_text(json.dumps(known))
    monkeypatch.setattr(sys, "argv", ["guard", "--accept"])
    assert guard.main() == 0
    said = json.loads(baseline.read_text())
    assert said["instructions_an_event"] == {"plain action": 1000.0, "native": 70}
    assert said["made_with"] == guard.here()


def test_what_is_counted_does_what_its_name_says() -> None:
    names = []
    for part in parts():
        assert part.events > 0
        names.append(part.name)
    assert names[:4] == ["plain action", "step-up", "policed action", "event of a mixed log"]
