"""What a person sees: the first two lines of an alert, the progress, the summary, on any width."""

from __future__ import annotations

import io
from typing import Any

import pytest

from stepwatch.demo.show import Ending, Screen, Summary, alert_lines, progress_line, summary_lines
from stepwatch.notifiers.notices import Happening, Notice, Seen, ShownAlert

STALE = ShownAlert(
    alert_id="al_" + "3" * 32,
    version=1,
    kind="unverified_action",
    severity="critical",
    state="open",
    subject="jonas.weber",
    policy="payout-approve",
    reason="stale",
    title="jonas.weber: payments.payout.release on payout po-2302: not verified",
    explanation="the last proof was too old; nearest: security key tap 6 min 40 s too old",
    runbook="https://runbooks.acme.example/payments/payout-without-proof",
    owner="payments-oncall",
    count=1,
    first_time="2026-11-24T13:05:10.000000Z",
)


class Terminal(io.StringIO):
    """A stream behind which somebody sits."""

    def isatty(self) -> bool:
        return True


def shown(
    happening: Happening = Happening.OPENED, before: Seen | None = None, columns: int = 80, **changes: Any
) -> list[str]:
    alert = ShownAlert(**{**{name: getattr(STALE, name) for name in STALE.__struct_fields__}, **changes})
    lines, small = alert_lines(Notice(happening, alert, before), columns)
    return lines + small


def test_the_first_two_lines_say_who_did_what_which_proof_is_missing_by_how_much_and_what_to_do() -> None:
    first, second, *_ = shown(columns=120)
    assert first == "OPENED critical   jonas.weber: payments.payout.release on payout po-2302"
    assert second == " " * 18 + "not verified: security key tap 6 min 40 s too old · do: call payments-oncall"


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_no_line_is_wider_than_the_terminal_but_for_one_long_word(columns: int) -> None:
    lines = shown(columns=columns)
    assert [line for line in lines if len(line) > columns and " " in line[18:].strip()] == []


def test_what_a_person_said_goes_before_how_near_a_proof_came() -> None:
    lines = shown(reason="denied", explanation="the person said no to the last challenge; nearest: face 1 s too old")
    assert "the person said no to the last challenge" in " ".join(line.strip() for line in lines)


def test_one_that_resolves_itself_says_why_and_that_there_is_nothing_to_do() -> None:
    first, second, *_ = shown(Happening.RESOLVED, state="resolved", resolved_by="late_verification", columns=120)
    assert first.startswith("RESOLVED          jonas.weber")
    assert second.strip() == "verified now: the proof came late, and covers it · do: nothing"


def test_one_that_became_worse_says_what_is_worse() -> None:
    before = Seen(1, "open", "high", "stale", 1)
    assert "now critical, was high: not verified" in " ".join(shown(Happening.WORSE, before, columns=120))


def test_a_subject_cannot_redraw_the_screen() -> None:
    assert "\x1b" not in "".join(shown(title="\x1b[2Jmallory: did it: not verified"))


def test_colours_and_progress_are_for_terminals_only() -> None:
    for stream, coloured in ((Terminal(), True), (io.StringIO(), False)):
        screen = Screen(stream, stream, {})
        screen.progress("half way")
        screen.tell(Notice(Happening.OPENED, STALE, None))
        assert ("\x1b[" in stream.getvalue()) is coloured
        assert ("half way" in stream.getvalue()) is coloured


def test_no_color_leaves_the_progress_and_takes_the_colours() -> None:
    out, err = Terminal(), Terminal()
    screen = Screen(out, err, {"NO_COLOR": "1"})
    screen.progress("half way")
    screen.tell(Notice(Happening.OPENED, STALE, None))
    assert "\x1b" not in out.getvalue()
    assert "half way" in err.getvalue()


def test_progress_fits_eighty_columns_and_says_when_the_source_is_silent() -> None:
    line = progress_line(1.0, "14:32", 12_345, 10, 10, True)
    assert len(line) < 80
    assert "/idp SILENT" in line


def test_the_summary_says_what_did_not_end_as_it_must() -> None:
    out = io.StringIO()
    screen = Screen(out, out, {})
    summary = Summary(
        actions=3000,
        authentications=1500,
        people=310,
        seconds=52.0,
        verdicts={"verified": 300, "unverified": 20},
        stopped=12,
        alerts_raised=14,
        alerts_resolved=5,
        alerts_open=9,
        dead_letters=["invalid (json)"],
        detections_s=(0.1, 0.4),
        detection_count=20,
        peak_bytes=1_200_000_000,
        endings=[
            Ending("a stale proof", "Jonas Weber", "unverified, stale"),
            Ending("a replay", "", "equal", [f"difference {n}" for n in range(12)]),
        ],
    )
    text = "\n".join(summary_lines(summary, screen))
    for words in (
        "4,500 in 52 s",
        "300 verified",
        "12 were stopped by the application",
        "median 0.10 s, p99 0.40 s beyond the grace",
        "1.20 GB",
        "ok  a stale proof (Jonas Weber): unverified, stale",
        "NOT a replay: equal",
        "difference 9",
        "and 2 more",
    ):
        assert " ".join(words.split()) in " ".join(text.split())
