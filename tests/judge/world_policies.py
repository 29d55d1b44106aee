"""Random policy sets, valid by contract section 4, and the durations whose edges are worth visiting."""

import json
import random
from dataclasses import dataclass, field
from typing import Any

SECOND, MINUTE, HOUR = 10**6, 60 * 10**6, 3600 * 10**6
UNITS = {"s": SECOND, "m": MINUTE, "h": HOUR}
SOURCES = ["/idp", "/idp2", "/app"]
CONDITIONS = [
    "resource.id != 'r2'",
    "client.country == 'NO'",
    "has(client.country) && client.country == 'NO'",
    "client.country == 'NO' || subject == 'bob'",
    "token.acr == 'phr'",
    "token.amr.exists(x, x == 'hwk')",
    "token.n > 3",
    "size(token) == 0",
    "subject.startsWith('b')",
    "subject",
    "resource.sensitivity",
    "subject > 5",
    "outcome == 'unknown'",
    "decision.result == 'exempt'",
    "root_session == ''",
    "session in ['s1', '']",
    "transaction == 't1'",
    "tenant == 'acme'",
    "source == '/app2' || action == 'iam.grant'",
    "time < timestamp('2026-11-24T10:00:00.000001Z')",
    "time.getMinutes() >= 30",
]


@dataclass
class Spans:
    """Durations of a world's policies, in microseconds, and the moments at which sets begin."""

    windows: set[int] = field(default_factory=set)  # between event times
    waits: set[int] = field(default_factory=set)  # between arrivals, or from a time to its arrival
    starts: list[int] = field(default_factory=list)

    def add(self, defaults: dict[str, Any], require: dict[str, Any], alert: dict[str, Any]) -> None:
        """Note the edges of one policy."""
        near = {name: span(text) for name, text in (defaults | require | alert).items() if is_span(text)}
        self.windows |= {near[name] for name in ("max_age", "clock_skew", "lookback", "revise_within")}
        self.waits |= {near["grace"], near["grace"] + near["revise_within"], near["accept_late"]}


def span(text: str) -> int:
    """`90s` to microseconds."""
    return int(text[:-1]) * UNITS[text[-1]]


def is_span(value: Any) -> bool:
    """Whether a value is a duration."""
    return isinstance(value, str) and value[:1].isdigit() and value[-1] in UNITS


def some(rng: random.Random, chance: float, **values: list[Any]) -> dict[str, Any]:
    """Each key with that chance, with one of its values."""
    return {name: rng.choice(choices) for name, choices in values.items() if rng.random() < chance}


def random_defaults(rng: random.Random) -> dict[str, Any]:
    """Defaults of a file, all durations given, `max_age` within `lookback`."""
    lookback = rng.choice(["1m", "10m", "10m", "24h", "24h", "25h"])
    max_age = rng.choice(["10s", "1m"] if lookback == "1m" else ["10s", "1m", "5m", "5m"])
    short = {"max_age": max_age, "lookback": lookback, "clock_skew": rng.choice(["0s", "5s", "5s"])}
    short |= {
        "grace": rng.choice(["0s", "10s", "10s"]),
        "revise_within": rng.choice(["0s", "30s", "10m", "1h"]),
    }
    short |= {"accept_late": rng.choice(["0s", "1m"] + ["10m", "24h", "24h"] * 3), "dedup": "60m"}
    return short | some(rng, 0.3, same_session=[False, False, True], severity=["low", "critical"], dedup=["0s", "1m"])


def random_require(rng: random.Random, theme: str) -> dict[str, Any]:
    """What a policy requires."""
    chance = 0.5 if theme == "context" else 0.1
    require = some(rng, 0.4, amr_any=[["otp"], ["otp"], ["otp", "hwk"], ["hwk"], []], max_age=["10s", "1m"])
    require |= some(
        rng, 0.2, same_session=[True, False], accept=[["step_up", "login"], ["step_up", "login"], ["login"]]
    )
    require |= some(rng, chance, binding=["action", "transaction", "none"], same_device=[True], same_ip=[True])
    require |= some(rng, 0.9 if theme == "uses" else 0.2, max_uses=[1, 1, 2])
    return require | some(rng, 0.08, acr_any=[["phr"], ["phr", "mfa"], []])


