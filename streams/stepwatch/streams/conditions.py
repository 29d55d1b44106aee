"""Conditions in CEL: compiled with their set, evaluated for the few actions that need it (contract 4).

Every variable but `time` is declared dynamic. So the library's checker finds what is not declared, while a
wrong type stays what the contract says it is: an error of the one evaluation, not a reason to refuse the set.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from cel_expr_python import cel

if TYPE_CHECKING:
    from stepwatch.streams.matching import Matchable

CONDITION_CHARS_MAX: Final = 8192
"""Length of one condition; the parser was seen to hold against 40,000 characters of any nesting."""
MACRO_INPUT_MAX: Final = 64 * 1024
"""Characters and members that a condition with a macro may see. The library stops after 10,000 rounds, but
each round may copy what it sees: without this bound one 250 KB event cost 25 s and 7 GB."""
NOTE_CHARS_MAX: Final = 200

_TEXTS: Final = (
    "tenant", "subject", "source", "session", "root_session", "action", "outcome", "transaction",
)  # fmt: skip
_MAPS: Final = ("client", "token", "decision")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MACRO: Final = re.compile(r"\b(?:all|exists|exists_one|existsOne|map|filter)\b")
_COMPLAINT: Final = re.compile(r"^(?:[A-Z_]+: )?ERROR: <input>:(-?\d+):(-?\d+): (.*)$", re.MULTILINE)
_UNDECLARED: Final = ("undeclared reference to ", "undefined field ")


class ConditionRefused(ValueError):
    """A condition that does not parse or names something undeclared."""

    code = "condition_refused"
    retriable = False


@cache
def _environment() -> cel.Env:
    names = [*_TEXTS, "resource", *_MAPS]
    return cel.NewEnv(variables={**dict.fromkeys(names, cel.Type.DYN), "time": cel.Type.TIMESTAMP})


class Condition:
    """One compiled condition.

    Attributes:
        text: as written.
        warning: what the type checker says of it, or empty; such a condition fails when it is evaluated.
    """

    __slots__ = ("_expression", "_has_macro", "text", "warning")

    def __init__(self, text: str, expression: cel.Expression, warning: str) -> None:
        self.text = text
        self.warning = warning
        self._expression = expression
        self._has_macro = _MACRO.search(text) is not None

    def __repr__(self) -> str:
        return f"Condition({self.text!r})"

    def evaluate(self, variables: Mapping[str, Any]) -> tuple[bool | None, str]:
        """Whether the condition holds.

        Args:
            variables: what `variables_of` returns.

        Returns:
            (True or False, ""), or (None, why) where it ends in an error or in something that is not a bool.
        """
        if self._has_macro and not _fits(variables, MACRO_INPUT_MAX):
            return (
                None,
                f"the event is too large for a condition with a macro: over {MACRO_INPUT_MAX} characters",
            )
        try:
            result = self._expression.eval(data=variables)
            value = result.value()
            if value is True or value is False:
                return value, ""
            kind = result.type()
        except Exception as error:  # whatever the library throws is an error of this evaluation
            return None, _in_words(str(error))
        if kind == cel.Type.ERROR:
            return None, _in_words(str(value))
        return None, f"the result is of type {kind.name().lower()}, not a bool"


def compile_condition(text: str) -> Condition:
    """Compile a condition.

    Args:
        text: CEL, not empty.

    Raises:
        ConditionRefused: it does not parse, is longer than CONDITION_CHARS_MAX, or names an undeclared
            variable, function or type; the message has all complaints. Wrong types are no reason.
    """
    if len(text) > CONDITION_CHARS_MAX:
        raise ConditionRefused(f"expected at most {CONDITION_CHARS_MAX} characters, got {len(text)}")
    environment = _environment()
    try:
        return Condition(text, environment.compile(text), "")
    except Exception as error:
        complaints = _complaints(str(error))
    undeclared = [said for said in complaints if any(word in said for word in _UNDECLARED)]
    if undeclared:
        raise ConditionRefused("; ".join(undeclared))
    try:
        expression = environment.compile(text, disable_check=True)
    except Exception as error:
        raise ConditionRefused("; ".join(_complaints(str(error)))) from None
    return Condition(text, expression, "; ".join(complaints))


def variables_of(action: Matchable) -> dict[str, Any]:
    """What a condition sees of an action: missing strings are `''`, members that are null are left out."""
    client, token, decision = action.maps()
    return {
        "tenant": action.tenant,
        "subject": action.subject,
        "source": action.source,
        "session": action.session,
        "root_session": action.root_session,
        "action": action.action,
        "outcome": action.outcome,
        "transaction": action.transaction,
        "resource": {
            "type": action.resource_type,
            "id": action.resource_id,
            "sensitivity": action.sensitivity,
        },
        "client": _present(client),
        "token": _present(token),
        "decision": _present(decision),
        "time": _EPOCH + timedelta(microseconds=action.time_us),
    }


def _present(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _fits(variables: Mapping[str, Any], left: int) -> bool:
    stack: list[Any] = [variables]
    while stack and left >= 0:
        value = stack.pop()
        if isinstance(value, str):
            left -= len(value)
        elif isinstance(value, Mapping):
            left -= 8 * len(value) + sum(map(len, value))
            stack.extend(value.values())
        elif isinstance(value, list):
            left -= 8 * len(value)
            stack.extend(value)
    return left >= 0


def _complaints(raw: str) -> list[str]:
    found = []
    for line, column, said in _COMPLAINT.findall(raw):
        said = said.removesuffix(" (in container '')").removesuffix(" [INVALID_ARGUMENT]")
        said = said.removesuffix(" (in container '')")
        # The parser names no place where it gives up on the depth.
        known = line.isdecimal() and 0 < int(line) <= CONDITION_CHARS_MAX
        place = f"line {line}, column {column}: " if known and line != "1" else f"column {column}: "
        found.append((place if known else "") + said)
    return list(dict.fromkeys(found)) or [_in_words(raw)]


def _in_words(raw: str) -> str:
    text = re.sub(r"^[A-Z_]+: ", "", re.sub(r" \[[A-Z_]+\]$", "", raw))
    text = re.sub(r'^Key not found in map : "(.*)"$', r"no such key: \1", text, flags=re.DOTALL)
    text = re.sub(r"^No matching overloads? found : ", "wrong type: ", text)
    return text if len(text) <= NOTE_CHARS_MAX else text[: NOTE_CHARS_MAX - 1] + "…"
