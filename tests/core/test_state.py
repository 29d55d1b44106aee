"""Facts, rows, alerts and positions come back from the state topic as they were (DESIGN section 8)."""

from __future__ import annotations

import itertools

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwatch.streams import state
from stepwatch.streams.alerting import Alert, Member, Standing
from stepwatch.streams.facts import Action, Fact, Key, Published, Remembered
from stepwatch.streams.failing import EventFailed
from stepwatch.streams.ledger import Ledger
from stepwatch.streams.liveness import Liveness
from stepwatch.streams.logtime import LogTime
from stepwatch.streams.partition import Partition
from stepwatch.streams.patterns import ANCHORED
from stepwatch.streams.state import StateError, restore
from tests.core.driver import T0_US, TOPICS, Driver, sets_of
from tests.core.given import D, H, M, S, policy

HOSTILE = ["", "|", "/", "\x00", "\x00position|", "a|b", "action", "al_1", "日本\u2028", '"', "\\", "fact\x00"]
TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
US = st.integers(0, 2**62)
POLICY = policy("max_uses: 2", sources="{name: /idp, silent_after: 5m}")
NEWER = bytes((state.STATE_VERSION + 1,))
SUBJECT = ("acme", "al|ice/日本")


def partition() -> Partition:
    return Partition(sets_of(POLICY))


def written(*saves: state.Writes) -> list[tuple[bytes, bytes | None]]:
    return [pair for writes in saves for pair in state.encoded(writes)]


def restored(writes: state.Writes) -> Partition:
    known = partition()
    restore(known, written(writes))
    return known


def some_fact(**said: object) -> Fact:
    plain: dict[str, object] = {"type": "stepwatch.stepup.verified", "source": "/idp", "id": "v", "time_us": T0_US}
    return Fact(**{**plain, "arrival_us": T0_US + S, "hash": 2**63 - 1, "at_us": T0_US - S, **said})  # type: ignore[arg-type]


def holds(ledger: Ledger, key: Key) -> bool:
    """An anchor that is forgotten is asked about no more."""
    return key in ledger.facts or key in ledger.kept


def every_state(driver: Driver) -> dict[str, object]:
    """All that a correlator knows between batches, as far as anything that follows may depend on it."""
    known = driver.correlator.known
    anchored = {
        (kind, (subject, key))
        for (subject, key), kinds in known.anchored.items()
        for kind in kinds
        if kind in ANCHORED and subject in known.ledgers and holds(known.ledgers[subject], key)
    }
    ledgers = {
        subject: (ledger.facts, ledger.kept, set(ledger.open), ledger.remembered)
        for subject, ledger in known.ledgers.items()
        if not ledger.is_empty
    }
    alerts = {
        alert_id: (standing.alert, standing.members, standing.order)
        for alert_id, standing in known.alerting.standing.items()
    }
    return {
        "ledgers": ledgers,
        "alerts": alerts,
        "silent": known.silent,
        "anchored": anchored,
        "feeds": known.liveness.feeds,
        "first": known.first_log_us,
        "log times": driver.correlator.log_times,
        "positions": driver.correlator.positions,
        "closing": driver.correlator.open_count,
    }


# one record after the other


@settings(max_examples=60, deadline=None)
@given(TEXTS, TEXTS, US, US, st.lists(TEXTS, max_size=3), TEXTS)
def test_a_fact_comes_back_as_it_was(
    source: str, event_id: str, time_us: int, at_us: int, amr: list[str], text: str
) -> None:
    more = {"at_us": -at_us, "amr": tuple(amr), "session": text, "root": text, "kind": "step_up", "otp_step": "9" * 40}
    fact = some_fact(source=source, id=event_id, time_us=time_us, credential=text, approver=text, **more)
    writes: state.Writes = {}
    state.save(writes, SUBJECT, fact)
    assert restored(writes).ledgers[SUBJECT].facts == {(source, event_id): fact}


