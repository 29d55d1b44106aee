"""The query book: questions that auditors and investigators ask, one file of `queries/` each, read from its header.

A header is a block of comments in this form; a line that goes on begins with four spaces after its dashes.

    -- Were all high-risk actions verified, policy by policy?
    --
    -- Part: verified
    -- Purpose: what the answer is for.
    -- Parameters (name | type | default | meaning):
    --   tenant | String | '' | whose; '' for every tenant
    -- Columns (name | meaning):
    --   policy | id of the policy
    -- Read it so: what a number means, and what it does not.

Values go to ClickHouse as parameters of the request (`{tenant:String}`), never into the text of the query.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any, Final

PARTS: Final = {
    "triggers": "Were triggers appropriately defined?",
    "verified": "Were all high-risk actions verified?",
    "people": "Were users verified properly?",
    "investigate": "Who did what, when, verified how, triggered why?",
    "accounting": "Is all of it there, and is it well?",
}
"""The parts of the book, in its order; the first three are the auditor's three questions (contract section 8)."""
REQUIRED: Final = "required"
"""The default of a parameter that has none."""
PERIOD_DAYS: Final = 30
"""How long before `until` a question begins where nobody says since when."""

Values = dict[str, Any]
"""Parameters by name as ClickHouse's client takes them: texts, and lists of texts."""

_PLACEHOLDER = re.compile(r"\{([a-z_]+):([A-Za-z0-9_(), ']+)\}")
_SECTION = re.compile(r"(Part|Purpose|Parameters|Columns|Read it so)(?: \([a-z |]+\))?:(?: (.*))?")
_DAYS_AGO = re.compile(r"(\d+)d before (\w+)")
_TIME = "DateTime64"


class BookError(ValueError):
    """A question is not in the book, or a value is none for its parameter; the message says what is expected."""

    code = "query_book"
    retriable = False


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a question has to be told.

    Attributes:
        type: of ClickHouse's, as in the placeholder.
        default: as written in the header: a value, `required`, `now`, or `30d before until`.
    """

    name: str
    type: str
    default: str
    meaning: str

    @property
    def required(self) -> bool:
        """Whether somebody has to give it."""
        return self.default == REQUIRED


@dataclass(frozen=True, slots=True)
class Column:
    """A column of an answer."""

    name: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Question:
    """One question of the book.

    Attributes:
        name: of its file, without `.sql`.
        title: the question itself.
        part: a key of `PARTS`.
        sql: the query, without its header.
    """

    name: str
    title: str
    part: str
    purpose: str
    parameters: tuple[Parameter, ...]
    columns: tuple[Column, ...]
    read_so: str
    sql: str

    def bind(self, given: Mapping[str, str], now: datetime) -> Values:
        """Each parameter with its value, as ClickHouse takes it.

        Args:
            given: values as typed. Times are RFC 3339; of a list with commas between, or a JSON array.
            now: what `now` means, with its zone; it chooses a period and decides nothing.

        Raises:
            BookError: a parameter is missing, unknown, or no time where one belongs.
        """
        known = {parameter.name: parameter for parameter in self.parameters}
        if unknown := sorted(set(given) - set(known)):
            raise BookError(f"query {self.name} has no parameter {unknown[0]}; it has {', '.join(known)}")
        values: dict[str, Any] = {}
        # `until` first: the default of `since` is counted from it.
        for parameter in sorted(self.parameters, key=lambda one: (not one.type.startswith(_TIME), one.name != "until")):
            values[parameter.name] = self._value(parameter, given.get(parameter.name), values, now)
        if values.get("since", "") > values.get("until", "9"):
            raise BookError(f"query {self.name}: since {values['since']} is after until {values['until']}")
        return values

    def _value(self, parameter: Parameter, text: str | None, values: Mapping[str, Any], now: datetime) -> Any:
        if text is None and parameter.required:
            raise BookError(
                f"query {self.name}: --param {parameter.name}=VALUE is needed: {parameter.meaning} ({parameter.type})"
            )
        if parameter.type.startswith("Array("):
            return parse_list(parameter.name, parameter.default if text is None else text)
        if not parameter.type.startswith(_TIME):
            return _unquoted(parameter.default) if text is None else text
        if text is not None:
            return clickhouse_time(parse_moment(parameter.name, text))
        if found := _DAYS_AGO.fullmatch(parameter.default):
            return clickhouse_time(_from_clickhouse(values[found[2]]) - timedelta(days=int(found[1])))
        return clickhouse_time(now)


def _unquoted(default: str) -> str:
    return default[1:-1] if default.startswith("'") else default


def parse_list(name: str, text: str) -> list[str]:
    """The texts of a list with commas between, or of a JSON array.

    Raises:
        BookError: it begins as a JSON array and is none of texts; `name` says in the message whose value it is.
    """
    if not text.startswith("["):
        return [one.strip() for one in text.split(",") if one.strip()]
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise BookError(f'{name}: expected a,b or a JSON array such as ["a","b"], got {text}')
    return found


def parse_moment(name: str, text: str) -> datetime:
    """A moment, in UTC, of a time in RFC 3339 or of a day (its beginning in UTC).

    Raises:
        BookError: it is neither; `name` says in the message whose value it is.
    """
    try:
        moment = datetime.fromisoformat(text.replace("z", "Z"))
    except ValueError as error:
        raise BookError(
            f"{name}: expected a time like 2026-11-24T09:00:00Z or a day like 2026-11-24, got {text!r}"
        ) from error
    if moment.tzinfo is None:
        if len(text) > len("2026-11-24"):
            raise BookError(f"{name}: {text!r} has no time zone: write {text}Z where UTC is meant")
        moment = moment.replace(tzinfo=UTC)
    try:
        moment = moment.astimezone(UTC)
    except OverflowError:
        moment = moment.replace(tzinfo=UTC)
    if not 1970 <= moment.year <= 2261:
        raise BookError(f"{name}: expected a year from 1970 to 2261, got {text!r}")
    return moment


def clickhouse_time(moment: datetime) -> str:
    """A moment as the value of a DateTime64(6, 'UTC')."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def _from_clickhouse(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=UTC)


