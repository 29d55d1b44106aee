"""The shapes in which Keycloak's events lie in a line.

| shape | written by |
|---|---|
| an event as JSON, or an array of them | Admin REST `/events` and `/admin-events`, event listeners |
| text, then `type=LOGIN, realmId=acme, username='a b'` | jboss-logging listener before Keycloak 22 |
| text, then `type="LOGIN", realmId="acme"` | the same since |
| text, then an event as JSON, its details beside it | jsonlog listener |
| JSON whose `message` holds one of the above | Keycloak's JSON console log; collectors (`log`, `MESSAGE`) |

**Time.** In this order: the event's own `time`; a stamp with a zone in the text before the event (the
server's, or of a collector); the time of the JSON around it; a stamp without a zone, which is the local time
of the server: UTC unless the installation says another zone. A stamp without a date (`11:36:09,965`, the
default of WildFly's console) is no time: the day is not invented.

**Names.** The first of several values of a name counts: what users type (a name that holds `, userId=`)
stands behind what Keycloak writes. Between quotes, Keycloak escapes `"` but no `\\`: so no `"` behind a `\\` ends
a value. Before 22 nothing was escaped: behind the first `'`, which is there only where a value has a blank,
anything may be what a user typed, and nothing there says a factor or an impersonator.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final, NamedTuple

from stepwatch.sources import base
from stepwatch.sources.base import Skip, ident

_NO_EVENT: Final = Skip("a line of the server log that is no event", "type")
_CUT_OFF: Final = Skip("a line that is cut off", "json")

_CONTENTS: Final = ("message", "log", "MESSAGE", "msg")
_STAMPS: Final = ("timestamp", "@timestamp", "at_sign_timestamp")
_ENVELOPE_STAMPS: Final = (*_STAMPS, "time")
_DEPTH_MAX: Final = 3
"""Envelopes in envelopes: a collector's, with Keycloak's JSON log in it, with an event as JSON in that."""

_START: Final = re.compile(r"(?:^|[\s|])((?:type|operationType)=)[\"']?[A-Z]")
_STAMP: Final = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,12})?( ?(?:Z|UTC\b|[+-]\d\d:?\d\d\b))?", re.ASCII
)
_PAIR: Final = re.compile(
    r"(?:^|, )([\w.-]+)=(?:'([^'\\]*(?:\\.[^'\\]*)*)'(?=, |$)|(.*?)(?=, [\w.-]+=|$))", re.ASCII | re.DOTALL
)
_BETWEEN: Final = re.compile(r"(?<!\\)\", ([\w.-]+)=\"", re.ASCII)
_BARE_QUOTE: Final = re.compile(r"(?<!\\)\"")
_DECIDING: Final = frozenset(
    {
        *("credential_type", "web_authn_authenticator_user_verification_checked", "impersonator", "acr"),
        *("selected_credential_id", "public_key_credential_id"),
    }
)
"""Details that say what was proved, and by whom."""
_QUOTED: Final = re.compile(r"(?:^|, )([\w.-]+)=\"([^\"]*)\"", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1)


class Found(NamedTuple):
    """An event in a line.

    Attributes:
        fields: the event, as Keycloak's object or with all fields at the top.
        time_us: microseconds since 1970 UTC, None where nothing readable says it.
        id: the event's own, or a digest of the row.
    """

    fields: dict[str, Any]
    time_us: int | None
    id: str


def events_in(line: bytes, zone: tzinfo) -> Iterator[Found | Skip]:
    """The events in a line.

    Args:
        line: not blank.
        zone: of the server, for stamps that have none.
    """
    if line.lstrip()[:1] in (b"{", b"["):
        yield from _of_value(base.decode_line(line), None, zone, 0)
    else:
        yield from _of_text(line.decode("utf-8", "replace").lstrip("\ufeff"), None, zone, 0)


def _of_value(value: Any, stamp: Any, zone: tzinfo, depth: int) -> Iterator[Found | Skip]:
    """The events in a JSON value; `stamp` is what is around it says of the time."""
    if isinstance(value, list):
        for one in value or [base.NO_RECORD]:
            yield from _of_value(one, stamp, zone, depth + 1) if isinstance(one, dict) else [_no_object(one)]
        return
    if not isinstance(value, dict):
        yield _no_object(value)
        return
    if depth < _DEPTH_MAX and (name := _content(value)):
        content = value[name]
        stamp = next((value[key] for key in _ENVELOPE_STAMPS if key in value), stamp)
        if isinstance(content, dict):
            yield from _of_value(content, stamp, zone, depth + 1)
            return
        # Two lines of one text at one time differ in what is around them (a sequence, a host).
        yield from _of_text(content, stamp, zone, depth + 1, base.row_digest(value))
        return
    said = next((one for key in ("time", *_STAMPS) if (one := value.get(key)) not in (None, "")), stamp)
    yield Found(value, base.read_time(said), ident(value.get("id")) or base.row_digest(value))


def _no_object(value: Any) -> Skip:
    return value if isinstance(value, Skip) else base.NOT_JSON


def _content(value: dict[str, Any]) -> str:
    """The member of an envelope that holds the event, "" where the value is an event itself."""
    if "operationType" in value or "realmId" in value:
        return ""
    return next((name for name in _CONTENTS if isinstance(value.get(name), str | dict)), "")


def _of_text(line: str, stamp: Any, zone: tzinfo, depth: int, digest: str = "") -> Iterator[Found | Skip]:
    """The event behind the prefix of a line of the server log; `digest` is its id where it has none."""
    line = line.strip()
    digest = digest or "sha256:" + hashlib.sha256(line.encode("utf-8", "replace")).hexdigest()[:32]
    brace = line.find("{")
    start = _START.search(line)
    if start is not None and (brace < 0 or start.start() < brace):
        begin = start.start(1)
        fields = _pairs(line[begin:])
        # Keycloak writes it in every event, behind who acted: without it, that may be half a name.
        yield Found(fields, _time(line[:begin], stamp, zone), digest) if "ipAddress" in fields else _CUT_OFF
        return
    value = base.decode_line(line[brace:].encode("utf-8", "replace")) if brace >= 0 else base.NOT_JSON
    if not isinstance(value, dict):
        yield base.NOT_JSON if brace == 0 else _NO_EVENT
        return
    for found in _of_value(value, None, zone, depth + 1):
        if isinstance(found, Found) and found.time_us is None and "time" not in found.fields:
            found = found._replace(time_us=_time(line[:brace], stamp, zone))
        if isinstance(found, Found) and found.id.startswith("sha256:"):
            found = found._replace(id=digest)
        yield found


def _pairs(text: str) -> dict[str, Any]:
    """`key="v", key="w"` or `key=value, key='a b'`, the first value of each key."""
    name, _, rest = text.partition("=")
    if rest[:1] == '"':
        # Nearly always no value holds a quote: half the cost.
        plain = _QUOTED.findall(text)
        if len(plain) * 2 == text.count('"') and "\\" not in text:
            return dict(reversed(plain))
        return _quoted_pairs(name, rest[1:])
    fields: dict[str, Any] = {}
    sure = len(text.partition("'")[0])
    for pair in _PAIR.finditer(text):
        key, single, bare = pair.groups("")
        if key not in fields and (pair.start() < sure or key not in _DECIDING):
            # A quote that nothing closes is the end of a line that is cut off: half a value.
            fields[key] = single or ("" if bare[:1] in ('"', "'") else bare)
    return fields


def _quoted_pairs(name: str, rest: str) -> dict[str, Any]:
    """The pairs of a text behind `name="`, in which quotes are escaped; what was cut off has no value."""
    said = _BETWEEN.split(rest)
    whole = said[-1][-1:] == '"' and said[-1][-2:] != '\\"'
    said[-1] = said[-1][:-1] if whole else ""
    fields: dict[str, Any] = {}
    for key, value in zip([name, *said[1::2]], said[::2], strict=True):
        fields.setdefault(key, "" if _BARE_QUOTE.search(value) else value.replace('\\"', '"'))
    return fields


def _time(prefix: str, stamp: Any, zone: tzinfo) -> int | None:
    """What the prefix of a line and the JSON around it say; see the module's text for the order."""
    local = ""
    for form in _STAMP.finditer(prefix):
        if form[1]:
            return base.read_time(form[0])
        local = local or form[0]
    if stamp not in (None, ""):
        return base.read_time(stamp)
    time_us = base.read_time(local.replace(" ", "T").replace(",", ".") + "Z")
    if time_us is None or zone is UTC:
        return time_us
    return base.read_time((_EPOCH + timedelta(microseconds=time_us)).replace(tzinfo=zone).isoformat())
