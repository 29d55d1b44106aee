"""The mould of an adapter: one product's log lines said in the words of contract section 3.

An adapter is a pure function of one line. Every line becomes at least one event, or a `Skip` that names the
reason and the field, so that nothing disappears without a count. Rules that all adapters keep:

- **Nothing invented.** What the log does not say stays absent. An unreadable time is no event, never "now"
  and never 1970.
- **One id for each row and each event in it**: the product's own id, `#`, and the step (`u-13#verified`),
  since the first body of an id is the event. A row without an id gets the SHA-256 of the row: read twice, it
  is the same event.
- **No pseudo-persons.** "unknown", masks and empty names name nobody. A service may act, but never proves who
  a person is.
- **The client is whoever initiated it**: an address or agent of the product's own back-end, or of the phone
  that approved, is left out.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from ipaddress import ip_address
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from stepwatch.schemas.times import SECOND_US, format_time, parse_time

TEXT_MAX: Final = 4096
"""Characters. A longer text names nothing; so every event stays far below the contract's 256 KiB."""
USER_AGENT_MAX: Final = 1024
"""Characters; the rest is cut."""

Event = dict[str, object]
"""A CloudEvents 1.0 object of contract section 3."""


class Skip(NamedTuple):
    """A line, or a record in it, that is no event: counted with its reason.

    Attributes:
        reason: one of few fixed sentences, fit to be counted.
        field: what was missing or decided it, in the contract's words (`json`, `type`, `time`, `subject`,
            `outcome`, ...).
    """

    reason: str
    field: str


NOT_JSON: Final = Skip("not a JSON object", "json")
NO_RECORD: Final = Skip("an envelope without a record", "json")
NO_TYPE: Final = Skip("does not say what happened", "type")
NO_TIME: Final = Skip("no readable time", "time")
NOBODY: Final = Skip("nobody is named", "subject")
SYSTEM: Final = Skip("the product itself acts, no person", "subject")
MACHINE: Final = Skip("a machine cannot prove who a person is", "subject")
NOTICE: Final = Skip("a notice of the product, no deed", "type")
LOGIN_STEP: Final = Skip("a step of a login, which has its own row", "type")
SECOND_ROW: Final = Skip("the end of a deed that has its own row", "type")
FAILED_LOGIN: Final = Skip("a failed login proves nothing and is no step-up", "outcome")
NO_OUTCOME: Final = Skip("does not say how it ended, or not as it would count", "outcome")
NO_SESSION: Final = Skip("names no session: as a revocation it would void every proof", "session")

THEIRS_NOT_SAID: Final[dict[str, Any]] = {"session": "", "root_session": "", "client": {}}
"""For an event about somebody else than the actor: the actor's session and machine are not theirs."""


class Adapter(Protocol):
    """One product's log, read line by line."""

    @property
    def name(self) -> str:
        """The word after `--from`."""

    def events(self, line: bytes) -> list[Event | Skip]:
        """What one line of a file says, in the order in which it should be sent; never raises.

        Returns:
            One or more events or skips; nothing for a blank line.
        """


def decode_line(line: bytes) -> Any:
    """The JSON value of a line, or `NOT_JSON`.

    A lone surrogate or a byte that is no UTF-8 becomes `?`: whoever can put one into a user agent could
    otherwise make the whole row unreadable.
    """
    try:
        return msgspec.json.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    try:
        value = json.loads(line.decode("utf-8", "replace").removeprefix("\ufeff"))
        clean = json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")
        return msgspec.json.decode(clean)
    except (ValueError, RecursionError, msgspec.MsgspecError):
        return NOT_JSON


def at(value: Any, *path: str) -> Any:
    """The value under nested keys, None wherever an object is missing or something else stands there."""
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def text(value: Any) -> str:
    """A string, `""` for every other type and for one longer than `TEXT_MAX`."""
    return value if type(value) is str and len(value) <= TEXT_MAX else ""


_NOBODY_NAMES: Final = frozenset(
    {
        *("unknown", "undefined", "null", "none", "nil", "-", "n/a", "na", "redacted", "anonymous"),
        *("anonymous_principal", "hidden_due_to_security_reasons"),
    }
)
_NOBODY_CHARS_MAX: Final = max(map(len, _NOBODY_NAMES))