@cache
def questions() -> dict[str, Question]:
    """Every question of the book by name, in the order of its parts."""
    found = [
        parse_question(file.name.removesuffix(".sql"), file.read_text(encoding="utf-8"))
        for file in (files("stepwatch.store") / "queries/").iterdir()
        if file.name.endswith(".sql")
    ]
    order = list(PARTS)
    found.sort(key=lambda question: (order.index(question.part), question.name))
    return {question.name: question for question in found}


def question(name: str) -> Question:
    """A question by name.

    Raises:
        BookError: there is none of that name; the message has those that look like it.
    """
    from difflib import get_close_matches

    book = questions()
    if name in book:
        return book[name]
    near = get_close_matches(name, book, n=3)
    hint = f"; is it {' or '.join(near)}?" if near else ""
    raise BookError(f"the book has no query {name}{hint} `stepwatch query list` shows all")


def parse_question(name: str, text: str) -> Question:
    """A question from the text of its file.

    Raises:
        BookError: the header is not in the form, or does not fit the query; the message says how.
    """
    header, sql = _split(text)
    if not header or not header[0].endswith("?") or header[1:2] != [""]:
        raise BookError(f"{name}.sql: expected a question and an empty comment line first")
    sections = _sections(name, header[2:])
    missing = [word for word in ("Part", "Purpose", "Parameters", "Columns", "Read it so") if not sections.get(word)]
    if missing:
        raise BookError(f"{name}.sql: {missing[0]} is missing in the header")
    made = Question(
        name=name,
        title=header[0],
        part=" ".join(sections["Part"]),
        purpose=" ".join(sections["Purpose"]),
        parameters=tuple(Parameter(*_cells(name, line, 4)) for line in sections["Parameters"]),
        columns=tuple(Column(*_cells(name, line, 2)) for line in sections["Columns"]),
        read_so=" ".join(sections["Read it so"]),
        sql=sql,
    )
    if made.part not in PARTS:
        raise BookError(f"{name}.sql: Part: expected one of {', '.join(PARTS)}, got {made.part}")
    said = {(parameter.name, parameter.type) for parameter in made.parameters}
    if said != (used := set(_PLACEHOLDER.findall(sql))):
        raise BookError(f"{name}.sql: the header says {sorted(said - used)}, the query uses {sorted(used - said)}")
    return made


def _split(text: str) -> tuple[list[str], str]:
    lines = text.splitlines()
    end = next((index for index, line in enumerate(lines) if not line.startswith("--")), len(lines))
    return [line[2:].removeprefix(" ").rstrip() for line in lines[:end]], "\n".join(lines[end:]).strip()


def _sections(name: str, lines: list[str]) -> dict[str, list[str]]:
    """The lines of each section, those that go on joined to the one before."""
    sections: dict[str, list[str]] = {}
    here: list[str] | None = None
    for line in lines:
        if begun := _SECTION.fullmatch(line):
            here = sections.setdefault(begun[1], [])
            here += [begun[2]] if begun[2] else []
        elif here is None:
            raise BookError(f"{name}.sql: expected a section such as `Purpose:`, got {line!r}")
        elif here and line.startswith("    "):
            here[-1] += " " + line.strip()
        else:
            here.append(line.strip())
    return sections


def _cells(name: str, line: str, count: int) -> list[str]:
    cells = [cell.strip() for cell in line.split(" | ")]
    if len(cells) != count:
        raise BookError(f"{name}.sql: expected {count} cells between |, got {line!r}")
    return cells
