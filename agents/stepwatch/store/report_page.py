"""A report as one page of HTML that needs nothing else: no script, no font, no picture from elsewhere.

Values are a producer's, so all of them are escaped, and characters that turn a line round or hide are shown as their
numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any, Final, NamedTuple

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape

from stepwatch.store.cells import is_number, is_time
from stepwatch.store.querybook import question
from stepwatch.store.report import ROWS_SHOWN, Report, summary
from stepwatch.store.report_controls import CONTROLS
from stepwatch.store.report_plots import DAYS_MOST, FILLS, PATTERNS, Bar, bars, by_week, stacked

VALUE_CHARACTERS_MAX: Final = 400
"""A longer value of a table is cut on the page; `--json` and `stepwatch export` have it whole."""
BARS_MOST: Final = 12
_KINDS: Final = ("verified", "unverified", "blind")
# Controls, and what changes the direction of writing or takes no room: a name must not look like another.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")
# Within a word only, and not in what escaping made: that has no such character but `;`.
_BREAKS = re.compile(r"(?<=\w)([._/@-])(?=\w)")


class Card(NamedTuple):
    """One of the first numbers; `tone` is good, bad or empty."""

    number: str
    words: str
    tone: str = ""


def render(report: Report) -> str:
    """The page."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=False)
    filters: dict[str, Callable[..., Any]] = {
        "moment": _moment,
        "day": lambda moment: f"{moment:%Y-%m-%d}",
        "number": _number,
        "safe_text": safe_text,
        "said": _said,
        "is_number": is_number,
        "is_time": is_time,
        "safe_lines": lambda text: "\n".join(_shown(line) for line in text.splitlines()),
    }
    environment.filters.update(filters)
    template = environment.from_string(
        (files("stepwatch.store") / "pages/" / "report.html").read_text(encoding="utf-8")
    )
    first = summary(report)
    days, weekly = _days(report)
    return template.render(
        report=report,
        asked=report.asked,
        policies=report.policies,
        controls=CONTROLS,
        titles={name: question(name).title for name in report.answers},
        read_so={name: _sentence(question(name).read_so) for name in report.answers},
        rows_shown=ROWS_SHOWN,
        found=_found(first),
        to_do=_to_do(first),
        cards=_cards(first),
        accounting=_accounting(first),
        exceptions_total=first["unverified"] + first["blind"] + first["policy_gaps"],
        patterns=PATTERNS,
        fills=FILLS,
        weekly=weekly,
        plots={
            "days": stacked(days, _KINDS, "Actions that needed a proof, over time", "actions"),
            "bypasses": bars(_bypasses(report), "Actions without a proof, by policy", "unverified"),
            "methods": bars(_methods(report), "Methods of the proofs that covered actions", "plain"),
        },
    )


def safe_text(text: str) -> Markup:
    """A value in a line, as it may be shown: escaped, longer ones cut, long names broken after their points."""
    shown = _shown(text)
    cut = shown if len(shown) <= VALUE_CHARACTERS_MAX else shown[: VALUE_CHARACTERS_MAX - 1] + "…"
    return Markup(_BREAKS.sub(r"\1<wbr>", str(escape(cut))))


def _shown(text: str) -> str:
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _moment(value: datetime | str) -> str:
    """To the second, without a fraction that nobody reads."""
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    return value[:19]


def _number(value: float) -> str:
    return f"{value:,}"


def _said(text: str) -> Markup:
    """A sentence of ours, with what stands between backticks as code."""
    parts = text.split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if index % 2 else escape(part) for index, part in enumerate(parts)
    )


def _sentence(text: str) -> str:
    """With a capital, unless it begins with a word of ours such as `source_silent`."""
    if "_" in text.partition(" ")[0]:
        return text
    return text[:1].upper() + text[1:]


