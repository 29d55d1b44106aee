"""Actions that a user adds to, or changes in, the tables of the adapters.

A mapping of source, event name and what it means, of which a known event may leave out what stays as it is:

    okta:
      workflows.flow.run: {action: idp.workflow.run, resource: workflow, sensitivity: high}
      user.account.unlock: {sensitivity: high}

Event names are those of `stepwatch sources actions`. An event that is a login, a proof or a notice cannot become
an action by it: that is refused, not passed over.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from stepwatch.schemas.events import ACTION_PERFORMED, SENSITIVITIES
from stepwatch.sources import ADAPTERS, tables
from stepwatch.sources.actions import Deed
from stepwatch.sources.base import Event, Skip

Path = tuple[str | int, ...]
Extra = dict[str, dict[str, Deed]]
"""By source and event name."""

_MEMBERS: Final = ("action", "resource", "sensitivity", "where")
_ACTION: Final = re.compile(r"[a-z0-9_]+(?:\.[a-z0-9_]+)+", re.ASCII)
_RESOURCE: Final = re.compile(r"[a-z0-9_]+", re.ASCII)


class Complaint(NamedTuple):
    """What is wrong with a mapping, and at which path."""

    path: Path
    message: str


def parse_extra(said: Any) -> tuple[Extra, list[Complaint]]:
    """Check a mapping as it was read from YAML.

    Returns:
        What is whole of it, and every complaint.
    """
    extra: Extra = {}
    complaints: list[Complaint] = []
    if not isinstance(said, dict) or not said:
        return {}, [Complaint((), "expected a mapping of sources: `okta: {event: {action: ..., sensitivity: ...}}`")]
    for source, events in said.items():
        if source not in tables.PLACES:
            complaints.append(Complaint((source,), f"no such source; known are {', '.join(sorted(tables.PLACES))}"))
        elif not isinstance(events, dict):
            complaints.append(Complaint((source,), "expected a mapping of event names"))
        else:
            deeds = extra.setdefault(source, {})
            for event, members in events.items():
                found, wrong = _deed(members, tables.find(source, event))
                complaints += [Complaint((source, event, *path), message) for path, message in wrong]
                if found is not None:
                    deeds[event] = found
    return extra, complaints


def install(extra: Extra) -> list[Complaint]:
    """Put the deeds into the adapters' tables: once, before the first line is read; they stay in this process.

    Returns:
        A complaint for each event that the adapter reads as something else all the same.
    """
    complaints = []
    for source, deeds in extra.items():
        for event, deed in deeds.items():
            tables.put(source, event, deed)
            made = ADAPTERS[source].events(json.dumps(_PROBES[source](event)).encode())
            if not any(isinstance(one, dict) and _said(one) == (deed.action, deed.sensitivity) for one in made):
                complaints.append(Complaint((source, event), f"cannot become an action: it is {_otherwise(made)}"))
    return complaints


def _deed(members: Any, known: Deed | None) -> tuple[Deed | None, list[tuple[Path, str]]]:
    if not isinstance(members, dict):
        return None, [((), f"expected a mapping with {', '.join(_MEMBERS)}")]
    wrong = list(_wrong(members))
    if known is None:
        wrong += [((), f"`{name}` is required: no table has this event") for name in _REQUIRED if name not in members]
    if wrong:
        return None, wrong
    deed = known or Deed("", "", "")
    where = members.get("where")
    return deed._replace(**members | ({} if where is None else {"where": tuple(where)})), []


_REQUIRED: Final = ("action", "sensitivity")


def _wrong(members: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    for name in members.keys() - set(_MEMBERS):
        yield (name,), f"unknown key; known here: {', '.join(_MEMBERS)}"
    action, resource = members.get("action", "a.b"), members.get("resource", "")
    if not isinstance(action, str) or not _ACTION.fullmatch(action):
        yield ("action",), "expected `area.thing.verb`, dotted lower case with `_` inside a word"
    if not isinstance(resource, str) or (resource and not _RESOURCE.fullmatch(resource)):
        yield ("resource",), "expected a word in lower case, `_` inside it"
    if members.get("sensitivity", "low") not in SENSITIVITIES:
        yield ("sensitivity",), f"expected one of {', '.join(SENSITIVITIES)}"
    where = members.get("where", [])
    if not isinstance(where, list) or not all(isinstance(one, str) and one for one in where):
        yield ("where",), "expected a list of texts: where the row names the resource, as the product's table has it"


def _said(event: Event) -> tuple[Any, Any]:
    """Action and sensitivity of an event, nothing where it is no action."""
    data: Any = event["data"]
    return (data["action"], data["resource"]["sensitivity"]) if event["type"] == ACTION_PERFORMED else (None, None)


def _otherwise(made: list[Event | Skip]) -> str:
    """What became of the row instead, in words."""
    for one in made:
        if isinstance(one, Skip):
            return f"no event ({one.reason})"
        action, sensitivity = _said(one)
        return f"read as {one['type']}" if action is None else f"always {action}, {sensitivity}"
    return "no event"


_TIME: Final = "2026-01-01T00:00:00Z"
_PROBES: Final[dict[str, Callable[[str], dict[str, Any]]]] = {
    "okta": lambda name: {
        "eventType": name,
        "published": _TIME,
        "actor": {"id": "u", "type": "User"},
        "authenticationContext": {"externalSessionId": "s"},
        "outcome": {"result": "SUCCESS"},
    },
    "cloudtrail": lambda name: {
        "eventSource": f"{name.rpartition('.')[0]}.amazonaws.com",
        "eventName": name.rpartition(".")[2],
        "eventTime": _TIME,
        "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::1:user/u"},
        "responseElements": {name.rpartition(".")[2]: "Success"},
    },
    "entra": lambda name: {
        "activityDisplayName": name,
        "activityDateTime": _TIME,
        "initiatedBy": {"user": {"id": "u"}},
        "result": "success",
    },
    "keycloak": lambda name: _keycloak_probe(*name.split(".", 2)),
    "github": lambda name: {"action": name, "@timestamp": _TIME, "actor": "u", "actor_session": "s"},
    "duo": lambda name: {"action": name, "isotimestamp": _TIME, "username": "u"},
}
"""The least row of each product with an event name, to see what its adapter makes of it."""


def _keycloak_probe(kind: str, thing: str = "", part: str = "") -> dict[str, Any]:
    if not thing:
        return {"type": kind, "time": _TIME, "userId": "u", "sessionId": "s"}
    path = part if thing == "REALM" else "/x/".join(["users", *part.split("/")]) if part else "users/x"
    return {
        "operationType": kind,
        "resourceType": thing,
        "resourcePath": path,
        "time": _TIME,
        "authDetails": {"userId": "u"},
    }
