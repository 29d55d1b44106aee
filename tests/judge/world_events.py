"""Random events around the edges of a world's policies: times, arrivals, copies, conflicts, faults."""

import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

from .world_policies import HOUR, MINUTE, SECOND, Spans, some

Event = dict[str, Any]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BASE = (datetime(2026, 11, 24, 10, tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)  # a bucket's edge
STEPS = ["challenged", "failed", "denied", "expired", "cancelled", "bypassed", "required"]
KINDS = ["action", "verified", "login", "step", "revoked", "credential", "approval", "heartbeat", "newer"]
WEIGHTS: dict[str, list[float]] = {
    "plain": [10, 8, 2, 3, 1, 1, 1, 1, 0.3],
    "uses": [12, 4, 1, 0, 0.5, 0, 0, 0, 0],
    "voided": [6, 6, 2, 1, 5, 5, 0, 0, 0],
    "silence": [6, 3, 2, 2, 0, 0, 0, 9, 0.5],
    "context": [8, 9, 3, 1, 0, 0, 0, 0, 0],
    "fatigue": [2, 3, 0.5, 15, 0, 0, 0, 0, 0],
    "guessing": [1, 1, 0, 20, 0, 0, 0, 0, 0],
    "patterns": [5, 6, 1, 3, 1, 4, 3, 0, 0],
    "copies": [6, 6, 1, 1, 1, 1, 0, 2, 0],
}
FOCUSED = {"fatigue": ["challenged", "failed", "denied", "expired", "cancelled"], "guessing": ["failed"]}
TIGHT = {"fatigue": [0, 30 * SECOND, MINUTE, 2 * MINUTE, 10 * MINUTE], "guessing": [0, SECOND, 20 * SECOND]}
TIGHT["guessing"].append(5 * MINUTE)
TIGHT["uses"] = [0, SECOND, 2 * SECOND, 5 * SECOND, 10 * SECOND, MINUTE]


def written(us: int, rng: random.Random | None = None) -> str:
    """A time as RFC 3339; with chance, in one of its other spellings."""
    moment = EPOCH + timedelta(microseconds=us)
    spelling = rng.random() if rng else 1
    if spelling < 0.05:
        return f"{moment:%Y-%m-%dt%H:%M:%S.%f}789z"
    if spelling < 0.1:
        return f"{moment + timedelta(minutes=90):%Y-%m-%dT%H:%M:%S.%f}+01:30"
    if spelling < 0.3 and us % SECOND == 0:
        return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
    return f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}"