def _days(report: Report) -> tuple[Sequence[tuple[str, dict[str, int]]], bool]:
    days = [(row["day"], {kind: row[kind] for kind in _KINDS}) for row in report.rows("verified_by_day")]
    return (by_week(days), True) if len(days) > DAYS_MOST else (days, False)


def _bypasses(report: Report) -> list[Bar]:
    rows = [row for row in report.rows("bypass_rate_by_policy") if row["unverified"]]
    rows.sort(key=lambda row: (-row["unverified"], row["policy"]))
    return [
        Bar(_shown(row["policy"]), row["unverified"], f"{row['unverified']:,} of {row['actions']:,}")
        for row in rows[:BARS_MOST]
    ]


def _methods(report: Report) -> list[Bar]:
    counts: dict[str, int] = {}
    for row in report.rows("methods_by_policy"):
        name = " + ".join(row["methods"]) or "no method said"
        counts[name] = counts.get(name, 0) + row["actions"]
    most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:BARS_MOST]
    return [Bar(_shown(name), count, f"{count:,} action{'s' * (count != 1)}") for name, count in most]


def _found(first: dict[str, Any]) -> str:
    """What is wrong, in two sentences."""
    if not first["needed_proof"]:
        return (
            "No action that took effect needed a proof: either nothing of weight happened, or no policy speaks of it."
        )
    of_all = f"{first['verified']:,} of {first['needed_proof']:,} actions that needed a proof"
    share = f"{of_all} had one ({first['verified_percent']} %)."
    if not first["unverified"] and not first["blind"]:
        return share
    return f"{share} {first['unverified']:,} had none, and of {first['blind']:,} nobody can tell."


def _to_do(first: dict[str, Any]) -> str:
    todo = []
    if first["difference"] or first["missing_revisions"]:
        todo.append("repair the tables first: their account does not come out even")
    if first["unverified"]:
        todo.append("ask about each exception by name")
    if first["blind"]:
        todo.append("repair the feeds behind the blind minutes")
    if first["policy_gaps"]:
        todo.append(f"write policies for the gaps ({first['policy_gaps']:,} heavy actions that none matched)")
    if first["dead_letters"]:
        todo.append(f"put back the {first['dead_letters']:,} records that could not be used")
    return f"What to do: {'; '.join(todo)}." if todo else "There is nothing to follow up in what was reported."


def _cards(first: dict[str, Any]) -> list[Card]:
    percent = "–" if first["verified_percent"] is None else f"{first['verified_percent']} %"
    whole = first["verified_percent"] == 100

    def bad(count: int) -> str:
        return "bad" if count else "good"

    return [
        Card(_number(first["actions"]), "actions reported"),
        Card(_number(first["needed_proof"]), "took effect and needed a proof"),
        Card(percent, "of these verified", "" if first["verified_percent"] is None else "good" if whole else "bad"),
        Card(_number(first["unverified"]), "unverified", bad(first["unverified"])),
        Card(_number(first["blind"]), f"blind, in {first['blind_minutes']:,} minutes", bad(first["blind"])),
        Card(_number(first["exempted"]), "exempt"),
        Card(_number(first["policy_gaps"]), "heavy, and no policy", bad(first["policy_gaps"])),
        Card(_number(first["alerts_open"]), "alerts not resolved", bad(first["alerts_open"])),
    ]


def _accounting(first: dict[str, Any]) -> str:
    even = not first["difference"] and not first["missing_revisions"]
    words = f"Actions in = verdicts out: {'yes' if even else 'NO'}. "
    if even:
        words += f"Each of the {first['actions']:,} actions in the tables has exactly one verdict in force, "
        words += "and no revision is missing. "
    else:
        words += f"{first['difference']:,} verdicts and {first['missing_revisions']:,} revisions are missing. "
    words += f"{first['dead_letters']:,} records were set aside as dead letters and are judged by nobody. "
    return words + "That every record of the topics came to one of these is checked apart: stepwatch doctor --account."
