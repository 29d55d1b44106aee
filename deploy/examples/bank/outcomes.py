"""What Stepwatch made of it, as a person reads it: verdicts, proofs and alerts, from the rows of its topics."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from stepwatch.streams.wording import REASONS

_KEPT_MAX: Final = 300
Row = Mapping[str, Any]

_VERDICTS: Final = {
    "verified": ("good", "verified"),
    "unverified": ("bad", "not verified"),
    "blind": ("odd", "cannot be said"),
    "exempt": ("calm", "exempt"),
    "not_required": ("calm", "no proof needed"),
}
_HEARD: Final = {
    "session.started": "signed in",
    "session.revoked": "signed out",
    "credential.changed": "the code generator was {credential_change}",
    "stepup.required": "the bank asked for a proof: {reason}",
    "stepup.challenged": "a code was asked for",
    "stepup.verified": "a code was accepted",
    "stepup.failed": "a code was refused: {failure}",
    "stepup.expired": "the code came too late",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """One line of the page.

    Attributes:
        kind: `verdict`, `proof` (what the bank reported about one) or `alert`.
        key: what it is about; a later row about the same takes its place.
        subject: whose.
        tone: how it looks: `good`, `bad`, `odd`, `calm`.
        label: in two words.
        title: what happened.
        why: the sentence why; "" where there is none.
        time: of what happened, RFC 3339.
        revision: of the verdict; 0 of all else.
        words: the row's own: of a verdict its verdict and reason.
    """

    kind: str
    key: str
    subject: str
    tone: str
    label: str
    title: str
    why: str
    time: str
    revision: int = 0
    words: tuple[str, ...] = ()

    @property
    def clock(self) -> str:
        """Time of day in UTC: `09:15:02`."""
        return self.time[11:19]


def verdict_of(row: Row) -> Outcome:
    """A row of `audit`."""
    tone, label = _VERDICTS[row["verdict"]]
    ended = {"success": "took effect", "denied": "was stopped", "failure": "failed"}.get(row["outcome"], "may have run")
    key = f"{row['source']} {row['action_id']}"
    title = f"payout {row['resource_id']} {ended}"
    words = (row["verdict"], row["reason"])
    return Outcome("verdict", key, row["subject"], tone, label, title, _why(row), row["time"], row["revision"], words)


def proof_of(row: Row) -> Outcome:
    """A row of `evidence`."""
    kind = str(row["type"])
    said = _words(_HEARD.get(kind, kind).format_map(row))
    return Outcome("proof", row["event_id"], row["subject"], "calm", "reported", said, "", row["time"])


def alert_of(row: Row) -> Outcome:
    """A row of `alerts`."""
    tone = "bad" if row["state"] == "open" else "calm"
    call = f"; call {row['owner']}" if row["owner"] else ""
    why = f"{row['severity']}; {row['explanation']}{call}"
    return Outcome(
        "alert", row["alert_id"], row["subject"], tone, f"alert {row['state']}", row["title"], why, row["updated_at"]
    )


def _why(row: Row) -> str:
    if row["verdict"] == "verified":
        return f"one-time code {_age(row)} before, for this payout"
    if row["verdict"] in ("not_required", "exempt"):
        return "no policy asks for a proof here"
    sentence = REASONS.get(row["reason"], _words(row["reason"]))
    near = json.loads(row["nearest_miss"])["sentence"] if row["nearest_miss"] else ""
    return f"{sentence}; nearest: {near}" if near else sentence


def _age(row: Row) -> str:
    return f"{(row['verification_age_ms'] or 0) / 1000:.1f} s"


def _words(name: str) -> str:
    return name.replace("_", " ")


class Outcomes:
    """The last of them, newest first. Safe for threads.

    Attributes:
        away: why nothing more is heard, in words; "" while all is well.
    """

    def __init__(self) -> None:
        self.away = ""
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str], Outcome] = OrderedDict()

    def take(self, outcome: Outcome) -> None:
        """Keep one, in the place of what was said about the same before."""
        key = (outcome.kind, outcome.key)
        with self._lock:
            self._kept.pop(key, None)
            self._kept[key] = outcome
            while len(self._kept) > _KEPT_MAX:
                self._kept.popitem(last=False)

    def of(self, subject: str) -> list[Outcome]:
        """Those about one person, the newest first."""
        with self._lock:
            mine = [outcome for outcome in self._kept.values() if outcome.subject == subject]
        return sorted(mine, key=lambda outcome: outcome.time, reverse=True)