def ident(value: Any) -> str:
    """A string or number that names something; `""` for a placeholder (`unknown`, `-`, `...`, `<mask>`)."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if abs(value) < 1 << 64 else ""
    name = text(value).strip()
    if len(name) <= _NOBODY_CHARS_MAX and (not name or name.lower() in _NOBODY_NAMES):
        return ""
    if name[0] in ".*?<" and (not name.strip(".*?") or (name[0] == "<" and name[-1] == ">")):
        return ""
    return name


def only(values: list[str]) -> str:
    """The one value there is; `""` where there is none, or several different ones."""
    found = set(values) - {""}
    return found.pop() if len(found) == 1 else ""


_LOOSE = re.compile(
    r"(\d{4})-?(\d\d)-?(\d\d)[Tt ](\d\d):?(\d\d):?(\d\d)(?:[.,](\d{1,12}))?"
    r" ?(?:([Zz]|UTC)|([+-])(\d\d):?(\d\d)?)?",
    re.ASCII,
)
_EPOCH_DIGITS = re.compile(r"\d{10}(?:\d{3})?(?:\.\d{1,9})?", re.ASCII)


def read_time(value: Any) -> int | None:
    """A time in any shape that logs have, as microseconds since 1970 UTC, or None.

    Read are ISO 8601 with `T` or a space, with or without separators, 0 to 12 fractional digits (past the
    sixth cut), any offset, no zone (UTC, as collectors write it), and Unix seconds or milliseconds of 10 or
    13 digits, as number or text.
    """
    if isinstance(value, str):
        if len(value) > 64:
            return None
        time_us = parse_time(value)
        return time_us if time_us is not None else _read_loosely(value.strip())
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _from_epoch(value)
    return None


def first_time(values: Iterable[Any]) -> int | None:
    """The first of several times that is said; one that is there but unreadable is not replaced by another."""
    return read_time(next((value for value in values if value is not None and value != ""), None))


def _read_loosely(value: str) -> int | None:
    form = _LOOSE.fullmatch(value)
    if form is None:
        return _from_epoch(float(value)) if _EPOCH_DIGITS.fullmatch(value) else None
    zone = f"{form[9]}{form[10]}:{form[11] or '00'}" if form[9] else "Z"
    fraction = f".{form[7]}" if form[7] else ""
    return parse_time(f"{form[1]}-{form[2]}-{form[3]}T{form[4]}:{form[5]}:{form[6]}{fraction}{zone}")


def _from_epoch(number: float) -> int | None:
    # Ten digits are seconds from 2001 to 2286, thirteen the same in milliseconds; 0, -1 and the like are
    # unset fields.
    if 1e9 <= number < 1e10:
        time_us = round(number * SECOND_US)
    elif 1e12 <= number < 1e13:
        time_us = round(number * 1000)
    else:
        return None
    return parse_time(format_time(time_us))


@lru_cache(maxsize=4096)
def time_text(time_us: int) -> str:
    """RFC 3339 in UTC, without a fraction where it is a whole second."""
    return format_time(time_us).replace(".000000Z", "Z")


def address(value: Any) -> str:
    """An IP address, or `""`: a host name, a service name and the unspecified address are nobody's."""
    return _address(value) if isinstance(value, str) and len(value) < 64 else ""


@lru_cache(maxsize=4096)
def _address(value: str) -> str:
    try:
        ip = ip_address(value.strip().strip("[]"))
    except ValueError:
        return ""
    return "" if ip.is_unspecified else str(ip)


def row_digest(row: Mapping[str, Any]) -> str:
    """An id for a row that has none: `sha256:` and 32 hex digits of its sorted JSON."""
    try:
        value = msgspec.json.encode(row, order="sorted")
    except RecursionError:
        # Just shallow enough to be read, too deep to be written: its top tells it from others.
        value = msgspec.json.encode({k: v for k, v in row.items() if isinstance(v, str)}, order="sorted")
    return "sha256:" + hashlib.sha256(value).hexdigest()[:32]


def with_names(row: dict[str, Any], names: Mapping[str, str], probe: str) -> dict[str, Any]:
    """The row with its top-level keys as the product writes them: some collectors lower-case them.

    Args:
        row: the record.
        names: lower-case key to the product's key.
        probe: a key that every record has; with it, nothing is to be done.
    """
    if probe in row or names.keys().isdisjoint(row):
        return row
    return {names.get(key, key): value for key, value in row.items()}


def build_event(kind: str, *, id: str, source: str, time_us: int, subject: str, data: dict[str, Any]) -> Event:
    """One event; members of `data` (and of objects in it) that are empty are left out."""
    return {
        "specversion": "1.0",
        "id": id,
        "source": source,
        "type": kind,
        "time": time_text(time_us),
        "subject": subject,
        "data": _without_empty(data),
    }


def _without_empty(data: dict[str, Any]) -> dict[str, Any]:
    full = {}
    for key, value in data.items():
        if isinstance(value, dict):
            value = _without_empty(value)
        # A number says something, be it 0 or false.
        if value or isinstance(value, int | float):
            full[key] = value
    return full