@settings(max_examples=60, deadline=None)
@given(TEXTS, TEXTS, US, st.booleans(), st.sampled_from([None, "v-1", ("/idp", "v|1")]), st.booleans())
def test_an_action_comes_back_with_its_row_its_last_revision_and_its_proof(
    source: str, event_id: str, time_us: int, closed: bool, proof: str | tuple[str, str] | None, published: bool
) -> None:
    driver = Driver(POLICY)
    driver.action("a", client={"ip": "::ffff:203.0.113.7"}, resource={"id": "日本"})
    (action,) = driver.correlator.known.ledgers["default", "alice"].kept.values()
    action = msgspec.structs.replace(action, source=source, id=event_id, time_us=time_us, closed=closed, proof=proof)
    if published:
        action.revision, action.published = 7, Published("unverified", "stale", "", '{"by_us":1}')
    writes: state.Writes = {}
    state.save(writes, SUBJECT, action)
    back = restored(writes)
    assert back.ledgers[SUBJECT].kept == {(source, event_id): action}
    assert list(back.ledgers[SUBJECT].open) == ([] if closed else [(source, event_id)])
    assert len(back.closing) == (0 if closed else 1)


def test_an_action_that_changes_after_it_was_saved_is_written_as_it_is_when_the_batch_ends() -> None:
    driver = Driver(POLICY)
    driver.action("a")
    (action,) = driver.correlator.known.ledgers["default", "alice"].kept.values()
    writes: state.Writes = {}
    state.save(writes, SUBJECT, action)
    action.revision = 9
    assert restored(writes).ledgers[SUBJECT].kept[action.key].revision == 9


def test_an_action_that_cannot_be_written_is_named() -> None:
    driver = Driver(POLICY)
    driver.action("a")
    (action,) = driver.correlator.known.ledgers["default", "alice"].kept.values()
    action.revision = 2**64
    writes: state.Writes = {}
    state.save(writes, SUBJECT, action)
    with pytest.raises(EventFailed) as failed:
        state.encoded(writes)
    assert failed.value.where == (TOPICS.actions, 0)


def test_a_remembered_action_comes_back() -> None:
    known = Remembered("/app", "gap", T0_US, T0_US + S, -1)
    writes: state.Writes = {}
    state.save(writes, SUBJECT, known)
    assert restored(writes).ledgers[SUBJECT].remembered == {("/app", "gap"): known}


def some_alert(alert_id: str = "al_1", **said: object) -> Alert:
    plain: dict[str, object] = {"kind": "unverified_action", "tenant": "acme", "subject": "alice", "policy": "p"}
    plain |= {"runbook": "https://r", "owner": "o", "bucket_end_us": T0_US + H, "version": 3}
    return Alert(alert_id, **{**plain, "touched_us": T0_US, **said})  # type: ignore[arg-type]


def some_member(source: str, event_id: str, time_us: int, **said: object) -> Member:
    plain: dict[str, object] = {"arrival_us": T0_US, "grace_end_us": T0_US, "closes_us": T0_US + H, "severity": "low"}
    plain |= {"reason": "stale", "title": "t", "explanation": "e", "nearest": "{}", "joined": 2}
    return Member(source, event_id, time_us, **{**plain, **said})  # type: ignore[arg-type]


def test_an_alert_comes_back_with_members_that_are_in_and_those_that_left() -> None:
    alert = some_alert(state="resolved", resolved_by="person", opened_us=1, last_arrival_us=2, last_grace_us=3, shown=4)
    members = [some_member("/b", "x", 5), some_member("/a", "x", 5), some_member("/a", "y", 4, inside=False)]
    writes: state.Writes = {}
    for member in members:
        state.save_member(writes, "al_1", member)
    state.save_alert(writes, alert)
    back = restored(writes).alerting.standing["al_1"]
    assert back.alert == alert
    assert back.members == {(member.source, member.id): member for member in members}
    assert [member.source for member in back.inside()] == ["/a", "/b"]


