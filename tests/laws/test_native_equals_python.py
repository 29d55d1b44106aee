"""The law of the native core: what it reads by itself, Python would have read to the same row, and to nothing else."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from stepwatch.schemas.keys import partition_of, subject_key
from stepwatch.schemas.times import SECOND_US, format_time
from stepwatch.streams.correlator import Correlator
from stepwatch.streams.decode import canonical_text
from stepwatch.streams.effects import Effects
from stepwatch.streams.rows import plain_rest
from stepwatch.streams.sets import PolicySets, build_set
from tests.core.chunks import as_chunk
from tests.core.driver import T0_US, TOPICS, Record, Row, an_event
from tests.core.json_texts import any_event, broken_event, clean_event
from tests.core.raw_events import raw

native = pytest.importorskip("stepwatch.streams._native", reason="not built: python streams/native/build_hook.py")

LAW = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
NOW_US = T0_US + SECOND_US
CHANGE_US = T0_US + 5
"""When the second policy set begins: within the times of the events."""
FIRST = """
version: 1
identities:
  - {subject: alice, aliases: [al]}
  - {subject: 'qu"ote', aliases: [quo]}
  - {subject: bob, aliases: [zoë], tenant: [acme]}
policies:
  - {id: pay, match: {action: ["pay*"]}, require: {}}
  - {id: files, match: {action: ["docs.*"], resource_type: [file], sensitivity: [moderate]}, require: {}}
  - {id: when, match: {action: [when], when: "outcome == 'success'"}, exempt: {when: "session == 's1'"}, require: {}}
  - {id: acme, match: {action: ["a.*"], tenant: [acme]}, require: {}}
"""
SECOND = "version: 1\npolicies: [{id: all, match: {action: ['docs.*', x]}, require: {}}]"
SETS = PolicySets([build_set([("first.yaml", FIRST)], None), build_set([("second.yaml", SECOND)], CHANGE_US)])
Pair = tuple[bytes, bytes]
Pairs = list[tuple[str, str]]

# Values as they stand in an event: usual ones, and such as the core must not take for anything else.
TEXTS = ['"s1"', '"zoë"', '"\x7f"', '"😀\u2028"', '"a/b"', '""', "null", '"' + "x" * 70 + '"']
ODD = [
    '"a\\nb"',
    '"\\u0061"',
    '"\\\\"',
    '"\\/"',
    '"\\ud83d\\ude00"',
    '"\\ud800"',
    '"\tb"',
    "5",
    "true",
    "[]",
    "{}",
    "1e3",
    '"a',
    "nul",
]
VALUES = ["1", "-2.50", "[1,[]]", '{"a":null}', '"\\"\\n{["', "false"]
ODD_VALUES = ["123456789012345678901", "1e400", "01", "NaN", "[1,]", "[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]"]
ACTIONS = ['"other"', '"other.read"', '"é"', '"y"', '"y.z"', '"x"', '"docs.read"', '"pay.out"', '"when"', '"a.b"']
TIMES = [format_time(T0_US + at) for at in (0, 0, -1, 4, 5, -SECOND_US)] + [
    "2026-11-24T10:00:00.0000019+01:00",
    "2026-11-24T09:00:00Z",
]
ODD_TIMES = [
    format_time(T0_US + 601 * SECOND_US),
    "2026-11-24t09:00:00Z",
    "2016-12-31T23:59:60Z",
    "1969-12-31T23:59:59Z",
    "soon",
    "",
]
SUBJECTS = ['"alice"', '"eve"', '"bob"', '"al"', '"zoë"', '"quo"']
KINDS = ["heartbeat", "stepup.verified", "session.started", "new.type"]
PIECES = [
    '"',
    "\\",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    " ",
    "\n",
    "\t",
    "\0",
    "null",
    "0",
    "1",
    '""',
    "\\u0041",
    "é",
    "T",
    "Z",
    "-",
    ".5",
    "+01:00",
]


class Writer:
    """Writes events: most of them plain actions of few subjects and ids, so there are copies and conflicts.

    Args:
        rng: of all that is left to chance.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._space = rng.choice(["", "", "", " ", "\n\t", "\r"])

    def event(self) -> bytes:
        """One event, and now and then something that once was one."""
        rng = self._rng
        kind = "action.performed" if rng.random() < 0.97 else rng.choice(KINDS)
        pairs = [
            ("specversion", '"1.0"'),
            ("id", f'"e-{rng.randrange(30)}"'),
            ("source", self._one(['"/app"'], TEXTS)),
            ("type", f'"stepwatch.{kind}"'),
            ("time", f'"{self._one(TIMES, ODD_TIMES)}"'),
            ("subject", self._one(SUBJECTS, TEXTS)),
            ("data", self._data()),
            *self._some([("arrival", VALUES), ("more", VALUES)], 0.1),
        ]
        text = self._object(pairs)
        return self._hurt(text).encode(errors="surrogatepass") if rng.random() < 0.1 else text.encode()

    def _data(self) -> str:
        names = ("session", "root_session", "on_behalf_of", "challenge", "verification")
        unshown = ("transaction", "acr", "credential", "bound_action", "change", "reason", "failure", "approver")
        pairs = [("action", self._one(ACTIONS, TEXTS + ODD))]
        pairs += self._some([(name, TEXTS) for name in (*names, *unshown)], 0.3)
        pairs += self._some([("tenant", ['"acme"', '"default"', '""', "null"])], 0.5)
        pairs += self._some([("outcome", ['"success"', '"denied"', '"odd"'])], 0.5)
        pairs += self._some(
            [("amr", ["null", "[]", '["hwk"]']), ("auth_time", ["null", "5"]), ("otp_step", ["0"])], 0.05
        )
        members: dict[str, list[tuple[str, list[str]]]] = {
            "client": [(name, TEXTS) for name in ("ip", "device", "user_agent", "country")] + [("asn", VALUES)],
            "resource": [
                ("type", ['"file"', '"other"', '""']),
                ("id", TEXTS),
                ("sensitivity", ['"low"', '"moderate"', '"odd"', "null", '"high"']),
            ],
            "decision": [("result", ['"exempt"', "null", '""', '"required"']), ("reason", TEXTS), ("policy", TEXTS)],
            "token": [("acr", VALUES), ("amr", ['["hwk"]'])],
        }
        for name, inside in members.items():
            if self._rng.random() < 0.4:
                pairs.append((name, self._one([self._object(self._some(inside, 0.5))], ["null", '""', "[]", "5"])))
        pairs += self._some([("more", VALUES)], 0.2)
        return self._object(pairs)

    def _one(self, usual: list[str], odd: list[str]) -> str:
        return self._rng.choice(usual if self._rng.random() < 0.99 else odd)

    def _some(self, values: list[tuple[str, list[str]]], chance: float) -> Pairs:
        return [(name, self._one(usual, ODD + ODD_VALUES)) for name, usual in values if self._rng.random() < chance]

    def _object(self, pairs: Pairs) -> str:
        """In any order, with a key given twice now and then, or written with an escape."""
        rng, space = self._rng, self._space
        rng.shuffle(pairs)
        if pairs and rng.random() < 0.02:
            pairs.insert(rng.randrange(len(pairs)), (rng.choice(pairs)[0], rng.choice(TEXTS + ODD)))
        written = [f'"{name}"{space}:{space}{value}' for name, value in pairs]
        if written and rng.random() < 0.01:
            written[0] = '"\\u00' + f"{ord(written[0][1]):02x}" + written[0][2:]
        return "{" + space + f"{space},".join(written) + space + "}"

    def _hurt(self, text: str) -> str:
        """A character or two cut, changed or added."""
        for _ in range(self._rng.choice((1, 1, 2))):
            at = self._rng.randrange(len(text) + 1)
            text = text[:at] + self._rng.choice(["", *PIECES]) + text[at + self._rng.randrange(3) :]
        return text


