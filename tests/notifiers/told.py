"""Alerts of every kind and reason, as the worker writes them, and their messages as text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from stepwatch.notifiers.delivery import Message, Step
from stepwatch.notifiers.disclosure import Disclosure
from stepwatch.notifiers.grouping import forgotten
from stepwatch.notifiers.ledger import Told
from stepwatch.notifiers.messages import (
    build_digest,
    build_forgotten,
    build_message,
    build_not_judged_message,
    build_test_message,
)
from stepwatch.notifiers.notices import NotJudged, Seen, ShownAlert, read_alert, seen_of
from stepwatch.streams.wording import PATTERNS, REASONS, deed
from tests.store.rows import alert, at

CONSOLE = "https://stepwatch.acme.example"
BLIND = ("too_late", "overload", "source_silent")
NEAREST: dict[str, tuple[list[str], int | None, str]] = {
    "untrusted_source": (["untrusted_source"], None, "one-time code from /otp, which may not prove it"),
    "wrong_session": (["wrong_session"], None, "one-time code in session s-77"),
    "voided": (["voided"], None, "security key tap revoked before the action"),
    "weak_factor": (["weak_factor"], None, "code by text message not an accepted factor"),
    "stale": (["stale"], 42_000_000, "security key tap 42 s too old"),
    "wrong_binding": (["wrong_binding"], None, "security key tap given for something else"),
    "context_mismatch": (["context_mismatch"], None, "security key tap from another device or address"),
    "over_used": (["over_used"], None, "security key tap already used up"),
    "after_the_fact": (["after_the_fact"], 7_000_000, "security key tap 7 s too late"),
    "denied": (["stale"], 9_000_000, "security key tap 9 s too old"),
    "source_silent": (["stale"], 42_000_000, "security key tap 42 s too old"),
}


def shown(version: int = 1, **columns: Any) -> ShownAlert:
    """An alert as the role reads it: alice's payout, unless said otherwise."""
    done = deed("alice", "payments.payout.approve", "payout", "po_991", "")
    row: dict[str, Any] = {
        "title": f"{done}: not verified",
        "explanation": REASONS["no_step_up"],
        "runbook": "https://runbooks.acme.example/payout",
        "owner": "payments-oncall",
        "alert_id": "al_0123456789abcdef0123456789abcdef",
    }
    return read_alert(alert(version, **{**row, **columns}))


def of_reason(reason: str, **columns: Any) -> ShownAlert:
    """An alert about an action, of that reason of contract section 5."""
    blind = reason in BLIND
    done = deed("alice", "payments.payout.approve", "payout", "po_991", "bob" if reason == "denied" else "")
    said: dict[str, Any] = {
        "kind": "blind" if blind else "unverified_action",
        "reason": reason,
        "title": f"{done}: {'cannot be judged' if blind else 'not verified'}",
        "explanation": REASONS[reason],
    }
    if reason in NEAREST:
        failed, by_us, sentence = NEAREST[reason]
        nearest = {"verification": "v-7", "failed": failed, "by_us": by_us, "sentence": sentence}
        said |= {"nearest_miss": json.dumps(nearest), "explanation": f"{REASONS[reason]}; nearest: {sentence}"}
    return shown(**{**said, **columns})


def of_pattern(pattern: str, **columns: Any) -> ShownAlert:
    """An alert of a pattern of contract section 6."""
    title, explanation = PATTERNS[pattern]
    said: dict[str, Any] = {
        "kind": pattern,
        "reason": pattern,
        "policy": "",
        "runbook": "",
        "owner": "",
        "severity": "high",
        "title": f"alice: {title}",
        "explanation": explanation,
    }
    if pattern == "policy_gap":
        done = deed("alice", "vault.key.export", "key", "k-1", "")
        # Nothing takes a gap back: it closes when it opens.
        said |= {"title": f"{done}: {title}", "severity": "low", "closes_at": at("09:15:01")}
    if pattern == "source_silence":
        said |= {"tenant": "", "subject": "", "reason": "/idp", "title": f"/idp: {title}"}
        said |= {"explanation": f"{explanation}; last sign of life 2026-11-24T09:10:00Z", "actions": []}
    return shown(**{**said, **columns})


BUG = NotJudged("0@12", "stepwatch.actions-0@1207", "acme/alice", "KeyError: 'alice'", at("09:15:02"))


def examples() -> Iterator[tuple[str, Message]]:
    """Each golden example by its name: every reason and pattern as it opens, every step, every level of disclosure."""
    for reason in REASONS:
        yield f"opened, {reason}", build_message(of_reason(reason), Step.TRIGGER, console_url=CONSOLE)
    for pattern in PATTERNS:
        yield f"opened, {pattern}", build_message(of_pattern(pattern), Step.TRIGGER, console_url=CONSOLE)
    yield from _steps()
    for level in (Disclosure.IDS, Disclosure.MINIMAL):
        for name in ("stale", "wrong_session", "denied"):
            message = build_message(of_reason(name), Step.TRIGGER, shown=level, console_url=CONSOLE)
            yield f"opened, {name}, shown {level.value}", message
        yield (
            f"opened, otp_guessing, shown {level.value}",
            build_message(of_pattern("otp_guessing"), Step.TRIGGER, shown=level),
        )
        yield f"not judged, shown {level.value}", build_not_judged_message(BUG, shown=level)
    yield "not judged", build_not_judged_message(BUG, console_url=CONSOLE)
    many = [shown(), shown(severity="high", subject="bob"), of_pattern("otp_guessing", last_time=at("09:40:00"))]
    key = "dg_0123456789abcdef0123456789abcdef"
    yield "digest", build_digest(many, why="more than 6 in a minute", key=key, console_url=CONSOLE)
    over = [shown(state="resolved"), shown(state="resolved", subject="bob")]
    yield "digest, resolved", build_digest(over, why="more than 6 in a minute", key=key, step=Step.RESOLVE)
    yield (
        "digest, forgotten",
        build_forgotten(forgotten(key, [Told("pager", key, "acme", 7, severity="high", count=3)])),
    )
    yield "digest of one policy", build_digest(many[:2], why="more than 20 of one policy in a minute")
    yield "test", build_test_message("pager")


def _steps() -> Iterator[tuple[str, Message]]:
    before: Seen = seen_of(of_reason("stale", severity="high"))
    worse = of_reason("stale", version=2, count=4, last_time=at("09:40:00"))
    yield "changed, stale", build_message(worse, Step.UPDATE, before=before)
    yield "acknowledged, stale", build_message(of_reason("stale"), Step.ACKNOWLEDGE, before=before)
    for by in ("late_verification", "source_recovered", "revision", "person", "expired"):
        over = of_reason("stale", state="resolved", resolved_by=by, count=0)
        yield f"resolved, {by}", build_message(over, Step.RESOLVE, before=before)
    back = of_pattern("source_silence", state="resolved", resolved_by="source_recovered", count=0)
    yield "resolved, source_silence", build_message(back, Step.RESOLVE)


def as_text(name: str, message: Message) -> str:
    """A message as a person reads it, for the golden file."""
    places = [("severity", message.severity), ("kind", message.kind), ("runbook", message.runbook)]
    places += [("console", message.console), ("command", message.command)]
    facts = [f"    {fact}: {value}" for fact, value in message.facts]
    rest = [f"  {place} {value}" for place, value in places if value]
    return "\n".join([f"== {name}", message.title, *message.lines, *facts, *rest, ""])