def test_positions_the_first_log_time_and_signs_of_life_come_back() -> None:
    writes: state.Writes = {}
    state.save_position(writes, "any|topic", LogTime(7, T0_US))
    state.save_first_log(writes, T0_US - S)
    signs = Liveness()
    signs.watch([("/idp|\x00", 5 * M)])
    signs.feeds["/idp|\x00"].last = (T0_US, T0_US - S, "hb")
    signs.feeds["/idp|\x00"].signs[5 * M].append([T0_US - H, T0_US])
    state.save_signs(writes, signs)
    assert signs.dirty == set()
    known = partition()
    logs = restore(known, written(writes))
    assert {topic: (log.next_offset, log.now_us) for topic, log in logs.items()} == {"any|topic": (7, T0_US)}
    assert known.first_log_us == T0_US - S
    assert known.liveness.feeds["/idp|\x00"] == signs.feeds["/idp|\x00"]


# the topic


def test_of_several_records_of_a_key_the_last_counts_and_a_tombstone_is_forgetting() -> None:
    old, new, gone = some_fact(session="old"), some_fact(session="new"), some_fact(id="gone")
    first: state.Writes = {}
    for fact in (old, gone):
        state.save(first, SUBJECT, fact)
    second: state.Writes = {}
    state.save(second, SUBJECT, new)
    state.drop(second, SUBJECT, gone)
    known = partition()
    restore(known, written(first, second))
    assert known.ledgers[SUBJECT].facts == {new.key: new}


def test_forgetting_an_alert_forgets_its_members() -> None:
    standing = Standing(some_alert())
    writes: state.Writes = {}
    state.save_alert(writes, standing.alert)
    for member in (some_member("/a", "x", 1), some_member("/a", "y", 2, inside=False)):
        standing.put(member)
        state.save_member(writes, "al_1", member)
    assert all(writes.values())
    state.drop_alert(writes, standing)
    assert set(writes.values()) == {None}


def test_an_empty_state_is_an_empty_partition() -> None:
    driver = Driver(POLICY)
    assert driver.correlator.positions == {}
    assert driver.correlator.known.ledgers == {}
    assert driver.correlator.due_us() is None


# keys


def test_no_two_things_share_a_key_whatever_their_ids_are() -> None:
    keys: list[bytes] = []
    for one, two in itertools.product(HOSTILE, HOSTILE):
        writes: state.Writes = {}
        fact = some_fact(source=one, id=two)
        for subject in (("t", "s"), (one, two)):
            state.save(writes, subject, fact)
        state.save(writes, ("t", "s"), Remembered(one, two, 0, 0, 0))
        state.save_member(writes, one, some_member(two, "m", 0))
        state.save_member(writes, "al", some_member(one, two, 0))
        keys += writes
    for text in HOSTILE:
        writes = {}
        state.save_alert(writes, some_alert(text))
        state.save_position(writes, text, LogTime(0, 0))
        signs = Liveness()
        signs.watch([(text, S)])
        state.save_signs(writes, signs)
        keys += writes
    assert len(keys) == len(set(keys))


def test_the_keys_of_the_partition_itself_begin_with_a_zero_byte_and_no_other_does() -> None:
    driver = eventful()
    own = {key for key in driver.state if key.startswith(b"\0")}
    assert {key.partition(b"|")[0] for key in own} == {b"\0position", b"\0first", b"\0feed"}
    assert {msgspec.msgpack.decode(key)[0] for key in driver.state.keys() - own} == {
        "fact",
        "action",
        "remembered",
        "alert",
        "member",
    }


# versions


@pytest.mark.parametrize("kind", ["fact", "action", "remembered", "alert", "member", "position", "first", "feed"])
def test_a_record_of_another_version_is_refused_in_words(kind: str) -> None:
    driver = eventful()
    for key, value in driver.state.items():
        name = key[1:].decode().partition("|")[0] if key.startswith(b"\0") else msgspec.msgpack.decode(key)[0]
        if name == kind:
            with pytest.raises(StateError) as refused:
                restore(partition(), [(key, NEWER + value[1:])])
            said = str(refused.value)
            assert f"of version {NEWER[0]}, this worker reads the versions 1 and 2" in said
            assert said.endswith("run the version that wrote it, or a newer one")
            assert (refused.value.code, refused.value.retriable) == ("state_unreadable", False)
            return
    pytest.fail(f"the story has no record of kind {kind}")