class Scene:
    """Makes the events of one world; each leans on the times and arrivals of those before it."""

    def __init__(self, rng: random.Random, theme: str, spans: Spans) -> None:
        self.rng, self.theme = rng, theme
        self.windows = sorted(spans.windows | {0, SECOND, 10 * MINUTE})
        self.waits = sorted(spans.waits | {0, SECOND, HOUR})
        self.times, self.arrivals = [BASE, *spans.starts], [BASE]
        self.sent: list[Event] = []
        self.odd = rng.choice([0.03, 0.1, 0.1, 0.4])  # how often a value is not the ordinary one
        # Challenge ids of days apart differ: a fact of long ago may have been forgotten.
        self.era, self.jump = 0, rng.choice([0, 0, 0, 25 * HOUR, 50 * HOUR])

    def pick(self, ordinary: Any, *others: Any) -> Any:
        """The ordinary value, or now and then one of the others."""
        return self.rng.choice(others) if self.rng.random() < self.odd else ordinary

    def time(self, kind: str = "") -> int:
        """A moment at, or a microsecond beside, a window's edge from an earlier event."""
        rng = self.rng
        base = self.times[0] if rng.random() < 0.5 else rng.choice(self.times[-6:])
        windows = TIGHT.get(self.theme) or (self.windows if rng.random() < 0.5 else self.windows[:3])
        delta = rng.choice([*windows, SECOND])
        back = 0.8 if kind in ("verified", "login") else 0.25
        return int(base + (-delta if rng.random() < back else delta) + rng.choice([0, 0, 0, 0, 1, -1]))

    def arrival(self, time: int) -> int:
        """Soon after its time, or at an edge of waiting from another arrival or from its time."""
        rng = self.rng
        if rng.random() < 0.65:
            return time + int(self.pick(0, 1, 1000, SECOND, -SECOND, -10 * MINUTE))
        base = time if rng.random() < 0.4 else rng.choice(self.arrivals[-6:])
        sign = rng.choice([1, 1, 1, -1])
        return max(base + sign * rng.choice(self.waits) + rng.choice([0, 0, 0, 1, -1]), time - 10 * MINUTE)

    def event(self) -> Event:
        """One more event, of a kind that the theme likes."""
        rng = self.rng
        if self.jump and rng.random() < 0.15:
            self.era += 1
            self.times, self.arrivals = [BASE + self.jump], [BASE + self.jump]
        kind = rng.choices(KINDS, WEIGHTS[self.theme])[0]
        time = self.time(kind)
        arrival = self.arrival(time)
        self.times.append(time)
        self.arrivals.append(arrival)
        name = {"action": "a", "heartbeat": "h"}.get(kind, "v") + f"-{len(self.sent) + 1}"
        event: Event = {"specversion": "1.0", "id": self.pick(name, "x", "é𝄞")}
        if self.theme != "copies" and event["id"] != name:
            event["id"] += str(len(self.sent))
        event["source"] = self.pick("/app", "/app2") if kind == "action" else self.pick("/idp", "/idp2", "/app")
        event["type"], data = getattr(self, kind)(time)
        event |= {"time": written(time, rng), "arrival": written(arrival)}
        if kind != "heartbeat":
            event["subject"] = self.pick(rng.choice(["alice"] * 5 + ["al@x"]), "bob", "00u1", "Bøb")
            data |= some(rng, self.odd / 2, tenant=["acme", "default", None])
        if data or rng.random() < 0.5:
            event["data"] = data
        self.sent.append(event)
        return event

    def session(self) -> Event:
        """Mostly the one session; now and then another, a root, or none."""
        session = {"session": self.pick("s1", "s2", "", "r1")}
        return session | some(self.rng, self.odd, root_session=["r1", "r1", "s1", "r2", None])

    def client(self, chance: float) -> Event:
        """A client object, or nothing."""
        ips = ["10.0.0.2", "2001:db8::1", "2001:DB8:0::1", "no address", ""]
        ip, device = self.rng.choice(["10.0.0.1", "::ffff:10.0.0.1"]), self.pick("d1", "d2", "")
        client = {"ip": self.pick(ip, *ips), "device": device}
        client |= some(self.rng, 0.2, country=["NO", "SE", None], asn=[5, "AS5", None])
        return {"client": client} if self.rng.random() < chance else {}

    def near(self, chance: float) -> float:
        """A chance, raised where the theme looks at bindings and clients."""
        return 0.9 if self.theme == "context" else chance

    def action(self, time: int) -> tuple[str, Event]:
        rng = self.rng
        data = self.session() | self.client(self.near(0.3))
        data["action"] = self.pick("pay.out", "pay.in", "iam.grant", "other\nthing")
        resource = some(rng, 0.6, type=["payout", "role", ""], id=["r1", "r2"])
        resource |= some(rng, 0.6, sensitivity=["high", "critical", "low", "HIGH", ""])
        if rng.random() < 0.7:
            data["resource"] = resource
        data |= some(rng, self.odd, outcome=["success", "failure", "denied", "unknown", "maybe", ""])
        data |= some(rng, self.near(0.2), transaction=[self.pick("t1", "t2", "")])
        data |= some(rng, 0.2, token=[{"acr": "phr", "amr": ["hwk"]}, {"acr": 2, "n": 5}, {"n": "5", "acr": None}, {}])
        decisions = [{"result": "required"}, {"result": "exempt"}, {"result": None, "reason": "x"}]
        return "stepwatch.action.performed", data | some(rng, 0.2, decision=decisions, challenge=["c1"])

    def proof(self, time: int) -> Event:
        """What a verification says of itself."""
        rng = self.rng
        data = self.session() | self.client(self.near(0.3))
        data["amr"] = self.pick(["otp"], ["otp", ""], ["hwk", "user"], ["pwd"], [""], [])
        whole = time // SECOND
        at = [whole, whole - 1, whole - 10, whole - 60 + 0.9, whole + 1, whole + 600, float(whole), None, 0]
        data |= some(rng, 0.3, acr=["phr", "phr", "1"]) | some(rng, self.odd, auth_time=at)
        data |= some(rng, 0.25, verification=["proof1", "proof1", "proof2", ""])
        chance = 0.7 if self.theme in ("patterns", "voided") else 0.15
        data |= some(rng, chance, credential=["k1"], otp_step=[0, 7, 7])
        data |= some(rng, self.near(0.15), bound_action=[self.pick("pay.out", "pay.in")], transaction=["t1"])
        return data | self.challenge(0.4 if self.theme == "fatigue" else 0.1)

    def challenge(self, chance: float) -> Event:
        """A challenge id of a small pool, or none."""
        pool = [f"c{self.era}-{number}" for number in range(7)]
        return some(self.rng, chance, challenge=pool)

    def verified(self, time: int) -> tuple[str, Event]:
        return "stepwatch.stepup.verified", self.proof(time)

    def login(self, time: int) -> tuple[str, Event]:
        return "stepwatch.session.started", self.proof(time)

    def step(self, time: int) -> tuple[str, Event]:
        data = self.session() | self.challenge(0.7) | some(self.rng, 0.1, reason=["new_payee"], amr=[["otp"]])
        return "stepwatch.stepup." + self.rng.choice(FOCUSED.get(self.theme, STEPS)), data

    def revoked(self, time: int) -> tuple[str, Event]:
        return "stepwatch.session.revoked", self.rng.choice([self.session(), self.session(), {}])

    def credential(self, time: int) -> tuple[str, Event]:
        change = self.rng.choice(["created", "created", "revoked", "revoked", "updated", "other"])
        return "stepwatch.credential.changed", {"credential": self.pick("k1", "k2"), "change": change}

    def approval(self, time: int) -> tuple[str, Event]:
        data = {"approver": self.rng.choice(["alice", "bob", "al@x", "00u1"])}
        return "stepwatch.approval." + self.rng.choice(["granted", "granted", "revoked"]), data

    def heartbeat(self, time: int) -> tuple[str, Event]:
        told = written(time - self.rng.choice(self.waits) - self.rng.choice([0, 0, 1]))
        return "stepwatch.heartbeat", some(self.rng, 0.5, complete_to=[told, told, "soon", None], tenant=[5])

    def newer(self, time: int) -> tuple[str, Event]:
        return "stepwatch.stepup.dreamt", {"session": "s1"}

    def copy(self) -> Event:
        """An earlier event again: with another arrival, and maybe another body."""
        rng = self.rng
        event: Event = json.loads(json.dumps(rng.choice(self.sent)))
        if rng.random() < 0.8:
            time = max(self.times[-6:]) if rng.random() < 0.8 else rng.choice(self.times)
            event["arrival"] = written(self.arrival(time))
        if rng.random() < 0.5 and event["type"] != "stepwatch.heartbeat":
            data = event.setdefault("data", {})
            data |= some(rng, 0.5, session=["s1", "s2"], amr=[["otp"], ["hwk"]], outcome=["denied", "success"])
            event |= some(rng, 0.2, subject=["alice", "al@x"], traceparent=["00-1", 2.50, {"b": 1, "a": None}])
            if rng.random() < 0.2:
                event["time"] = written(self.time())
        return event


