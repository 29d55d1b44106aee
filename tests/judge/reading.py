"""What the judge reads: lines to events (contract section 3), policy texts to sets (section 4)."""

import hashlib
import ipaddress
import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace as Space
from typing import Any

import yaml
from cel_expr_python import cel

UNITS = {"ms": 10**3, "s": 10**6, "m": 60 * 10**6, "h": 3600 * 10**6, "d": 86400 * 10**6}
EPOCH, LAST_YEAR = datetime(1970, 1, 1, tzinfo=UTC), 2261
RFC3339 = r"(\d{4}-\d\d-\d\d)[Tt]((?:[01]\d|2[0-3]):\d\d:)(\d\d)(?:\.(\d+))?([Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)"
STEPS = ["required", "challenged", "verified", "failed", "denied", "expired", "cancelled", "bypassed"]
TYPES = {"heartbeat", "action.performed", "credential.changed", *(f"stepup.{step}" for step in STEPS)}
TYPES |= {"session.started", "session.revoked", "approval.granted", "approval.revoked"}
TEXTS = ["session", "root_session", "action", "on_behalf_of", "outcome", "transaction", "verification"]
TEXTS += ["challenge", "bound_action", "acr", "credential", "change", "reason", "failure"]
TEXTS += ["approver", "approver_verification"]
MEMBERS = {"client": ["ip", "device", "user_agent", "country"], "resource": ["type", "id", "sensitivity"]}
MEMBERS |= {"decision": ["result", "reason", "policy"], "token": []}
REQUIRED = {"action.performed": ["action"], "credential.changed": ["credential", "change"]}
REQUIRED |= {"approval.granted": ["approver"]}
DURATIONS = {"max_age": "5m", "clock_skew": "5s", "grace": "10s", "lookback": "24h", "revise_within": "1h"}
DURATIONS |= {"accept_late": "24h", "dedup": "60m"}
LISTS = ["action", "resource_type", "sensitivity", "tenant", "amr_any", "acr_any"]
VALUES: dict[str, Any] = DURATIONS | dict.fromkeys(LISTS, ()) | {"accept": ["step_up"]}
VALUES |= {"same_session": True, "same_device": False, "same_ip": False, "max_uses": 0}
VALUES |= {"severity": "high", "binding": "none", "when": ""}
CEL_TEXTS = ["tenant", "subject", "source", "session", "root_session", "action", "outcome", "transaction"]
CEL_TYPES = dict.fromkeys([*CEL_TEXTS, *MEMBERS], cel.Type.DYN) | {"time": cel.Type.TIMESTAMP}
CEL = cel.NewEnv(variables=CEL_TYPES)
compiled = cache(partial(CEL.compile, disable_check=True))  # unchecked: a wrong type errs at run time


class Rejected(Exception):
    """A dead letter: its args are the event's id or None, and the field at fault."""


