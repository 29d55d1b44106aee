"""The picture is to scale, and shows the window, the gap and what lies before it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from stepwatch.console.drawing import NARROW, WIDE, Paper, draw
from stepwatch.console.timeline import Picture, around_action, around_span, marks_of

ZERO_US = 1_795_511_000_000_000
MINUTE_US = 60_000_000


def proof(minutes_before: float, id: str = "v", type: str = "stepup.verified", **more: Any) -> dict[str, Any]:
    """A row of an authentication event."""
    texts = dict.fromkeys(
        ("client_ip", "client_device", "client_country", "acr", "challenge", "verification", "credential",
         "credential_change", "bound_action", "reason", "failure"), "",
    )  # fmt: skip
    at_us = ZERO_US - int(minutes_before * MINUTE_US)
    row = {"at_us": at_us, "time_us": at_us, "type": type, "source": "/idp", "id": id, "session": "s", "amr": ["hwk"]}
    return {**texts, "late": False, **row, **more}


def action(minutes_before: float = 0, id: str = "a", **more: Any) -> dict[str, Any]:
    """A row of an action."""
    row = {
        "at_us": ZERO_US - int(minutes_before * MINUTE_US), "tenant": "acme", "source": "/app", "id": id,
        "action": "payments.payout.approve", "resource_type": "payout", "resource_id": "po", "outcome": "success",
        "session": "s", "client_ip": "", "client_device": "", "client_country": "", "verdict": "unverified",
        "reason": "stale", "verification": "", "nearest_miss": "",
    }  # fmt: skip
    return {**row, **more}


def picture(*proofs: dict[str, Any], nearest: float | None = None, max_age: int = 5, skew: int = 0) -> Picture:
    """The picture of an action at minute 0."""
    marks = marks_of(list(proofs), [action()], action())
    nearest_us = None if nearest is None else ZERO_US - int(nearest * MINUTE_US)
    return around_action(marks, ZERO_US, max_age * MINUTE_US, skew * MINUTE_US, nearest_us)


def number(pattern: str, svg: str) -> list[float]:
    """The numbers of the first match."""
    found = re.search(pattern, svg)
    assert found is not None, svg
    return [float(one) for one in found.groups()]


@pytest.mark.parametrize("paper", [WIDE, NARROW])
def test_a_mark_stands_where_its_time_is_on_the_axis(paper: Paper) -> None:
    drawn = picture(proof(10), nearest=10)
    svg = draw(drawn, paper, "t")
    (x,) = number(r'<circle class="outline" cx="([\d.]+)"', svg)
    begin, width = number(r'<rect class="window" x="([\d.]+)" y="[\d.]+" width="([\d.]+)"', svg)
    zero = begin + width
    # Ten minutes are twice as long as the window of five.
    assert zero - x == pytest.approx(2 * width, abs=0.3)
    (line,) = number(r'<path class="zero" d="M([\d.]+)', svg)
    assert line == pytest.approx(zero, abs=0.2)


def test_the_gap_reaches_from_the_nearest_proof_to_the_window_and_says_how_long_it_is() -> None:
    drawn = picture(proof(5.7), nearest=5.7)
    assert drawn.gap is not None
    assert (drawn.gap.end_us - drawn.gap.begin_us, drawn.gap.label) == (42_000_000, "42 s too old")
    svg = draw(drawn, WIDE, "t")
    begin, end = number(r'<path class="gap" d="M([\d.]+) [\d.]+H([\d.]+)', svg)
    (x,) = number(r'<circle class="outline" cx="([\d.]+)"', svg)
    (window,) = number(r'<rect class="window" x="([\d.]+)"', svg)
    assert (begin, end) == (pytest.approx(x, abs=0.1), pytest.approx(window, abs=0.1))


def test_a_proof_exactly_max_age_old_leaves_no_gap_and_one_just_older_does() -> None:
    assert picture(proof(5), nearest=5).gap is None
    assert picture(proof(5), nearest=5.001).gap is not None


def test_a_proof_after_the_skew_is_too_late_by_what_lies_beyond_it() -> None:
    assert picture(proof(-1), nearest=-1, skew=1).gap is None
    gap = picture(proof(-3), nearest=-3, skew=1).gap
    assert gap is not None
    assert gap.label == "2 min too late"


def test_what_lies_out_of_all_scale_is_an_arrow_at_the_edge_with_its_age() -> None:
    drawn = picture(proof(600, "login", "session.started"), proof(1), nearest=1)
    assert [mark.key[1] for mark in drawn.earlier] == ["login"]
    assert "login 10 h before" in draw(drawn, WIDE, "t")


def test_the_proof_that_covers_and_the_nearest_miss_are_told_apart_by_sign_and_word() -> None:
    focus = action(verdict="verified", verification="v-1")
    covered, missed = proof(1, "x", verification="v-1"), proof(2, "y")
    marks = marks_of([covered, missed], [focus], focus)
    assert [(mark.what, mark.tone) for mark in marks[:2]] == [
        ("proof", "calm"),
        ("proof: it covers the action", "good"),
    ]
    focus = action(nearest_miss='{"verification": "y", "failed": ["stale"]}')
    marks = marks_of([covered, missed], [focus], focus)
    assert [(mark.what, mark.tone) for mark in marks[:2]] == [("proof: the nearest miss", "bad"), ("proof", "calm")]


def test_marks_too_near_to_be_told_apart_are_one_with_their_numbers_and_the_worst_of_their_signs() -> None:
    rows = [proof(1 + number / 1000, f"c{number}", "stepup.challenged") for number in range(4)]
    rows.append(proof(1.01, "bad", "stepup.denied"))
    svg = draw(picture(*rows), WIDE, "t")
    assert "1…5</text>" in svg
    assert 'class="mark bad"' in svg
    assert svg.count('class="mark calm"') == 0


def test_names_of_strangers_are_escaped_in_the_picture() -> None:
    hostile = '"><script>alert(1)</script>'
    svg = draw(picture(proof(1, session=hostile, bound_action=hostile, client_ip=hostile)), WIDE, hostile)
    assert "<script" not in svg
    assert "style=" not in svg


def test_one_moment_and_no_event_have_a_picture_too() -> None:
    marks = marks_of([], [action()])
    assert draw(around_span(marks, ZERO_US, ZERO_US), WIDE, "t")
    assert draw(around_span([], ZERO_US, ZERO_US), NARROW, "t")


def test_a_flood_is_cut_to_the_newest_and_counted() -> None:
    marks = marks_of([proof(4 - number / 1000, f"p{number}") for number in range(1000)], [])
    drawn = around_action(marks, ZERO_US, 5 * MINUTE_US, 0, None)
    assert (len(drawn.marks), drawn.omitted) == (300, 700)
    assert drawn.marks[-1].key == ("/idp", "p999")
