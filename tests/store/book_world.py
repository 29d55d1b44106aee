"""One small world of events, judged by the product itself into tables: what the query book is asked about.

What each event is there for is beside it. The day is Tuesday, 24 November 2026; a week before there was some business
as usual. Two things no replay makes are added by hand: a verdict that was revised, and dead letters. And every row
lies in its table twice, as after a redelivery.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clickhouse_connect.driver.client import Client

from stepwatch.store.migrate import migrate
from stepwatch.store.runs import Filling
from stepwatch.streams.replay import Gathered, gather
from stepwatch.streams.replay_rows import table_rows
from stepwatch.streams.sets import load_files
from tests.store.rows import audit, evidence, load

POLICIES = Path(__file__).with_name("book") / "policies.yaml"
DAY = "2026-11-24"
SINCE, UNTIL = "2026-11-23", "2026-11-25"
DECIDED_US = 1_795_651_200_000_000
"""2026-11-26T00:00:00Z: what audit rows show as `decided_at`."""
HOME: dict[str, Any] = {"client": {"ip": "203.0.113.7", "device": "d-1", "country": "DE"}}
AWAY: dict[str, Any] = {"client": {"ip": "198.51.100.9", "device": "d-9"}}
DESK: dict[str, Any] = {"client": {"ip": "192.0.2.4", "device": "d-9"}}


def event(kind: str, id: str, at: str, subject: str, session: str = "", **data: Any) -> dict[str, Any]:
    """One event of the day, unless `at` begins with another day; of the identity provider, unless it is an action."""
    arrival = data.pop("arrival", None)
    source = data.pop("source", "/app" if kind == "action.performed" else "/idp")
    time = at if "T" in at else f"{DAY}T{at}"
    made = {
        "specversion": "1.0", "id": id, "source": source, "type": f"stepwatch.{kind}", "time": time + "Z",
        "subject": subject, "data": {"tenant": "acme", "session": session, **data},
    }  # fmt: skip
    return made if arrival is None else made | {"arrival": f"{DAY}T{arrival}Z"}


def act(id: str, at: str, subject: str, action: str, session: str = "", **data: Any) -> dict[str, Any]:
    """An action."""
    return event("action.performed", id, at, subject, session, action=action, **data)


def payout(id: str, at: str, subject: str, session: str, of: str, **data: Any) -> dict[str, Any]:
    """A payout approved."""
    resource = {"type": "payout", "id": of, "sensitivity": data.pop("sensitivity", "high")}
    return act(id, at, subject, "payments.payout.approve", session, resource=resource, **data)


def heartbeats() -> Iterator[dict[str, Any]]:
    """The identity provider is alive until 14:00, and again from 17:00 to 18:00."""
    for minute in [*range(8 * 60, 14 * 60 + 1, 30), 17 * 60, 17 * 60 + 30, 18 * 60]:
        at = f"{minute // 60:02}:{minute % 60:02}:00"
        yield event("heartbeat", f"hb-{minute}", at, "")


def week_before() -> list[dict[str, Any]]:
    """Business as usual: a payout and a wire under one proof, and a look at a report."""
    day = "2026-11-17T"
    return [
        event("stepup.verified", "e-w0", day + "10:00:00", "alice", "s0", amr=["hwk"], verification="v-0", **HOME),
        payout("a-w1", day + "10:01:00", "alice", "s0", "po_0", **HOME),
        act("a-w2", day + "10:02:00", "alice", "payments.wire.send", "s0", **HOME),
        act("a-w3", day + "10:03:00", "alice", "report.view", "s0", **HOME),
    ]


def alices_morning() -> list[dict[str, Any]]:
    """A person who proves herself, now and then too late."""
    return [
        event("session.started", "e-1", "09:00:00", "alice", "s1", amr=["pwd"], verification="v-login", **HOME),
        # Covered by the login, which this policy accepts.
        act(
            "a-5",
            "09:05:00",
            "alice",
            "keys.export",
            "s1",
            resource={"type": "key", "id": "k-1", "sensitivity": "high"},
            **HOME,
        ),
        event("stepup.required", "e-2", "09:10:00", "alice", "s1", challenge="c-1", reason="new_payee"),
        event("stepup.challenged", "e-3", "09:10:05", "alice", "s1", challenge="c-1", reason="new_payee"),
        event(
            "stepup.verified",
            "e-4",
            "09:10:20",
            "alice",
            "s1",
            challenge="c-1",
            verification="v-1",
            amr=["user", "hwk"],
            acr="phr",
            credential="cred-1",
            **HOME,
        ),
        payout(
            "a-1", "09:11:00", "alice", "s1", "po_1", sensitivity="critical", decision={"result": "required"}, **HOME
        ),
        # The same proof again, from another device and address.
        payout("a-2", "09:12:00", "alice", "s1", "po_2", **AWAY),
        # 40 s too old, and the application thought that it would do.
        payout(
            "a-3",
            "09:16:00",
            "alice",
            "s1",
            "po_3",
            decision={"result": "previously_satisfied", "reason": "fresh"},
            **HOME,
        ),
        # A proof that would have covered it, heard of when it had closed.
        event("stepup.verified", "e-5", "09:15:50", "alice", "s1", arrival="12:00:00", verification="v-6", amr=["hwk"]),
        # Proved 30 s after it was done.
        payout("a-4", "10:30:00", "alice", "s1", "po_4", **HOME),
        event(
            "stepup.verified",
            "e-6",
            "10:30:30",
            "alice",
            "s1",
            verification="v-2",
            amr=["hwk"],
            credential="cred-1",
            **HOME,
        ),
    ]


def alices_afternoon() -> list[dict[str, Any]]:
    """A new key, and a time in which nobody can tell."""
    return [
        # A new key, used at once, then revoked.
        event("credential.changed", "e-7", "13:35:00", "alice", "s1", credential="cred-2", change="created", **AWAY),
        event(
            "stepup.verified",
            "e-8",
            "13:40:00",
            "alice",
            "s1",
            verification="v-5",
            amr=["hwk"],
            credential="cred-2",
            **AWAY,
        ),
        payout("a-16", "13:41:00", "alice", "s1", "po_5", **AWAY),
        event("credential.changed", "e-9", "13:50:00", "alice", "s1", credential="cred-2", change="revoked", **HOME),
        # The identity provider is silent, so nobody can tell.
        payout("a-17", "15:30:00", "alice", "s1", "po_6", **HOME),
        # The last thing that is heard, two hours after the last heartbeat.
        act("a-19", "20:00:00", "alice", "report.view", "s1", **HOME),
    ]


def bobs_day() -> list[dict[str, Any]]:
    """Somebody with a weak factor, who fails, gives up and is denied."""
    return [
        event("stepup.challenged", "e-20", "10:59:40", "bob", "s2", challenge="c-2", reason="unknown"),
        event(
            "stepup.verified",
            "e-21",
            "11:00:00",
            "bob",
            "s2",
            challenge="c-2",
            verification="v-3",
            amr=["sms"],
            credential="cred-b",
            otp_step=7,
            **DESK,
        ),
        # Text messages do not count; the second time the application did not even ask.
        payout("a-6", "11:01:00", "bob", "s2", "po_1", **DESK),
        payout("a-7", "11:02:00", "bob", "s2", "po_7", decision={"result": "not_required", "reason": "small"}, **DESK),
        event("stepup.challenged", "e-22", "11:10:00", "bob", "s2", challenge="c-3", reason="amount_over_limit"),
        event("stepup.failed", "e-23", "11:10:10", "bob", "s2", challenge="c-3", failure="wrong_code"),
        event("stepup.failed", "e-24", "11:10:20", "bob", "s2", challenge="c-3", failure="replayed_code"),
        event("stepup.challenged", "e-25", "11:20:00", "bob", "s2", challenge="c-4", reason="amount_over_limit"),
        event("stepup.expired", "e-26", "11:25:00", "bob", "s2", challenge="c-4"),
        event("stepup.challenged", "e-27", "11:30:00", "bob", "s2", challenge="c-5", reason="amount_over_limit"),
        event("stepup.challenged", "e-28", "11:40:00", "bob", "s2", challenge="c-6", reason="privilege_change"),
        event("stepup.denied", "e-29", "11:40:20", "bob", "s2", challenge="c-6"),
        # Refused, and done all the same; the policy's condition has no country to look at.
        act(
            "a-8",
            "11:41:00",
            "bob",
            "iam.role.grant",
            "s2",
            resource={"type": "role", "id": "admin", "sensitivity": "critical"},
            **DESK,
        ),
    ]


def the_others() -> list[dict[str, Any]]:
    """Each shows one thing."""
    return [
        # The help desk let carol pass: that proves nothing. And a denied export took no effect.
        event(
            "stepup.bypassed",
            "e-30",
            "12:00:00",
            "carol",
            "s3",
            challenge="c-7",
            reason="amount_over_limit",
            decision={"reason": "helpdesk"},
        ),
        payout("a-9", "12:01:00", "carol", "s3", "po_8"),
        act(
            "a-10",
            "12:02:00",
            "carol",
            "keys.export",
            "s3",
            outcome="denied",
            resource={"type": "key", "id": "k-2", "sensitivity": "high"},
        ),
        # A service is exempt from one policy that also asks others, and from one that asks nobody.
        payout("a-11", "12:30:00", "svc-1", "", "po_9"),
        act("a-12", "12:31:00", "svc-1", "vault.open"),
        # dave's code is bob's: the same credential, the same step. He does nothing with it.
        event(
            "stepup.verified",
            "e-31",
            "13:00:00",
            "dave",
            "s6",
            verification="v-4",
            amr=["otp"],
            credential="cred-b",
            otp_step=7,
        ),
    ]


def erins_afternoon() -> list[dict[str, Any]]:
    """Sessions, approvals, acting for another, and what no policy knows."""
    return [
        # erin: a login, an export in a session that descends from it, an approval by frank and one by herself.
        event("session.started", "e-32", "13:05:00", "erin", "s4", amr=["pwd"], verification="v-erin", **HOME),
        act(
            "a-20",
            "13:08:00",
            "erin",
            "keys.export",
            "s5",
            root_session="s4",
            resource={"type": "key", "id": "k-1", "sensitivity": "high"},
            **HOME,
        ),
        event(
            "approval.granted",
            "e-33",
            "13:10:00",
            "erin",
            "s5",
            approver="frank",
            approver_verification="v-f",
            bound_action="keys.export",
        ),
        event("approval.granted", "e-34", "13:11:00", "erin", "s5", approver="erin"),
        # She looks at a report for alice. What no policy knows: a dump of the database, a rule that the app asks for.
        act("a-13", "13:20:00", "erin", "report.view", "s5", on_behalf_of="alice"),
        act(
            "a-14",
            "13:30:00",
            "erin",
            "db.dump",
            "s5",
            resource={"type": "db", "id": "core", "sensitivity": "critical"},
        ),
        act(
            "a-15",
            "13:31:00",
            "erin",
            "mail.rule.create",
            "s5",
            decision={"result": "required", "reason": "forwarding"},
        ),
    ]


def strangers() -> list[dict[str, Any]]:
    """Who is heard of once."""
    return [
        # frank's payout of the day before is reported when nobody can judge it any more.
        payout("a-18", "2026-11-23T08:00:00", "frank", "s7", "po_10", arrival="12:00:00"),
        # Another tenant.
        payout("a-21", "13:55:00", "alice", "s9", "po_1", tenant="umbrella"),
    ]


def events() -> list[dict[str, Any]]:
    """All of the world."""
    return [
        *week_before(),
        *heartbeats(),
        *alices_morning(),
        *bobs_day(),
        *the_others(),
        *erins_afternoon(),
        *alices_afternoon(),
        *strangers(),
    ]


def dead_letter(offset: int, error: str, field: str, topic: str = "stepwatch.actions", tenant: str = "acme") -> bytes:
    """A record that was set aside."""
    row = {
        "tenant": tenant, "subject": "bob", "error": error, "field": field, "kafka_topic": topic, "kafka_partition": 0,
        "kafka_offset": offset, "time": f"{DAY}T10:00:0{offset}.000000Z", "key": f"{tenant}/bob", "value": "{}",
        "encoding": "utf-8", "dead_letter_partition": 0, "dead_letter_offset": offset,
    }  # fmt: skip
    return json.dumps(row).encode()


def build(client: Client, database: str) -> None:
    """Make the world in a database that is empty or not there, which is selected afterwards."""
    migrate(client, database)
    sets, gathered = load_files([POLICIES]), Gathered()
    lines = [json.dumps(one).encode() for one in events()]
    assert list(gather(iter(lines), sets, gathered)) == []
    filling = Filling(client)
    filling.take(table_rows(gathered, sets, DECIDED_US))
    assert filling.refused == 0
    revised = {"subject": "grace", "source": "/app", "policy": "payout", "time": f"{DAY}T16:00:00.000000Z"}
    load(
        client,
        "audit",
        audit("a-22", 1, decided_at=f"{DAY}T16:00:10.000000Z", **revised),
        audit("a-22", 2, decided_at=f"{DAY}T16:00:40.000000Z", **revised, verdict="verified", reason="step_up",
              verification="v-9", verification_age_ms=20_000, amr=["otp"]),
    )  # fmt: skip
    proved = f"{DAY}T15:59:40.000000Z"
    tap = {"subject": "grace", "verification": "v-9", "amr": ["otp"], "time": proved, "proved_at": proved}
    load(client, "authentications", evidence("e-40", **tap, arrival=f"{DAY}T16:00:30.000000Z"))
    load(
        client,
        "dead_letters",
        dead_letter(1, "data.action", "data.action"),
        dead_letter(2, "data.action", "data.action"),
        dead_letter(3, "conflict", ""),
        dead_letter(4, "json", "", topic="stepwatch.authentications", tenant=""),
    )
    for table in ("audit", "authentications", "alerts", "dead_letters"):
        client.command(f"INSERT INTO {table} SELECT * FROM {table}")
