"""The batch job of the law by brute force: contract sections 5, 6, 7 and 10.

Every question re-reads all records; `until` is the greatest arrival that counts for it.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace as Space
from typing import Any

from .reading import TYPES, UNITS, Event, Records, address, condition, instant, matches

MINUTE, HOUR, DAY = UNITS["m"], UNITS["h"], UNITS["d"]
FILTERS = ["untrusted_source", "wrong_session", "voided", "weak_factor"]
FILTERS += ["stale", "wrong_binding", "context_mismatch", "over_used"]
AFTER = {"untrusted_source", "wrong_session", "weak_factor", "wrong_binding"}  # filters 1, 2, 4 and 6
PROMPTS = [f"stepup.{end}" for end in ("challenged", "failed", "denied", "expired", "cancelled")]
STEPS = [*PROMPTS, "stepup.bypassed", "stepup.verified"]
ENDS = {"stepup.verified": "", **{f"stepup.{end}": end for end in ("denied", "failed", "bypassed")}}
Row = dict[str, Any]
Failed = dict[Event, list[str]]  # the filters that each candidate fails, by (at, time, source, id)
SEVERITIES = ["low", "medium", "high", "critical"]


def judge_file(lines: Iterable[bytes], policies: Iterable[Path | tuple[str, str]]) -> list[Row]:
    """The rows that `stepwatch replay --json` must write, in any order.

    Args:
        lines: the lines of the file, with or without their ends.
        policies: policy files, or pairs of a file's name and text.

    Raises:
        ValueError: a key is given twice in one mapping; no other refusal is looked for.
    """
    judge = Judge(lines, policies)
    return [*judge.rejected, *map(judge.row, judge.actions), *judge.alerts(), *judge.silences()]


def alert_id(*parts: object) -> str:
    text = json.dumps(["stepwatch-alert-1", *parts], separators=(",", ":"), ensure_ascii=False)
    return "al_" + hashlib.sha256(text.encode()).hexdigest()[:32]


class Judge(Records):
    """What is to be said of the records of a file."""

    def __init__(self, lines: Iterable[bytes], policies: Iterable[Path | tuple[str, str]]) -> None:
        super().__init__(lines, policies)
        self.stands: Callable[[Event, int], Space] = cache(self.judge)
        self.policy: Callable[[Event], tuple[Any, bool]] = cache(self.match)

    def match(self, a: Event) -> tuple[Any, bool]:
        """The first policy that matches, and whether its exemption holds."""
        policy = next((policy for policy in self.set_at(a.time).policies if matches(policy, a)), None)
        return policy, bool(policy and policy.exempt and condition(policy.exempt, a) is True)

    def close(self, a: Event) -> int:
        policy, exempt = self.policy(a)
        return a.arrival + (policy.grace + policy.revise_within if policy and not exempt else 0)

    def fed(self, time: int) -> list[tuple[str, Space]]:
        """The sources that must be alive, by the set in force."""
        sources = self.set_at(time).sources.items()
        return [(name, source) for name, source in sources if source.silent_after is not None]

    # Section 5. Each filter is true where v passes it for a, an action of policy p.

    def untrusted_source(self, p: Space, a: Event, v: Event, until: int) -> bool:
        sources = self.set_at(a.time).sources
        trusted = v.source in sources and v.kind in (sources[v.source].proves or [])
        return trusted or all(source.proves is None for source in sources.values())

    def wrong_session(self, p: Space, a: Event, v: Event, until: int) -> bool:
        return not p.same_session or a.get("session") == v.get("session") != "" or a.root == v.root != ""

    def voided(self, p: Space, a: Event, v: Event, until: int) -> bool:
        ended = [r for r in self.known(a, until, "session.revoked") if v.at < r.time <= a.time]
        lost = [c for c in self.known(a, until, "credential.changed") if v.at < c.time <= a.time]
        return not (
            any((r.get("session") or r.get("root_session")) in ("", v.get("session"), v.root) for r in ended)
            or any(c.get("change") == "revoked" and c.get("credential") == v.get("credential") for c in lost)
        )

    def weak_factor(self, p: Space, a: Event, v: Event, until: int) -> bool:
        weak = p.amr_any and not set(p.amr_any) & set(v.data.get("amr", []))
        return not weak and (not p.acr_any or v.get("acr") in p.acr_any)

    def stale(self, p: Space, a: Event, v: Event, until: int) -> bool:
        return bool(a.time - v.at <= p.max_age)

    def wrong_binding(self, p: Space, a: Event, v: Event, until: int) -> bool:
        own, wanted = ("bound_action", "action") if p.binding == "action" else ("transaction", "transaction")
        bound = v.kind == "step_up" and v.get(own) == a.get(wanted) != ""  # on a login these two mean nothing
        return bound or p.binding == "none"

    def context_mismatch(self, p: Space, a: Event, v: Event, until: int) -> bool:
        device, ip = ([e.get("client", name) for e in (a, v)] for name in ("device", "ip"))
        same_ip = address(ip[0]) == address(ip[1]) and ip[0] != ""
        return (same_ip or not p.same_ip) and (device[0] == device[1] != "" or not p.same_device)

    def over_used(self, p: Space, a: Event, v: Event, until: int) -> bool:
        used = 0
        for b in self.known(a, until, "action.performed") if p.max_uses else []:
            if b.order < a.order and b.time >= a.time - p.lookback and b.spends:
                earlier = self.stands(b, min(until, self.close(b)))
                same_policy = earlier.policy is not None and earlier.policy.id == p.id
                used += same_policy and earlier.chosen is not None and earlier.chosen.proof == v.proof
        return not p.max_uses or used < p.max_uses

    def failed(self, p: Space, a: Event, v: Event, until: int) -> list[str]:
        """The filters that v fails, in their order."""
        return [name for name in FILTERS if not getattr(self, name)(p, a, v, until)]

    def judge(self, a: Event, until: int) -> Space:
        """The verdict on what arrived by then (`close(a)` or earlier)."""
        p, exempt = self.policy(a)

        def say(verdict: str, reason: str, chosen: Event | None = None, nearest: Any = None) -> Space:
            return Space(verdict=verdict, reason=reason, policy=p, chosen=chosen, nearest=nearest)

        if p is None:
            return say("not_required", "no_policy")
        if exempt:
            return say("exempt", "exemption")
        if a.arrival - a.time > p.accept_late:
            return say("blind", "too_late")
        proofs, skewed = [v for v in self.proofs(a, until) if v.kind in p.accept], a.time + p.clock_skew
        candidates = [v for v in proofs if a.time - p.lookback <= v.at and v.time <= skewed]
        candidates.sort(key=lambda v: (v.at, v.order))
        failed: Failed = {v: self.failed(p, a, v, until) for v in candidates}
        passed = [v for v in candidates if not failed[v]]
        if passed:
            return say("verified", passed[-1].kind, passed[-1])
        after = [v for v in proofs if skewed < v.time <= a.time + p.revise_within]
        after = [v for v in after if not AFTER & set(self.failed(p, a, v, until))]
        nearest = None
        if failed:
            v = min(reversed(candidates), key=lambda v: len(failed[v]))
            by_us = a.time - v.at - p.max_age if "stale" in failed[v] else None
            nearest = {"verification": v.proof[-1], "failed": failed[v], "by_us": by_us}
        elif after:
            v, by_us = after[0], after[0].time - skewed
            nearest = {"verification": v.proof[-1], "failed": ["after_the_fact"], "by_us": by_us}
        if self.silent(p, a, until):
            return say("blind", "source_silent", None, nearest)
        return say("unverified", self.reason(p, a, until, failed, after), None, nearest)

    def silent(self, p: Space, a: Event, until: int) -> bool:
        """Whether a source listed with silent_after gave no sign of life around a."""
        own = [e for e in self.known(a, until, *TYPES) if e not in self.actions]
        for name, source in self.fed(a.time):
            since, close = a.arrival + p.grace - source.silent_after, self.close(a)
            near = [e for e in own + self.heartbeats if e.source == name and since <= e.arrival <= close]
            if not any(e.is_sign(source.silent_after) for e in near):
                return True
        return False

    def reason(self, p: Space, a: Event, until: int, failed: Failed, after: list[Event]) -> str:
        """The reason of unverified; `failed` are the candidates, `after` the proofs after the fact."""
        left, struck = list(failed), "no_step_up"
        for name in FILTERS:
            if left and not (left := [v for v in left if name not in failed[v]]):
                struck = name
        if any(a.time - v.at <= p.max_age for v in failed):
            return struck
        near = range(a.time - p.max_age, a.time + p.clock_skew + 1)
        steps = [e for e in self.known(a, until, *STEPS) if e.time in near]
        steps = [e for e in steps if self.wrong_session(p, a, e, until)]
        end = ENDS.get(steps[-1].type, "abandoned") if steps else ""
        return "after_the_fact" if after else end or struck

    def row(self, a: Event) -> Row:
        verdict = self.stands(a, self.close(a))
        policy, chosen = verdict.policy, verdict.chosen
        row: Row = {"kind": "verdict", "tenant": a.tenant, "subject": a.subject, "source": a.source}
        row |= {"action_id": a.id, "verdict": verdict.verdict, "reason": verdict.reason}
        row |= {"policy": policy.id if policy else "", "nearest_miss": verdict.nearest}
        proved = {"verification": chosen.proof[-1], "age_us": a.time - chosen.at} if chosen else {}
        return row | {"verification": None, "age_us": None} | proved

    # Section 6.

    def late(self, e: Event) -> bool:
        return bool(e.arrival - e.time > self.set_at(e.time).accept_late)

    def policed(self, a: Event) -> Any:
        """The policy of an action that may be an anchor, or None."""
        policy, exempt = self.policy(a)
        fair = policy and not exempt and a.arrival - a.time <= policy.accept_late
        return policy if fair and a.spends else None

    def fatigue(self, e: Event, until: int) -> bool:
        prompts = [x for x in self.known(e, until, *PROMPTS) if e.time - 10 * MINUTE < x.time <= e.time]
        asked = {(x.get("challenge"),) if x.get("challenge") else (x.source, x.id) for x in prompts}
        verified = {(v.get("challenge"),) for v in self.proofs(e, until) if v.time <= e.time}
        return e.type in PROMPTS and len(asked - verified) >= 5

    def fatigue_success(self, e: Event, until: int) -> str:
        """The severity, or '' where it does not hold."""
        anchors = [x for x in self.known(e, until, *PROMPTS) if 0 < e.time - x.time <= 10 * MINUTE]
        if not any(self.fatigue(x, min(x.arrival + HOUR, until)) for x in anchors if not self.late(x)):
            return ""
        actions = [(a, self.policed(a)) for a in self.known(e, until, "action.performed")]
        acted = any(policy and 0 <= a.time - e.time <= policy.max_age for a, policy in actions)
        return "critical" if acted else "high"

    def replayed(self, e: Event, until: int) -> bool:
        code = [e.data.get("credential"), e.data.get("otp_step")]
        earlier = [x for x in self.known(e, until, "stepup.verified") if x.order < e.order]
        earlier = [x for x in earlier if x.time > e.time - DAY]
        same = [x for x in earlier if [x.data.get("credential"), x.data.get("otp_step")] == code]
        return None not in code and any(x.proof != e.proof for x in same)

    def patterns(self, e: Event) -> Iterator[tuple[str, str]]:
        """Name and severity of each pattern that holds at e."""
        if e in self.actions:
            verdict, policy, until = self.stands(e, self.close(e)), self.policed(e), self.close(e)
            denials = self.known(e, until, "stepup.denied") if policy else []
            if any(e.time - policy.max_age <= x.time <= e.time for x in denials):
                yield "denied_then_acted", "high"
            made = [c for c in self.known(e, until, "credential.changed") if c.get("change") == "created"]
            recent = {c.get("credential") for c in made if 0 <= e.time - c.time < DAY}
            if policy and verdict.chosen and verdict.chosen.get("credential") in recent:
                yield "fresh_credential", "medium"
            grave = e.get("resource", "sensitivity") in ("high", "critical")
            if verdict.policy is None and e.spends and (grave or e.get("decision", "result") == "required"):
                yield "policy_gap", "low"
        elif not self.late(e):
            until = e.arrival + HOUR
            if self.fatigue(e, until):
                yield "mfa_fatigue", "high"
            if e.type == "stepup.verified" and (severity := self.fatigue_success(e, until)):
                yield "mfa_fatigue_success", severity
            failures = self.known(e, until, "stepup.failed")
            failures = [x for x in failures if e.time - 5 * MINUTE < x.time <= e.time]
            if e.type == "stepup.failed" and len(failures) >= 10:
                yield "otp_guessing", "high"
            if e.type == "stepup.verified" and self.replayed(e, until):
                yield "replayed_code", "critical"
            if e.type == "approval.granted" and self.canonical(e, e.get("approver")) == e.subject:
                yield "self_approval", "high"

    # Section 7.

    def memberships(self, e: Event) -> Iterator[tuple[str, str, str, str, int]]:
        """Kind, severity, reason, policy and dedup of each alert that e is a member of."""
        for name, severity in self.patterns(e):
            yield name, severity, name, "", DAY if name == "policy_gap" else HOUR
        verdict = self.stands(e, self.close(e)) if e in self.actions and e.spends else Space(verdict="")
        kind = {"unverified": "unverified_action", "blind": "blind"}.get(verdict.verdict)
        if kind:
            yield kind, verdict.policy.severity, verdict.reason, verdict.policy.id, verdict.policy.dedup

    def alerts(self) -> list[Row]:
        alerts: dict[str, Row] = {}
        for e in self.events:
            for kind, severity, reason, policy, dedup in self.memberships(e):
                time = e.arrival if self.late(e) else e.time
                bucket = [time - time % dedup, dedup] if dedup else [time, 0, e.source, e.id]
                name = alert_id(e.tenant, kind, e.subject, policy, *bucket)
                new: Row = {"kind": "alert", "alert_id": name, "alert": kind, "tenant": e.tenant}
                new |= {"subject": e.subject, "policy": policy, "reason": reason, "severity": severity}
                new |= {"first_time": instant(e.time), "count": 0, "actions": []}
                alert = alerts.setdefault(name, new)
                alert["severity"] = max(alert["severity"], severity, key=SEVERITIES.index)
                alert["actions"] += [e.id] if alert["count"] < 100 else []
                alert |= {"count": alert["count"] + 1, "last_time": instant(e.time)}
        return list(alerts.values())

    def silences(self) -> Iterator[Row]:
        """`source_silence` at the greatest arrival of the file."""
        log_time = max(self.arrivals, default=0)
        for name, source in self.fed(log_time):
            beats = sorted((e.arrival, e.time, e.id) for e in self.heartbeats if e.source == name)
            signs = [e.arrival for e in self.heartbeats if e.source == name and e.is_sign(source.silent_after)]
            seen = max(signs, default=min(self.arrivals, default=0))
            if log_time - seen > source.silent_after:
                named = beats[-1][2] if beats else ""  # the last heartbeat, whether it is a sign of life or not
                row: Row = {"kind": "alert", "alert_id": alert_id("", "source_silence", name, named)}
                row |= {"alert": "source_silence", "tenant": "", "subject": "", "policy": "", "reason": name}
                row |= {"severity": "high", "count": 1, "actions": [], "first_time": instant(seen)}
                yield row | {"last_time": instant(seen)}
