"""Whatever a file's records are packed in, each is found once, with its number; a broken one costs no other."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwatch.cli.unpacking import ARRAYS, DOCUMENT, LINES, Mark, Unpacker, shape_of
from stepwatch.cli.values import records_on


class Case(NamedTuple):
    """What stands in a file, what it holds, and its records."""

    content: bytes
    shape: str
    records: list[bytes]


A, B = b'{"a":1}', b'{"b":[2]}'
TABLE = {
    "one a line": Case(b'{"a":1}\n{"b":[2]}\n', LINES, [A, B]),
    "no end of the last line": Case(b'{"a":1}\n{"b":[2]}', LINES, [A, B]),
    "blank lines, which are counted": Case(b'\n{"a":1}\n\n{"b":[2]}\n', LINES, [b"", A, b"", B]),
    "text": Case(
        b"[2026-11-24 10:00] INFO x\n[2026-11-24 10:01] INFO y\n",
        LINES,
        [b"[2026-11-24 10:00] INFO x", b"[2026-11-24 10:01] INFO y"],
    ),
    "a broken first line": Case(b'{"a":1,\n{"b":[2]}\n', LINES, [b'{"a":1,', B]),
    "a first line cut after a colon": Case(b'{"a":\n{"b":[2]}\n', LINES, [b'{"a":', B]),
    "a row with a member that envelopes have": Case(b'{"value":[1],"id":"x"}\n', LINES, [b'{"value":[1],"id":"x"}']),
    "an array that holds no objects": Case(b"[1,2]\n", LINES, [b"[1,2]"]),
    "an array in a file of events": Case(b'[{"a":1}]\n{"b":[2]}\n', LINES, [b'[{"a":1}]', B]),
    "an array on one line": Case(b'[{"a":1},{"b":[2]}]', ARRAYS, [A, B]),
    "CloudTrail's file": Case(b'{"Records":[{"a":1},{"b":[2]}]}', ARRAYS, [A, B]),
    "an envelope a line": Case(b'{"Records":[{"a":1}]}\n{"Records":[{"b":[2]}]}\n', ARRAYS, [A, B]),
    "Graph's answer": Case(
        b'{"@odata.context":"x","value":[{"a":1},{"b":[2]}],"@odata.nextLink":"y"}\n', ARRAYS, [A, B]
    ),
    "LookupEvents, printed": Case(
        b'{\n  "Events": [\n    {"a": 1},\n    {\n"b": [2]}\n  ],\n  "NextToken": "x"\n}\n', DOCUMENT, [b'{"a": 1}', B]
    ),
    "an array over many lines": Case(b'[\n{"a":1},\n{"b":[2]}\n]\n', DOCUMENT, [A, B]),
    "an array that begins with its first record": Case(b'[{"a":1},\n{"b":[2]}]', DOCUMENT, [A, B]),
    "an envelope that begins with its first record": Case(b'{"Records":[{"a":1},\n{"b":[2]}]}', DOCUMENT, [A, B]),
    "one object after another, as jq prints": Case(b'{\n  "a": 1\n}\n{\n  "b": [\n    2\n  ]\n}\n', DOCUMENT, [A, B]),
    "a byte order mark before a document": Case(b'\xef\xbb\xbf[\n{"a":1}]', DOCUMENT, [A]),
    "an array that is cut off in a record": Case(b'[\n{"a":1},\n{"b":', DOCUMENT, [A, b'{"b":']),
    "an array that is cut off between records": Case(b'[\n{"a":1},\n', DOCUMENT, [A, b"["]),
    "an envelope that is cut off": Case(b'{\n"Records": [\n{"a":1},\n{"b":[2]},', DOCUMENT, [A, B, b'{ "Records": [']),
    "a byte order mark before lines": Case(b'\xef\xbb\xbf{"a":1}\n{"b":[2]}\n', LINES, [A, B]),
    "an array of which one member is no object": Case(b'[{"a":1},null,{"b":[2]}]', ARRAYS, [A, b"null", B]),
    "an array with what JSON has no number for": Case(
        b'[{"a":1},{"x":NaN},{"b":[2]}]', ARRAYS, [b'{"a": 1}', b'{"x": NaN}', b'{"b": [2]}']
    ),
    "the same over many lines": Case(
        b'[\n{"a":1},\n{"x":NaN},\n{"b":[2]}\n]\n', DOCUMENT, [b'{"a": 1}', b'{"x": NaN}', b'{"b": [2]}']
    ),
    "nothing": Case(b"", "", []),
}


def read(content: bytes, sizes: list[int]) -> tuple[str, list[bytes], Mark]:
    """What a file holds, given in pieces of these sizes, the last one over and over."""
    unpacker, records, at, turn = Unpacker(), [], 0, 0
    while at < len(content):
        size = sizes[min(turn, len(sizes) - 1)]
        if batch := unpacker.feed(content[at : at + size]):
            assert batch.first == len(records) + 1
            records += batch.values
        at, turn = at + size, turn + 1
    if batch := unpacker.finish():
        assert batch.first == len(records) + 1
        records += batch.values
    return unpacker.mark.shape, records, unpacker.mark


@pytest.mark.parametrize("case", TABLE.values(), ids=TABLE)
@pytest.mark.parametrize("size", [1, 5, 1000])
def test_every_shape_is_read_the_same_in_pieces_of_any_size(case: Case, size: int) -> None:
    shape, records, mark = read(case.content, [size])
    assert (shape, records) == (case.shape, case.records)
    assert (mark.at, mark.number) == (len(case.content), len(case.records))


@given(st.binary(max_size=300), st.lists(st.integers(1, 40), min_size=1, max_size=5))
def test_no_bytes_are_an_error_and_all_are_read(content: bytes, sizes: list[int]) -> None:
    _, _, mark = read(content, sizes)
    assert mark.at == len(content)


@given(st.lists(st.sampled_from([b"{", b"[", b"]", b"}", b",", b'{"a":1}', b'"Records":', b"\n", b"x"]), max_size=30))
def test_what_looks_like_json_and_is_none_is_refused_and_not_passed_over(tokens: list[bytes]) -> None:
    content = b"".join(tokens)
    _, records, _ = read(content, [7])
    assert records == [] or any(records) == any(line.strip() for line in content.split(b"\n"))


def test_a_mark_says_the_bytes_at_the_begin_and_those_before_it() -> None:
    content = b"".join(b'{"n":%d}\n' % number for number in range(1000))
    _, _, mark = read(content, [777])
    assert (mark.head, mark.tail) == (content[:1024], content[-1024:])


@pytest.mark.parametrize("content", [b"", b"\n \n", b'{"a"', b'[{"a":1}]', b'[{"a":1}]\n', b'[{"a":1}]\n{"b"'])
def test_while_more_may_come_what_a_file_holds_is_not_guessed(content: bytes) -> None:
    assert shape_of(content, ended=False) == ""


@pytest.mark.parametrize(
    ("content", "whole"),
    [
        (b'{"a":1}', False),  # a line has its end where its line end is
        (b'[{"a":1}]', True),
        (b'[\n{"a":1}', False),
        (b'[\n{"a":1}\n]', True),
        (b'{\n"a":1}', True),
        (b'{\n"a":1}\n{', False),
    ],
)
def test_a_document_is_whole_where_its_json_is(content: bytes, whole: bool) -> None:
    unpacker = Unpacker()
    unpacker.feed(content)
    assert unpacker.is_whole is whole


JOINED = {
    "one record": (b'{"a":"}{"}', [b'{"a":"}{"}']),
    "an array, which is for the shape of the file to unpack": (b'[{"a":1}]', [b'[{"a":1}]']),
    "two records": (b'{"a":1}{"b":[2]}', [A, B]),
    "two records with space between": (b' {"a":1}  {"b":[2]}\r', [A, B]),
    "CloudTrail's files, joined": (b'{"Records":[{"a":1}]}{"Records":[{"b":[2]}]}', [A, B]),
    "the last of them cut off": (b'{"Records":[{"a":1}]}{"Records":[{"b":[2]},{"c', [A, B, b'{"c']),
    "a record and a text": (b'{"a":{}} and {"b"', [b'{"a":{}} and {"b"']),
    "a broken record": (b'{"a":x}{"b":[2]}', [b'{"a":x}{"b":[2]}']),
}


@pytest.mark.parametrize(("line", "records"), JOINED.values(), ids=JOINED)
def test_values_that_stand_on_one_line_are_records_of_their_own(line: bytes, records: list[bytes]) -> None:
    assert records_on(line) == records


def test_a_line_that_gets_its_end_later_is_not_counted_again() -> None:
    first = Unpacker()
    first.feed(b'{"a":1}\n{"b":[2]}')
    first.finish()
    batch = Unpacker(first.mark).feed(b'\n{"c":3}\n')
    assert batch is not None
    assert (batch.first, batch.values, batch.mark.number) == (3, [b'{"c":3}'], 3)
