"""streams/README.md, the tuner's page: its pictures are to scale, and its worked examples say what the commands say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import pytest

from stepwatch.schemas.policy import Defaults, parse_duration
from stepwatch.schemas.times import HOUR_US, SECOND_US
from tests.cli.console import ROOT, run

PAGE = (ROOT / "streams" / "README.md").read_text(encoding="utf-8")
ELLIPSIS = "…"
SCALES = {"a character is 10 seconds": 10 * SECOND_US, "a character is an hour": HOUR_US}
DEFAULTS = Defaults()


def picture(scale: str) -> list[str]:
    """The lines of the picture that is drawn to a scale."""
    after = PAGE.split(scale, 1)[1].split("\n\n", 2)[1]
    return [line.removeprefix("    ") for line in after.splitlines()]


@pytest.mark.parametrize("scale", SCALES)
def test_every_bar_is_as_long_as_the_default_that_it_shows(scale: str) -> None:
    bars = {}
    for line in picture(scale):
        if said := re.fullmatch(r" *(█+) +(\w+) (\w+).*", line):
            bars[said[2]] = (len(said[1]) * SCALES[scale], parse_duration(said[3]))
    assert len(bars) == (2 if scale.endswith("seconds") else 4)
    for name, (drawn_us, named_us) in bars.items():
        assert drawn_us == named_us == getattr(DEFAULTS, name)


@pytest.mark.parametrize("scale", SCALES)
def test_the_ruler_of_a_picture_is_to_the_same_scale(scale: str) -> None:
    ruler, ticks = picture(scale)[:2]
    marks = {said.start(): said[0] for said in re.finditer(r"\S+", ruler)}
    (zero,) = [column for column, mark in marks.items() if mark in ("A", "a")]
    assert [column for column, sign in enumerate(ticks) if sign == "|"] == sorted(marks)
    for column, mark in marks.items():
        if column != zero:
            sign = -1 if mark.startswith("-") else 1
            assert (column - zero) * SCALES[scale] == sign * parse_duration(mark[1:])


def test_max_age_and_lookback_end_at_the_deed_and_what_waits_begins_after_it() -> None:
    near, far = (picture(scale) for scale in SCALES)
    (fresh,) = [line for line in near if " max_age " in line]
    assert fresh.rindex("█") + 1 == near[0].index("A")
    for name, begins in (("lookback", 0), ("revise_within", far[0].index("a")), ("accept_late", far[0].index("a"))):
        (line,) = [line for line in far if f" {name} " in line]
        assert line.index("█") == begins


def examples() -> Iterator[tuple[str, list[str]]]:
    """Each command of the page that is shown with `$`, and what is shown below it."""
    lines = PAGE.splitlines()
    for number, line in enumerate(lines):
        if line.startswith("    $ "):
            shown = takewhile(
                lambda one: not one.startswith("    $ ") and (one == "" or one[:4] == "    "), lines[number + 1 :]
            )
            yield line.removeprefix("    $ "), [one.removeprefix("    ") for one in shown]


def agree(shown: list[str], said: list[str]) -> bool:
    """Whether what is shown is what was said; a line with an ellipsis stands for any lines."""
    if not shown:
        return not said
    if shown[0] == ELLIPSIS:
        return any(agree(shown[1:], said[skipped:]) for skipped in range(len(said) + 1))
    return bool(said) and shown[0] == said[0] and agree(shown[1:], said[1:])


def test_an_ellipsis_stands_for_lines_and_nothing_else_does() -> None:
    assert agree(["a", ELLIPSIS, "d"], ["a", "b", "c", "d"])
    assert not agree(["a", ELLIPSIS, "d"], ["a", "b", "c"])
    assert not agree(["a", "d"], ["a", "b", "d"])


def test_the_worked_examples_say_what_the_commands_say(tmp_path: Path) -> None:
    (tmp_path / "deploy").symlink_to(ROOT / "deploy")
    found = list(examples())
    assert len(found) >= 3
    for command, shown in found:
        name, *words = command.split()
        assert name == "stepwatch"
        target = words[-1] if words[-2:-1] == [">"] else ""
        done = run(tmp_path, *(words[:-2] if target else words))
        assert done.status == 0, done.err
        if target:
            (tmp_path / target).write_text(done.out)
            assert "".join(shown) == ""
        else:
            said = [line.rstrip() for line in done.out.rstrip().splitlines()]
            assert agree([*"\n".join(shown).rstrip().splitlines()], said), f"{command} says\n{done.out}"
