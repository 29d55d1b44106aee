"""How much of an alert a channel may see: the alert without what the channel has no business to know."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from enum import Enum
from typing import NamedTuple

import msgspec

from stepwatch.notifiers.notices import ShownAlert
from stepwatch.streams.wording import PATTERNS, REASONS, duration

PSEUDONYM_DIGITS = 8


class Disclosure(Enum):
    """What of a person a channel may see."""

    FULL = "full"
    """Everything that the alert says."""
    IDS = "ids"
    """Nobody by name: a subject is `subject-3f9a2c41`, the same in every alert; ids of sessions and resources stay."""
    MINIMAL = "minimal"
    """No subject, resource or session at all: what was done, under which policy, how often, when."""


class Deed(NamedTuple):
    """Who did what to what, as an alert's title says it; "" where it does not."""

    on_behalf_of: str = ""
    action: str = ""
    resource: str = ""
    doubt: str = ""


_DOUBTS = "|".join(map(re.escape, ("not verified", "cannot be judged", PATTERNS["policy_gap"][0])))
_DEED = re.compile(
    rf"(?: for (?P<on_behalf_of>.+?))?: (?P<action>\S+)(?: on (?P<resource>.+))?: (?P<doubt>(?:{_DOUBTS})"
    r"(?: \(and \d+ more\))?)",
    re.DOTALL,
)


def deed_of(alert: ShownAlert) -> Deed:
    """What the title of an alert about actions says was done; of other alerts nothing.

    The row of an alert has the action and its resource in its title only (contract section 7).
    """
    found = _DEED.fullmatch(alert.title.removeprefix(alert.subject))
    return Deed(**{name: text or "" for name, text in found.groupdict().items()}) if found else Deed()


def pseudonym(tenant: str, subject: str, key: bytes) -> str:
    """A short name for a subject that says nothing of it, the same each time.

    Args:
        tenant, subject: of the alert.
        key: with it nobody can try names until one fits; without (b"") whoever has the list of names can.
    """
    named = json.dumps(["stepwatch-subject-1", tenant, subject]).encode()
    return "subject-" + hmac.new(key, named, hashlib.sha256).hexdigest()[:PSEUDONYM_DIGITS]


def disclosed(alert: ShownAlert, shown: Disclosure, key: bytes = b"") -> ShownAlert:
    """The alert as a channel may see it.

    Below `full` the title is made anew from what is known of it, and of the texts that the row brings only those
    stay that this version knows to name nobody.

    Args:
        alert: as it lies on the topic.
        shown: what the routing allows.
        key: of pseudonyms.
    """
    if shown is Disclosure.FULL or not alert.subject:
        return alert
    who = pseudonym(alert.tenant, alert.subject, key) if shown is Disclosure.IDS else ""
    deed = deed_of(alert)
    if deed.action:
        on = f" on {deed.resource}" if deed.resource and shown is Disclosure.IDS else ""
        what = f"{deed.action}{on}: {deed.doubt}"
    else:
        what = PATTERNS.get(alert.kind, (alert.kind, ""))[0]
    changes = {
        "subject": who,
        "title": f"{who}: {what}" if who else what,
        "explanation": _explanation(alert, shown),
        "nearest_miss": alert.nearest_miss if shown is Disclosure.IDS else _anonymous(alert.nearest_miss),
    }
    return msgspec.structs.replace(alert, **changes)


def nearest_sentence(nearest_miss: str) -> str:
    """The sentence of an alert's nearest miss, e.g. `security key tap 42 s too old`; "" where there is none."""
    said = _members(nearest_miss).get("sentence")
    return said if isinstance(said, str) else ""


def _explanation(alert: ShownAlert, shown: Disclosure) -> str:
    known = REASONS.get(alert.reason) or PATTERNS.get(alert.kind, ("", ""))[1]
    nearest = alert.nearest_miss if shown is Disclosure.IDS else _anonymous(alert.nearest_miss)
    sentence = nearest_sentence(nearest)
    return f"{known}; nearest: {sentence}" if known and sentence else known


def _anonymous(nearest_miss: str) -> str:
    """The nearest miss without sessions and sources: by how much, where it is a matter of time."""
    by_us = _members(nearest_miss).get("by_us")
    failed = _members(nearest_miss).get("failed")
    if not isinstance(by_us, int) or not isinstance(failed, list):
        return ""
    late = "too late" if "after_the_fact" in failed else "too old"
    return json.dumps({"sentence": f"a proof {duration(by_us)} {late}"})


def _members(nearest_miss: str) -> dict[str, object]:
    try:
        said = msgspec.json.decode(nearest_miss) if nearest_miss else {}
    except (msgspec.DecodeError, UnicodeEncodeError):
        return {}
    return said if isinstance(said, dict) else {}
