"""Events that are taken and yet hardly do what their producer meant, whatever the policies are."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

from pydantic import BaseModel

from stepwatch.cli.events_findings import Finding, warning
from stepwatch.schemas import events as ev
from stepwatch.schemas.fields import FIELDS, TYPES, WORDS
from stepwatch.schemas.times import MINUTE_US, SECOND_US, parse_time
from stepwatch.streams.decode import Event, Heartbeat, Skipped
from stepwatch.streams.limits import AHEAD_MAX_US
from stepwatch.streams.reading import PULSE_SOURCE

AHEAD_US: Final = 5 * SECOND_US
"""A clock that is so far ahead: as `clock_skew` where a policy does not say otherwise."""
VAGUE_AMR: Final = frozenset({"mfa", "mca"})
"""Words that say that there were several factors or channels, and not which."""
Said = dict[str, Any]

_NAME_CHARS_MAX: Final = 64
_ACTION_NAME: Final = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)+")
_ATTRIBUTES: Final = frozenset(
    {"specversion", "id", "source", "type", "time", "subject", "arrival", "data", "datacontenttype", "dataschema"}
)
_PARTS: Final[dict[str, type[BaseModel]]] = {"client": ev.Client, "resource": ev.Resource, "decision": ev.Decision}
_MEMBERS: Final = {
    f"data.{part}": frozenset(model.model_fields) | ({"asn"} if part == "client" else set())
    for part, model in _PARTS.items()
}
_HEARTBEAT: Final = "data of a heartbeat"
_KNOWN: Final = {
    "": _ATTRIBUTES,
    "data": frozenset(ev.Data.model_fields),
    _HEARTBEAT: frozenset(ev.HeartbeatData.model_fields),
    **_MEMBERS,
}
_ELSEWHERE: Final = {
    **{name: f"data.client.{name}" for name in ev.Client.model_fields},
    "sensitivity": "data.resource.sensitivity",
}
"""Members that are often put beside their object; of the others a field of the same name may mean something else."""
_WORDED: Final = {
    kind: [(field.path, field.path.split(".")[1:]) for field in FIELDS if field.path in WORDS and field.is_of(kind)]
    for kind in TYPES
}
"""Type -> its fields of which the contract lists the words, each with the names on the way to it."""
_EFFECT: Final = {
    "data.outcome": "it counts as `unknown`",
    "data.resource.sensitivity": "it counts as missing: every policy with a `sensitivity` matches",
    "data.change": "nothing follows from it",
    "data.failure": "it is on record, and no more",
    "data.decision.result": "it is on record, and no more",
}


def of_skipped(skipped: Skipped) -> Finding:
    """A type of ours that this version does not know: counted, and nothing else."""
    near = difflib.get_close_matches(skipped.type, TYPES, n=1, cutoff=0.8)
    meant = f"did you mean {near[0]}?" if near else "it is counted and skipped: is it from a newer version?"
    return warning("unknown_type", "type", "a type of `stepwatch events example --list`", meant, skipped.type)


def of_heartbeat(heartbeat: Heartbeat, said: Said, now_us: int) -> Iterator[Finding]:
    """What a heartbeat says in vain."""
    yield from _of_names("", said)
    yield from _ahead(heartbeat.time_us, heartbeat.arrival_us, said, now_us)
    if heartbeat.source == PULSE_SOURCE:
        yield warning(
            "reserved_source", "source", "a feed's name", "this one is Stepwatch's own: it is no sign of life"
        )
    data = said.get("data") or {}
    yield from _of_names("data", data, _HEARTBEAT)
    complete = data.get("complete_to")
    if complete not in (None, "") and not (isinstance(complete, str) and parse_time(complete) is not None):
        hint = "it is not read: `time` stands in for it"
        yield warning("complete_to", "data.complete_to", "an RFC 3339 time with a zone", hint, complete)


def of_event(event: Event, said: Said, now_us: int) -> Iterator[Finding]:
    """What an event says in vain.

    Args:
        event: as decoded.
        said: the same as it was sent.
        now_us: by this machine's clock.
    """
    data = said.get("data") or {}
    yield from _of_names("", said)
    yield from _of_names("data", data)
    for part in _PARTS:
        if isinstance(data.get(part), dict):
            yield from _of_names(f"data.{part}", data[part])
    yield from _ahead(event.time_us, event.arrival_us, said, now_us)
    yield from _of_words(event.type, data)
    if event.type == ev.ACTION_PERFORMED:
        yield from _of_action(event)
    elif event.type in (ev.STEPUP_VERIFIED, ev.SESSION_STARTED):
        yield from _of_proof(event)
    elif event.type in (ev.STEPUP_REQUIRED, ev.STEPUP_CHALLENGED):
        yield from _of_reason(event)


def _of_names(place: str, members: Said, known: str = "") -> Iterator[Finding]:
    """Names that are known, but spelt otherwise or elsewhere; `known`: of which names, where not by the place."""
    names = _KNOWN[known or place]
    for name in members:
        if name in names or len(name) > _NAME_CHARS_MAX:
            continue
        meant = _meant(place, name, known or place)
        outer, _, inner = meant.rpartition(".")
        if not meant or (place == outer and members.get(inner) not in (None, "")):
            continue
        path = f"{place}.{name}" if place else name
        yield warning("misspelt", path, f"`{meant}`", f"did you mean `{meant}`? `{path}` is kept and read by nobody")


@lru_cache(maxsize=4096)
def _meant(place: str, name: str, known: str) -> str:
    """The path that is meant by a name that is none; empty where nothing comes near."""
    plain = {_plain(right): right for right in sorted(_KNOWN[known])}
    near = difflib.get_close_matches(_plain(name), plain, n=1, cutoff=0.8)
    if near:
        return f"{place}.{plain[near[0]]}" if place else plain[near[0]]
    if place == "" and name in ev.Data.model_fields:
        return f"data.{name}"
    return _ELSEWHERE.get(name, "") if known == "data" else ""


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def _ahead(time_us: int, arrival_us: int, said: Said, now_us: int) -> Iterator[Finding]:
    known_us = now_us if said.get("arrival") in (None, "") else arrival_us
    ahead_us = time_us - known_us
    if ahead_us > AHEAD_MAX_US:
        hint = f"sent now it would be refused: more than {AHEAD_MAX_US // MINUTE_US} minutes after its arrival"
    elif ahead_us > AHEAD_US:
        hint = "proofs and actions of clocks that differ do not meet: keep them by NTP"
    else:
        return
    yield warning("clock_ahead", "time", "a time that has come", hint, said.get("time"))


def _of_words(kind: str, data: Said) -> Iterator[Finding]:
    for path, names in _WORDED[kind]:
        value: Any = data
        for name in names:
            value = value.get(name) if isinstance(value, dict) else None
        words = WORDS[path]
        if value and value not in words:
            near = difflib.get_close_matches(value[:64], words, n=1)
            meant = f"did you mean `{near[0]}`? " if near else ""
            yield warning("unknown_word", path, f"one of {', '.join(words)}", f"{meant}As it is {_EFFECT[path]}", value)


def _of_action(event: Event) -> Iterator[Finding]:
    resource = event.data.resource
    if not (resource and resource.sensitivity):
        hint = "without it every policy with a `sensitivity` matches, whatever was touched"
        yield warning("no_sensitivity", "data.resource.sensitivity", f"one of {', '.join(ev.SENSITIVITIES)}", hint)
    if not _ACTION_NAME.fullmatch(event.data.action):
        hint = "policies match by this name; name it like payments.payout.approve"
        yield warning("action_name", "data.action", "noun.verb in dotted lower case", hint, event.data.action)


def _of_proof(event: Event) -> Iterator[Finding]:
    amr = event.data.amr or []
    if amr and VAGUE_AMR.issuperset(amr):
        hint = "it says that there were several factors, not which: a policy's amr_any cannot be met by it"
        yield warning("vague_amr", "data.amr", "the methods that were used, like hwk, otp, swk", hint, amr)
    elif not amr and event.type == ev.STEPUP_VERIFIED:
        hint = "a proof that does not say how it was given meets no policy with amr_any"
        yield warning("no_amr", "data.amr", "the methods that were used, like hwk, otp, swk", hint)
    auth_time = event.data.auth_time
    if auth_time is not None and int(auth_time) * SECOND_US > event.time_us:
        hint = "it is later than `time` and does not count: the proof is as old as `time` says"
        yield warning("auth_time_later", "data.auth_time", "a second that is not after `time`", hint, auth_time)


def _of_reason(event: Event) -> Iterator[Finding]:
    reason = event.data.reason
    if reason == "unknown" or (not reason and event.type == ev.STEPUP_REQUIRED):
        hint = "whoever asks for a proof knows why: `trigger_quality` counts this as a defect"
        yield warning("no_reason", "data.reason", "why the step-up was triggered", hint, reason)