WRITTEN = st.integers(0, 2**64).map(lambda seed: Writer(random.Random(seed)).event())
STRANGE = st.one_of(clean_event(), any_event(), broken_event(), st.none(), st.binary(max_size=9))
HEADERS = st.sampled_from(
    [()] * 12
    + [(("trace", b"x"),), (("ce_id", b"e-7"),), (("stepwatch-moves", b"1"),)]
    + [(("stepwatch-first-arrival", format_time(T0_US - SECOND_US).encode()),)]
)
RECORD = st.tuples(WRITTEN, st.integers(-1, 3), HEADERS)
RECORDS = st.builds(
    lambda records, strange, at: [*records[:at], *strange, *records[at:]],
    st.lists(RECORD, min_size=1, max_size=20),
    st.lists(st.tuples(STRANGE, st.just(1), st.just(())), max_size=1),
    st.integers(0, 20),
)


def logged(drawn: Sequence[tuple[bytes | None, int, Any]]) -> list[Record]:
    """The records as they lie in the partition; append times go back now and then."""
    return [
        Record(3 + 2 * at, T0_US // 1000 + at * step, b"k", value, headers)
        for at, (value, step, headers) in enumerate(drawn)
    ]


def correlator(partition: int, partitions: int) -> Correlator:
    """Pure Python as long as it is given lists of records."""
    return Correlator(partition=partition, partitions=partitions, topics=TOPICS, sets=SETS)


class Beside:
    """The native reader beside a correlator, told of what that one keeps.

    Args:
        partition, partitions: of both.
        time_us: the set in force then is the one that is read by.
    """

    def __init__(self, partition: int, partitions: int, time_us: int) -> None:
        self.python = correlator(partition, partitions)
        self.plain = native.PlainActions(partition, partitions)
        policy_set = SETS.at(time_us)
        from_us, until_us = (0, CHANGE_US) if policy_set is SETS.sets[0] else (CHANGE_US, 2**62)
        self.plain.use(from_us, until_us, policy_set.may_concern, policy_set.canonical)
        self._kept: set[tuple[str, ...]] = set()

    def take(self, record: Record) -> Effects:
        """What Python makes of a record; the native reader is told what it keeps of it."""
        effects = self.python.take(TOPICS.actions, [record], NOW_US)
        kept = {
            (*subject, *key)
            for subject, ledger in self.python.known.ledgers.items()
            for key in (*ledger.kept, *ledger.remembered)
        }
        for key in kept - self._kept:
            self.plain.remember(*key)
        for key in self._kept - kept:
            self.plain.forget(*key)
        self._kept = kept
        return effects


def only_row(effects: Effects) -> Pair:
    """The one row that a plain action has; the test fails where there is anything else."""
    (row,) = effects.audit
    others = (effects.evidence, effects.alerts, effects.dead_letters, effects.moves, effects.plain)
    assert not any(others), effects
    assert effects.only_position is False
    assert all(key.startswith(b"\0position|") for key, _ in effects.state)
    assert effects.counts == {"records_in": 1, "verdicts.not_required": 1}
    assert json.loads(row[1])["verdict"] == "not_required"
    return row


@LAW
@given(RECORDS, st.sampled_from([(0, 1), (0, 1), (0, 2), (1, 2)]), st.sampled_from([T0_US, T0_US, CHANGE_US]))
def test_what_is_read_natively_has_the_row_that_python_writes_and_no_other_effect(
    drawn: list[Any], where: tuple[int, int], time_us: int
) -> None:
    records = logged(drawn)
    chunk, rest = as_chunk(records), plain_rest(format_time(NOW_US), TOPICS.actions, where[0])
    beside = Beside(*where, time_us)
    at, log_time_us, read = 0, -1, 0
    while at < len(records):
        rows = native.Rows(200)
        stop, log_time_us = beside.plain.read(chunk, at, log_time_us, rest, rows)
        expected = [only_row(beside.take(record)) for record in records[at:stop]]
        assert list(rows) == expected
        if stop > at:
            assert log_time_us == beside.python.log_times[TOPICS.actions]
        if stop < len(records):
            beside.take(records[stop])
            log_time_us = beside.python.log_times[TOPICS.actions]
        read, at = read + stop - at, stop + 1
    event(f"read natively: {round(4 * read / len(records)) * 25} %")


@LAW
@given(RECORDS, st.sampled_from([(0, 1), (1, 2)]), st.integers(1, 12))
def test_a_correlator_makes_the_same_of_a_chunk_and_of_a_list_of_records(
    drawn: list[Any], where: tuple[int, int], size: int
) -> None:
    records = logged(drawn)
    by_chunks, by_lists = correlator(*where), correlator(*where)
    for at in range(0, len(records), size):
        part = records[at : at + size]
        natively = by_chunks.take(TOPICS.actions, as_chunk(part), NOW_US)
        plainly = by_lists.take(TOPICS.actions, part, NOW_US)
        assert said(natively) == said(plainly)
    assert by_chunks.positions == by_lists.positions
    assert by_chunks.log_times == by_lists.log_times
    assert by_chunks.accounts == by_lists.accounts


def said(effects: Effects) -> list[Any]:
    """All effects: rows of audit in any order, since each has its own key; the positions are compared by themselves."""
    counts = {name: count for name, count in effects.counts.items() if count}
    rows = Counter(effects.audit_rows())
    state = [entry for entry in effects.state if not entry[0].startswith(b"\0position|")]
    return [rows, effects.evidence, effects.alerts, effects.dead_letters, effects.moves, state, counts]


@LAW
@given(text=clean_event() | any_event() | broken_event())
def test_an_event_put_in_order_natively_is_byte_for_byte_what_python_writes(text: bytes) -> None:
    written = native.canonical(text)
    event(f"natively: {written is not None}")
    if written is not None:
        assert written == canonical_text(text)


def test_ordinary_events_are_put_in_order_natively() -> None:
    """The law would hold for a core that leaves all to Python."""
    for made in (
        an_event("action.performed", "a-1", subject="zoë", action="x", token={"auth_time": 1795511000, "amr": ["otp"]}),
        an_event("stepup.verified", "v-1", subject="al", client={"ip": "::1", "country": None}, arrival="soon"),
    ):
        assert native.canonical(raw(made)) == canonical_text(raw(made))


def test_most_ordinary_actions_are_read_natively() -> None:
    """The law would hold for a core that reads nothing."""
    subjects = ["alice", "eve", "zoë", "al", "svc-1"]
    events: list[Row] = [
        an_event("action.performed", f"a-{at}", subject=subjects[at % 5], action="x", session="s", client={"ip": "::1"})
        for at in range(100)
    ]
    records = [Record(at, T0_US // 1000, b"k", raw(made)) for at, made in enumerate(events)]
    for partition in (0, 1):
        home = [
            at for at in range(100) if partition_of(subject_key("default", canonical(subjects[at % 5])), 2) == partition
        ]
        beside = Beside(partition, 2, T0_US)
        rows = native.Rows(1 << 20)
        for at in range(100):
            beside.plain.read(as_chunk(records), at, -1, b",}", rows)
        assert {json.loads(value[:-2] + b"}")["action_id"] for _, value in rows} == {f"a-{at}" for at in home}


def canonical(subject: str) -> str:
    """By the first set."""
    return SETS.sets[0].canonical("default", subject)