@dataclass(frozen=True)
class Event:
    """One accepted record; the judge makes `subject` canonical; `type` is without `stepwatch.`."""

    time: int
    source: str
    id: str
    arrival: int
    type: str
    tenant: str
    subject: str
    body: str  # hash of the event without its arrival
    data: dict[str, Any] = field(compare=False)  # without what is absent

    def get(self, name: str, member: str = "") -> str:
        """A text in data, or in an object in data; '' where it is missing."""
        return (self.data.get(name, {}).get(member) if member else self.data.get(name)) or ""

    @property
    def order(self) -> tuple[int, str, str]:
        return self.time, self.source, self.id

    @property
    def root(self) -> str:
        return self.get("root_session") or self.get("session")

    @property
    def kind(self) -> str:
        """The kind of a verification; '' for any other event."""
        login = self.type == "session.started" and any(self.data.get("amr", []))
        return "step_up" if self.type == "stepup.verified" else "login" if login else ""

    @property
    def at(self) -> int:
        """`v.at`: auth_time where that is an earlier whole second than time."""
        whole = int(self.data.get("auth_time", self.time // 10**6))
        return whole * 10**6 if whole < self.time // 10**6 else self.time

    @property
    def proof(self) -> tuple[str, ...]:
        """What makes two reports one proof; its last part is the name on record."""
        return (self.get("verification"),) if self.get("verification") else (self.source, self.id)

    @property
    def spends(self) -> bool:
        """Whether an action uses a verification up and can raise an alert."""
        return self.get("outcome") in ("success", "unknown")

    def is_sign(self, silent_after: int) -> bool:
        """Whether a heartbeat or an event shows that its feed is alive and not late."""
        told = parse_time(self.data.get("complete_to")) if self.type == "heartbeat" else None
        return self.arrival - (self.time if told is None else told) <= silent_after


def present(members: dict[str, Any] | None) -> dict[str, Any]:
    """`null` and `""` mean absent."""
    return {name: value for name, value in (members or {}).items() if value is not None and value != ""}


def parse_time(text: object) -> int | None:
    """RFC 3339 with a zone to microseconds UTC; None where it is not that, or not of 1970 to 2261."""
    if not (found := re.fullmatch(RFC3339, text, re.ASCII) if isinstance(text, str) else None):
        return None
    leap = found[3] == "60"
    try:
        whole = datetime.fromisoformat(f"{found[1]}T{found[2]}{'59' if leap else found[3]}{found[5].upper()}")
    except ValueError:
        return None
    seconds = (whole - EPOCH) // timedelta(seconds=1) + leap
    if (leap and seconds % 86400) or not 0 <= seconds < datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC).timestamp():
        return None
    return seconds * 10**6 + int(f"{found[4] or ''}000000"[:6])


def instant(us: int) -> str:
    """Microseconds as the time of a row."""
    return f"{EPOCH + timedelta(microseconds=us):%Y-%m-%dT%H:%M:%S.%fZ}"


@cache
def address(text: str) -> object:
    """What addresses are compared by: IPv4-mapped as IPv4, what is no address as text."""
    try:
        parsed = ipaddress.ip_address(text)
    except ValueError:
        return text
    return getattr(parsed, "ipv4_mapped", None) or parsed


def depth(value: object) -> int:
    """Nested containers, the outermost counted as 1."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inside is None else 1 + max(map(depth, inside), default=0)


def parse_object(line: bytes) -> tuple[dict[str, Any], str]:
    """A line's object, and the hash of it without `arrival`."""
    try:
        sent = json.loads(line.decode(), parse_constant=int)  # int("NaN") is a ValueError
        json.dumps(sent, ensure_ascii=False).encode()  # so is a lone surrogate
        if isinstance(sent, dict) and len(line) <= 256 * 1024 and depth(sent) <= 16:
            body = {name: value for name, value in sent.items() if name != "arrival"}
            text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
            return sent, hashlib.sha256(text.encode()).hexdigest()
    except (ValueError, RecursionError):
        pass
    raise Rejected(None, "json")


def decode(line: bytes) -> Event | None:
    """The event of a line, None for an unknown type of ours; raises Rejected for the first fault."""
    sent, body = parse_object(line.rstrip(b"\r\n"))
    sent = present(sent)

    def check(holds: object, at: str) -> None:
        if not holds:
            raise Rejected(sent["id"] if isinstance(sent.get("id"), str) else None, at)

    for at in ("id", "source", "type"):
        check(isinstance(sent.get(at), str), at)
    check(sent["type"].startswith("stepwatch."), "type")
    if (kind := sent["type"].removeprefix("stepwatch.")) not in TYPES:
        return None
    check((time := parse_time(sent.get("time"))) is not None, "time")
    check((arrival := parse_time(sent.get("arrival", sent["time"]))) is not None, "arrival")
    assert time is not None
    assert arrival is not None
    check(time <= arrival + 10 * UNITS["m"], "time")
    check(isinstance(sent.get("data", {}), dict), "data")
    data = present(sent.get("data"))
    if kind == "heartbeat":
        return Event(time, sent["source"], sent["id"], arrival, kind, "", "", body, data)
    tenant = data.get("tenant", "default")
    check(isinstance(tenant, str) and re.fullmatch(r"[A-Za-z0-9._-]{1,64}", tenant), "data.tenant")
    check(isinstance(sent.get("subject"), str), "subject")
    for at in TEXTS:
        check(isinstance(data.get(at, ""), str), f"data.{at}")
    for at, members in MEMBERS.items():
        check(isinstance(data.get(at, {}), dict), f"data.{at}")
        for member in members:
            check(isinstance(data.get(at, {}).get(member, ""), str | None), f"data.{at}.{member}")
    amr, auth_time = data.get("amr", []), data.get("auth_time", 0)
    check(isinstance(amr, list) and all(isinstance(factor, str) for factor in amr), "data.amr")
    check(type(auth_time) in (int, float) and math.isfinite(auth_time), "data.auth_time")
    check(int(auth_time) * 10**6 <= time + 10 * UNITS["m"], "data.auth_time")
    check(type(data.get("otp_step", 0)) is int, "data.otp_step")
    for at in REQUIRED.get(kind, []):
        check(at in data, f"data.{at}")
    data["outcome"] = data.get("outcome", "success")
    if data["outcome"] not in ("success", "failure", "denied"):
        data["outcome"] = "unknown"
    if data.get("resource", {}).get("sensitivity") not in ("low", "moderate", "high", "critical"):
        data["resource"] = data.get("resource", {}) | {"sensitivity": ""}
    return Event(time, sent["source"], sent["id"], arrival, kind, tenant, sent["subject"], body, data)


class Loader(yaml.CSafeLoader):
    """YAML in which a key given twice is an error."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        if len(node.value) > len({name.value for name, _ in node.value}):
            raise ValueError(f"{node.start_mark}: a key is given twice")
        return super().construct_mapping(node, deep)


Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda loader, node: node.value)  # a time stays a text


def duration(text: str) -> int:
    """`90s` to microseconds."""
    unit = text.lstrip("0123456789")
    return int(text.removesuffix(unit)) * UNITS[unit]


def load(files: Iterable[Path | tuple[str, str]]) -> list[Space]:
    """The sets by start; sets are taken as valid, but for a key given twice (ValueError)."""
    sets: dict[int | None, Space] = {}
    texts = [(file.name, file.read_text()) if isinstance(file, Path) else file for file in files]
    for _, text in sorted(texts, key=lambda file: file[0].encode()):
        file = present(yaml.load(text, Loader))
        start = parse_time(file["effective_from"]) if "effective_from" in file else -1
        new = Space(start=start, policies=[], sources={}, aliases={}, accept_late=0)  # the largest of its files
        known, defaults = sets.setdefault(start, new), VALUES | present(file.get("defaults"))
        known.accept_late = max(known.accept_late, duration(defaults["accept_late"]))
        for source in file.get("sources", []):
            silent_after = duration(source["silent_after"]) if source.get("silent_after") else None
            known.sources[source["name"]] = Space(silent_after=silent_after, proves=source.get("proves"))
        for person in file.get("identities", []):
            for tenant in person.get("tenant") or [None]:
                known.aliases |= {(tenant, alias): person["subject"] for alias in person["aliases"]}
        for policy in file.get("policies", []):
            own = {"id": policy["id"], "exempt": present(policy.get("exempt")).get("when")}
            flat = [defaults, *(present(policy.get(part)) for part in ("match", "require", "alert")), own]
            values = {name: value for part in flat for name, value in part.items()}
            known.policies.append(Space(**values | {name: duration(values[name]) for name in DURATIONS}))
    return sorted(sets.values(), key=lambda known: int(known.start))


def condition(text: str, a: Event) -> object:
    """What CEL says of an action; an error comes as its text, which is no bool."""
    own: dict[str, Any] = {name: a.get(name) for name in CEL_TEXTS}
    own |= {"tenant": a.tenant, "subject": a.subject, "source": a.source}
    for name in MEMBERS:
        own[name] = {member: value for member, value in a.data.get(name, {}).items() if value is not None}
    own["resource"] = {member: a.get("resource", member) for member in MEMBERS["resource"]}
    own["time"] = EPOCH + timedelta(microseconds=a.time)
    return compiled(text).eval(data=own).value()


def glob(patterns: list[str], text: str) -> bool:
    """No pattern, no condition; `*` is any run of characters."""
    regexes = [".*".join(map(re.escape, pattern.split("*"))) for pattern in patterns]
    return not patterns or any(re.fullmatch(regex, text, re.DOTALL) for regex in regexes)


def matches(policy: Space, a: Event) -> bool:
    """Every condition of `match` holds; what is missing or an error fails towards a match."""
    types, kind, level = policy.resource_type, a.get("resource", "type"), a.get("resource", "sensitivity")
    return (
        glob(policy.action, a.get("action"))
        and (glob(types, kind) if kind else not types or "*" in types)
        and (not level or glob(policy.sensitivity, level))
        and glob(policy.tenant, a.tenant)
        and (not policy.when or condition(policy.when, a) is not False)
    )


class Records:
    """All accepted records of a file: the first to arrive of each key, by (time, source, id)."""

    def __init__(self, lines: Iterable[bytes], policies: Iterable[Path | tuple[str, str]]) -> None:
        self.sets = load(policies)
        self.arrivals: list[int] = []  # of every line but those rejected and those of an unknown type
        self.heartbeats: list[Event] = []
        self.rejected: list[dict[str, Any]] = []
        first: dict[tuple[str | bool, ...], Event] = {}
        for number, line in enumerate(lines, 1):
            try:
                e = decode(line) if line.strip() else None
            except Rejected as fault:
                name, at = fault.args
                self.rejected.append({"kind": "rejected", "line": number, "id": name, "field": at})
                continue
            if e and e.type == "heartbeat":
                self.heartbeats.append(e)
            elif e:
                e = replace(e, subject=self.canonical(e, e.subject))
                key = (e.tenant, e.subject, e.type == "action.performed", e.source, e.id)
                first[key] = min(e, first.get(key, e), key=lambda copy: (copy.arrival, copy.body))
            self.arrivals += [e.arrival] if e else []
        self.events = sorted(first.values(), key=lambda e: e.order)
        self.actions = [e for e in self.events if e.type == "action.performed"]

    def set_at(self, time: int) -> Any:
        return [known for known in self.sets if known.start <= time or known is self.sets[0]][-1]

    def canonical(self, e: Event, name: str) -> str:
        aliases = self.set_at(e.time).aliases
        return str(aliases.get((e.tenant, name)) or aliases.get((None, name)) or name)

    def known(self, e: Event, until: int, *types: str) -> list[Event]:
        """The subject's events of these types that arrived by then, by (time, source, id)."""
        own = [x for x in self.events if (x.tenant, x.subject) == (e.tenant, e.subject)]
        return [x for x in own if x.type in types and x.arrival <= until]

    def proofs(self, e: Event, until: int) -> list[Event]:
        return [v for v in self.known(e, until, "stepup.verified", "session.started") if v.kind]