@pytest.mark.parametrize("key", [msgspec.msgpack.encode(("thing", "x")), b"\0thing|x"])
def test_a_kind_of_record_of_a_newer_version_is_refused_in_words_too(key: bytes) -> None:
    with pytest.raises(StateError, match=f"version {NEWER[0]}"):
        restore(partition(), [(key, NEWER + b"\xc0")])


def test_a_record_of_this_version_says_so_in_its_first_byte() -> None:
    assert {value[0] for value in eventful().state.values()} == {state.STATE_VERSION}


# a restart


def eventful() -> Driver:
    """A story in which every kind of record is written: open, closed, withheld, blind, alerts of all states."""
    driver = Driver(POLICY)
    driver.heartbeat("/idp", "h1")
    driver.evidence("stepup.verified", "v", time_us=T0_US, amr=["hwk"], verification="p", credential="c")
    driver.evidence("credential.changed", "c", credential="c", change="created")
    for number in range(4):
        driver.action(f"a{number}", time_us=T0_US + number * S)
    driver.action("gap", action="x.y", resource={"sensitivity": "high"})
    driver.action("zoe", subject="zoë|日本", session="s2")
    driver.pulse(T0_US + 20 * S)
    driver.respond(driver.alerts[-1]["alert_id"], "acknowledge")
    driver.evidence("stepup.denied", "n", time_us=T0_US)
    driver.pulse(T0_US + 30 * M)
    driver.action("blind", session="s3")
    driver.pulse(T0_US + 31 * M)
    driver.action("open", session="s4")
    return driver


def test_a_restart_from_encoded_records_gives_an_equal_correlator() -> None:
    driver = eventful()
    before = every_state(driver)
    driver.restart()
    assert every_state(driver) == before


@pytest.mark.parametrize("hours", [1, 2, 60])
def test_an_equal_correlator_is_given_after_closing_and_forgetting_too(hours: int) -> None:
    driver = eventful()
    driver.pulse(driver.log.now_us + hours * H)
    before = every_state(driver)
    driver.restart()
    assert every_state(driver) == before


def test_what_is_waited_for_is_waited_for_again_with_the_next_batch() -> None:
    steady, restarted = eventful(), eventful()
    restarted.restart()
    assert restarted.correlator.due_us() is not None
    for driver in (steady, restarted):
        driver.pulse(driver.log.now_us)
    assert restarted.correlator.due_us() == steady.correlator.due_us()
    assert restarted.correlator.tidy_due_us() == steady.correlator.tidy_due_us()
    assert restarted.correlator.waiting_count == steady.correlator.waiting_count


def test_the_order_in_which_the_records_lie_does_not_matter() -> None:
    driver = eventful()
    before = every_state(driver)
    driver.state = dict(sorted(driver.state.items(), reverse=True))
    driver.restart()
    assert every_state(driver) == before


def test_a_restart_after_all_is_forgotten_knows_positions_and_signs_only() -> None:
    driver = eventful()
    driver.pulse(driver.log.now_us + 40 * D)
    driver.pulse(driver.log.now_us + 40 * D)
    driver.pulse(driver.log.now_us + 10 * D)
    left = [row for row in driver.open_alerts.values() if row["kind"] != "source_silence"]
    assert left == []
    kinds = {key for key in driver.state if not key.startswith(b"\0")}
    assert {msgspec.msgpack.decode(key)[0] for key in kinds} <= {"alert", "member"}
    names = {driver.correlator.known.alerting.standing[msgspec.msgpack.decode(key)[1]].alert.kind for key in kinds}
    assert names <= {"source_silence"}
    assert set(driver.correlator.positions) == set(TOPICS.inputs)


def test_an_action_is_kept_with_what_a_later_revision_shows_again() -> None:
    """Its row is in the state, but for `event_data`, which revision 1 has said."""
    driver = eventful()
    actions = [
        msgspec.msgpack.decode(value[1:], type=Action)
        for key, value in driver.state.items()
        if not key.startswith(b"\0") and msgspec.msgpack.decode(key)[0] == "action"
    ]
    said = {action.id: action.row.event_data for action in actions if action.revision > 0}
    assert said
    assert set(said.values()) == {""}
