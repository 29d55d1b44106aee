"""The envelopes in which products and collectors ship rows: objects, lists and JSON texts, one in another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from stepwatch.sources import base

COLLECTORS: Final = ("message", "log", "Message", "@message", "MESSAGE", "msg")
"""Members in which a collector puts a line: Logstash, Fluent Bit, SNS, CloudWatch Logs Insights, journald."""
_STAMPS: Final = ("EventTime", "time", "@timestamp", "Timestamp")
_DEPTH_MAX: Final = 6


def unwrap(
    value: Any, keys: tuple[str, ...], signs: tuple[str, ...], stamp: Any = None, depth: int = _DEPTH_MAX
) -> Iterator[tuple[Any, Any]]:
    """The rows in a value, whatever envelopes they came in, each with the time of the innermost that says one.

    A row may be a `Skip`, or anything that is no envelope.

    Args:
        value: as decoded.
        keys: members that hold rows, the most telling first.
        signs: members that only a row has; what has one is not opened.
        stamp: the time that is said around the value.
        depth: envelopes in envelopes that are opened.
    """
    if isinstance(value, list) and depth:
        for one in value or [base.NO_RECORD]:
            yield from unwrap(one, keys, signs, stamp, depth - 1) if isinstance(one, dict) else [(_no_row(one), stamp)]
        return
    closed = not depth or not isinstance(value, dict) or any(sign in value for sign in signs)
    inner = None if closed else _inside(value, keys)
    if inner is None:
        yield value, stamp
        return
    stamp = next((said for name in _STAMPS if (said := value.get(name)) is not None), stamp)
    yield from unwrap(inner, keys, signs, stamp, depth - 1)


def _no_row(value: Any) -> Any:
    return value if isinstance(value, base.Skip) else base.NOT_JSON


def _inside(value: dict[str, Any], keys: tuple[str, ...]) -> Any:
    for key in keys:
        inner = value.get(key)
        if isinstance(inner, dict | list):
            return inner
        if isinstance(inner, str) and inner.lstrip()[:1] in ("{", "["):
            return base.decode_line(inner.encode("utf-8", "replace"))
    return None