def faulty(rng: random.Random, event: Event) -> bytes:
    """A line with exactly one fault, or with something odd that is none."""
    event = json.loads(json.dumps(event))
    data = event.setdefault("data", {})
    ahead = [written(BASE), written(BASE + 10 * MINUTE + rng.choice([0, 1]))]
    deep: Any = []
    for _ in range(rng.choice([13, 14])):  # at the depth of 16, and one beyond
        deep = [deep]
    choice = rng.randrange(8)
    if choice == 0:
        return rng.choice(
            [b"", b"  ", b"[]", b"{", b'{"id":"\xff"}', b'{"id":"x","n":NaN}', b"null", b'{"id":"\\ud800"}']
        )
    if choice == 1:
        event |= rng.choice([{"id": 5}, {"id": ""}, {"source": None}, {"type": "other.thing"}, {"type": 1}])
    elif choice == 2:
        times = ["2026-11-24T10:00:00", "2026-13-24T10:00:00Z", "2026-11-24 10:00:00Z", "1969-12-31T23:59:59Z", 5]
        times += ["2026-11-24T10:00:60Z", "2262-01-01T00:00:00Z", "2026-11-24T10:00:00.Z", "2026-11-24T24:00:00Z"]
        event |= rng.choice([{"time": time} for time in times] + [{"arrival": "soon"}, {"arrival": 7}])
    elif choice == 3:
        event |= {"arrival": ahead[0], "time": ahead[1]}
    elif choice == 4:
        event |= rng.choice([{"data": []}, {"data": "x"}, {"subject": 5}, {"subject": None}, {"extra": {"x": deep}}])
    elif choice == 5:
        texts = ["session", "acr", "challenge", "approver", "on_behalf_of", "failure", "bound_action"]
        data[rng.choice(texts)] = rng.choice([5, [], {}, True])
    elif choice == 6:
        data |= rng.choice([{"client": {"ip": 5}}, {"client": "x"}, {"decision": {"policy": []}}, {"token": []}])
    else:
        odd = [{"amr": "otp"}, {"amr": ["otp", None]}, {"auth_time": "5"}, {"auth_time": True}, {"otp_step": "7"}]
        odd += [{"otp_step": 1.5}, {"tenant": "a b"}, {"tenant": 5}, {"resource": {"id": 1}}, {"credential": False}]
        odd += [{"auth_time": 1e12}, {"token": {"sub": 5}}, {"client": {"asn": [1]}}, {"amr": None}]
        data |= rng.choice(odd)
    return json.dumps(event, ensure_ascii=rng.random() < 0.5).encode()
