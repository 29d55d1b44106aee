"""Hypothesis strategies for events as text: what JSON can say, not only what an encoder would write."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from stepwatch.schemas import events as ev
from stepwatch.schemas.times import SECOND_US, format_time
from tests.core.driver import T0_US

Text = st.SearchStrategy[str]
T0_S = T0_US // SECOND_US

_SPACE: Text = st.sampled_from(["", "", "", "", " ", "\n", "\t\r ", "  "])
_PIECES = ["a", "s1", "é", "😀", "\u2028", "\ufffe", "\x7f", "{[", "stepwatch.", " ", "０", "e\u0301"]
_ESCAPES = [
    "\\n",
    '\\"',
    "\\\\",
    "\\/",
    "\\u0000",
    "\\u00e9",
    "\\u00E9",
    "\\\\ud800",
    "\\ud83d\\ude00",
    "\\uD83D\\uDE00",
]
_LONE = ["\\ud800", "\\uDFFF", "\\udc00\\ud800", "\\ud83d", "\\uD83Dx"]
_BAD_IN_STRING = ["\\x41", "\\u12", "\\u12G4", "\n", "\x1f", "\\"]
_NUMBERS = ["0", "-0", "1", "-1", "1.0", "0.5", "-0.0", "1e3", "1E+2", "1e-400", "-1e308", str(T0_S), str(T0_S + 600)]
_HUGE = ["1e400", "-1e400", "9" * 19, "9" * 30, "-" + "9" * 400, "9" * 400, str(2**63), str(-(2**63)), str(2**64)]
_NO_NUMBERS = [
    "NaN",
    "Infinity",
    "-Infinity",
    "01",
    "1.",
    ".5",
    "+1",
    "-",
    "1e",
    "0x1",
    "tru",
    "nul",
    "None",
    "'a'",
    "",
]


def quoted(pieces: Sequence[str]) -> Text:
    """A JSON string of such pieces."""
    return st.lists(st.sampled_from(pieces), max_size=4).map(lambda parts: '"' + "".join(parts) + '"')


strings = quoted(_PIECES + _ESCAPES)
odd_strings = quoted(_PIECES + _ESCAPES + _LONE)
numbers = st.sampled_from(_NUMBERS + _HUGE)
atoms: Text = st.one_of(strings, numbers, st.sampled_from(["null", "true", "false", '""', "{}", "[]"]))


def an_object(pairs: st.SearchStrategy[list[tuple[str, str]]]) -> Text:
    """An object of (key text, value text) pairs, in this order, with spaces anywhere; keys may come twice."""

    def written(pairs: list[tuple[str, str]], spaces: list[str]) -> str:
        return "{" + ",".join(f"{spaces[i % 5]}{key}:{spaces[-1]}{value}" for i, (key, value) in enumerate(pairs)) + "}"

    return st.builds(written, pairs, st.lists(_SPACE, min_size=5, max_size=5))


def _nest(inner: Text) -> Text:
    return st.one_of(
        st.lists(inner, max_size=3).map(lambda items: "[" + " , ".join(items) + "]"),
        an_object(st.lists(st.tuples(strings, inner), max_size=3)),
    )


def _deep(depth: int) -> Text:
    return st.sampled_from(["[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth])


values: Text = st.one_of(atoms, st.recursive(atoms, _nest, max_leaves=6), st.integers(11, 18).flatmap(_deep))
"""Any JSON value, about as deep as an event may be or a little more."""

_TEXTS = [name for name in ev.Data.model_fields if name not in ("client", "resource", "decision", "token")]
_MEMBERS = {
    "client": ["ip", "device", "user_agent", "country"],
    "resource": ["type", "id", "sensitivity"],
    "decision": ["result", "reason", "policy"],
}


def _right(name: str) -> Text:
    """A right value of a known field, where it may be absent in one way or another."""
    if name == "amr":
        return st.lists(strings, max_size=3).map(lambda items: "[" + ",".join(items) + "]")
    if name == "auth_time":
        return st.sampled_from(["0", "-5", str(T0_S), str(T0_S - 1), f"{T0_S - 60}.75", "1e9"])
    if name == "otp_step":
        return st.sampled_from(["0", "59850360", "-1"])
    if name == "tenant":
        return st.sampled_from(['"acme"', '"a.b-c_D9"', '"\\u0061"'])
    if name == "token":
        return an_object(st.lists(st.tuples(strings, strings), max_size=2))
    if name in _MEMBERS:
        return an_object(st.lists(st.tuples(st.sampled_from([f'"{m}"' for m in _MEMBERS[name]]), strings), max_size=3))
    return st.sampled_from(['"s1"', '"é😀"', '"created"', '"a.b"'])


def _any(name: str) -> Text:
    """A value of a known field: right, absent in some way, a little wrong, or anything."""
    inside = [f'"{m}"' for m in _MEMBERS.get(name, [])] + ['"zz"', '"asn"']
    part = an_object(st.lists(st.tuples(st.sampled_from(inside), atoms), max_size=3))
    absent = st.sampled_from(["null", '""', '[""]', "{}", "[]"])
    return st.one_of(_right(name), _right(name), absent, part, atoms, values)


def _key(name: str) -> Text:
    first = f"\\u{ord(name[0]):04x}{name[1:]}"
    return st.sampled_from([f'"{name}"'] * 9 + [f'"{first}"'])


_KNOWN = list(ev.Data.model_fields)
_pair = st.sampled_from(_KNOWN).flatmap(lambda name: st.tuples(_key(name), _any(name)))
_unknown_pair = st.tuples(strings, values)
_kinds = sorted(ev.EVENT_TYPES)


def data_of() -> st.SearchStrategy[bytes]:
    """`data` alone."""
    return an_object(st.lists(st.one_of(_pair, _pair, _unknown_pair), max_size=6)).map(str.encode)


def _time(offsets_us: Sequence[int]) -> Text:
    return st.sampled_from(offsets_us).map(lambda offset_us: f'"{format_time(T0_US + offset_us)}"')


_MINUTES_10 = 600 * SECOND_US


@st.composite
def clean_event(draw: st.DrawFn) -> bytes:
    """A right event of any type but a heartbeat, as an encoder would write it: plain strings, no absent fields."""
    kind = draw(st.sampled_from([kind for kind in _kinds if kind != ev.HEARTBEAT]))
    names = {*draw(st.lists(st.sampled_from(_KNOWN), max_size=6)), *ev.REQUIRED_FIELDS.get(kind, ())}
    data = ",".join(f'"{name}":{draw(_right(name))}' for name in sorted(names))
    text = f'{{"id":"e-1","source":"/app","type":"{kind}","time":{draw(_time([0, -5, 1]))},"subject":"zoë"'
    value = f'{text},"data":{{{data}}},"specversion":"1.0"}}'.encode()
    # What the fast path leaves to the slow one on sight is not meant here.
    return value.replace(b"\\\\", b"").replace(b"\\u", b"u")


@st.composite
def any_event(draw: st.DrawFn) -> bytes:
    """An event that is right in most places: known and unknown fields of any kind, in any order, given twice, ..."""
    kind = draw(st.sampled_from([*_kinds, "stepwatch.action.performed", "stepwatch.new.type", "other.type"]))
    needed = [(f'"{name}"', '"x"') for name in ev.REQUIRED_FIELDS.get(kind, ()) if draw(st.integers(0, 9))]
    data = draw(an_object(st.lists(st.one_of(_pair, _pair, _unknown_pair), max_size=5).map(lambda more: more + needed)))
    pairs = [
        ('"id"', draw(st.sampled_from(['"e-1"', '"\\u0065"']))),
        ('"source"', '"/app"'),
        ('"type"', f'"{kind}"'),
        ('"time"', draw(_time([0, -1, -SECOND_US, _MINUTES_10, _MINUTES_10 + 1]))),
        ('"subject"', draw(st.sampled_from(['"zoë"', '"a"']))),
        ('"data"', data),
    ]
    if draw(st.integers(0, 4)) == 0:
        at = draw(st.integers(0, len(pairs) - 1))
        pairs[at] = (pairs[at][0], draw(st.one_of(atoms, values, odd_strings)))
    for _ in range(draw(st.integers(0, 2))):
        name = draw(st.sampled_from(['"arrival"', '"id"', '"data"', '"time"', '"specversion"', '"zz"']))
        pairs.insert(draw(st.integers(0, len(pairs))), (name, draw(st.one_of(atoms, values, _time([0])))))
    return draw(an_object(st.just(pairs))).encode()


@st.composite
def broken_event(draw: st.DrawFn) -> bytes:
    """An event with something in it that JSON or UTF-8 does not allow, in a known or an unknown place."""
    bad_text = quoted(_PIECES + _BAD_IN_STRING + _LONE)
    bad = draw(st.one_of(st.sampled_from(_NO_NUMBERS), bad_text))
    where = draw(st.sampled_from(["known", "unknown", "envelope", "token", "key"]))
    value = {
        "known": f'"data":{{"action":"x","session":{bad}}}',
        "unknown": f'"data":{{"action":"x","zz":[{{"a":{bad}}}]}}',
        "envelope": f'"data":{{"action":"x"}},"zz":{bad}',
        "token": f'"data":{{"action":"x","token":{{"a":{bad}}}}}',
        "key": f'"data":{{"action":"x",{bad}:1}}',
    }[where]
    time = format_time(T0_US)
    text = f'{{"id":"e","source":"/app","type":"stepwatch.action.performed","time":"{time}","subject":"a",{value}}}'
    encoded = text.encode()
    if draw(st.booleans()):
        at = draw(st.integers(0, len(encoded)))
        junk = draw(st.sampled_from([b"\xff", b"\xc3", b"\xed\xa0\x80", b"\x00", b",", b"}", b"\xef\xbb\xbf"]))
        encoded = encoded[:at] + junk + encoded[at:]
    return encoded