def random_policy(rng: random.Random, name: str, theme: str) -> dict[str, Any]:
    """One policy."""
    match = {
        "action": rng.choice([["pay.*"], ["pay.*"], ["pay.*"], ["*"], ["pay.out", "iam.*"], ["*.grant"], ["p*o*t"]])
    }
    match |= some(rng, 0.12, resource_type=[["payout"], ["*"], ["pay*", "role"]], tenant=[["acme"], ["*"], ["de*"]])
    match |= some(rng, 0.12, sensitivity=[["high", "critical"], ["low"]], when=CONDITIONS)
    policy: dict[str, Any] = {"id": name, "match": match, "require": random_require(rng, theme)}
    policy["alert"] = some(rng, 0.3, severity=["medium", "critical"], grace=["0s", "1m"], dedup=["0s", "10m"])
    if rng.random() < 0.2:
        policy["exempt"] = {"when": rng.choice(CONDITIONS)}
    return policy


def random_sources(rng: random.Random, theme: str, spans: Spans) -> list[dict[str, Any]]:
    """Sources of a set, each listed once."""
    sources = []
    for name in SOURCES if rng.random() < (1 if theme == "silence" else 0.25) else []:
        source = some(rng, 0.6 if theme == "silence" else 0.3, silent_after=["10s", "1m", "5m"])
        source |= some(rng, 0.3, proves=[["step_up"], ["login"], ["step_up", "login"], []])
        spans.waits |= {span(text) for text in source.values() if is_span(text)}
        if rng.random() < 0.7:
            sources.append({"name": name, **source})
    return sources


def random_identities(rng: random.Random) -> list[dict[str, Any]]:
    """Aliases of alice and bob; `00u1` is alice's for all, and may be bob's for one tenant."""
    if rng.random() < 0.5:
        return []
    people: list[dict[str, Any]] = [{"subject": "alice", "aliases": rng.choice([["al@x", "00u1"], ["al@x"]])}]
    if rng.random() < 0.5:
        people.append({"subject": "bob", "aliases": ["00u1", "Bøb"], "tenant": ["acme"]})
    return people


def write_file(start: str | None, sections: dict[str, Any]) -> str:
    """The YAML text of one file: one section a line, in flow style."""
    head = ["version: 1"] + ([f"effective_from: {start}"] if start else [])
    return "\n".join(head + [f"{name}: {json.dumps(section)}" for name, section in sections.items()]) + "\n"


def random_set(rng: random.Random, theme: str, prefix: str, start: str | None, spans: Spans) -> list[tuple[str, str]]:
    """One valid set of one or two files with one to three policies."""
    names = rng.sample(["p1", "p2", "p3"], rng.choice([1, 1, 2, 3]))
    files, parts = [], [names[:1], names[1:]] if rng.random() < 0.3 else [names]
    for number, part in enumerate(parts):
        defaults = random_defaults(rng)
        sections: dict[str, Any] = {"defaults": defaults}
        if number == 0:
            sections |= {"sources": random_sources(rng, theme, spans), "identities": random_identities(rng)}
        sections["policies"] = [random_policy(rng, name, theme) for name in part]
        for policy in sections["policies"]:
            spans.add(defaults, policy["require"], policy["alert"])
        spans.waits.add(span(defaults["accept_late"]))
        kept = {name: section for name, section in sections.items() if section or name == "policies"}
        files.append((f"{prefix}{rng.choice('ab')}{number}.yaml", write_file(start, kept)))
    rng.shuffle(files)
    return files
