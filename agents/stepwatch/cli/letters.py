"""What `stepwatch dead-letters` does and shows: a list, one letter, and what became of those put back."""

from __future__ import annotations

import heapq
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any

from stepwatch.agents.dead_letters import DeadLetters, Letter, Wanted, parse_id
from stepwatch.agents.policies import read_sets
from stepwatch.agents.putting_back import Ground, Headers, Sender, StillWrong, plan
from stepwatch.agents.settings import Settings
from stepwatch.cli.errors import Misused
from stepwatch.cli.screen import counted, paint, say, shown, table, width, wrapped
from stepwatch.notifiers.plain import plain
from stepwatch.schemas.times import format_time
from stepwatch.streams.effects import BUG, CONFLICT, MISROUTED

_VALUE_SHOWN_BYTES = 4000
"""Of a letter on a terminal; an event is seldom larger, and `--raw` writes all of it."""
_ERROR_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Found:
    """Some letters, the newest first, without their bytes.

    Attributes:
        rows: each with the size of its value in bytes; None: it had none.
        count: how many there are.
    """

    rows: list[tuple[Letter, int | None]]
    count: int


@dataclass(slots=True)
class Told:
    """What became of letters that were to be put back."""

    sent: int = 0
    still_wrong: int = 0
    dry_run: bool = False

    @property
    def words(self) -> str:
        """One line for a person."""
        done = "would be sent, nothing was" if self.dry_run else "sent"
        words = f"{counted(self.sent, 'letter')} {done}"
        if self.still_wrong:
            words += f"; {self.still_wrong:,} still wrong, and not sent: repair with --file"
        return words


async def collect(settings: Settings, wanted: Wanted, limit: int) -> Found:
    """The newest letters that are wanted; `limit` 0: all of them."""
    kept: list[tuple[tuple[int, int, int], Letter, int | None]] = []
    count = 0
    async with DeadLetters(settings) as letters:
        async for letter in letters.all(lambda letter: wanted.holds(letter, settings.prefix)):
            count += 1
            size = None if letter.value is None else len(letter.value)
            entry = ((letter.time_us, letter.partition, letter.offset), replace(letter, value=None), size)
            if not limit or len(kept) < limit:
                heapq.heappush(kept, entry)
            else:
                heapq.heappushpop(kept, entry)
    kept.sort(reverse=True)
    return Found([(letter, size) for _, letter, size in kept], count)


def show_list(found: Found, prefix: str, *, as_json: bool) -> None:
    """Print a list to standard output, topics without their prefix, and what it leaves out to standard error."""
    if as_json:
        for letter, size in found.rows:
            print(json.dumps(_row(letter, size), ensure_ascii=False))
    elif found.rows:
        header = ("ID", "TIME (UTC)", "ERROR", "FIELD", "CAME FROM", "BYTES")
        cells = [
            (
                letter.id,
                _clock(letter.time_us),
                plain(letter.words, _ERROR_SHOWN),
                plain(letter.field, 60),
                plain(letter.where.removeprefix(prefix), 120),
                "none" if size is None else str(size),
            )
            for letter, size in found.rows
        ]
        print(table(header, cells, right={5}, whole={0, 1, 4, 5}))
    if not found.count:
        say("no dead letter")
    elif len(found.rows) < found.count:
        say(f"{counted(len(found.rows), 'dead letter')}, {found.count - len(found.rows):,} more: --limit 0 shows all")
    elif not as_json:
        say(counted(found.count, "dead letter"))


def _row(letter: Letter, size: int | None) -> dict[str, Any]:
    return {
        "id": letter.id,
        "time": format_time(letter.time_us),
        "error": letter.said,
        "field": letter.field,
        "detail": letter.detail,
        "topic": letter.topic,
        "partition": letter.from_partition,
        "offset": letter.from_offset,
        "key": None if letter.key is None else letter.key.decode(errors="backslashreplace"),
        "bytes": size,
    }


async def find(settings: Settings, letter_id: str) -> tuple[Letter, Headers | None]:
    """A letter by its id, and the headers of the record that it was.

    Raises:
        Misused: there is no such letter.
    """
    async with DeadLetters(settings) as letters:
        letter = await _by_id(letters, letter_id)
        async with Sender(settings, letters.partitions) as sender:
            return letter, await sender.headers_of(letter)


async def _by_id(letters: DeadLetters, letter_id: str) -> Letter:
    where = parse_id(letter_id)
    if where is None:
        raise Misused(
            f"{shown(letter_id)}: expected an id like 3@12 (partition@offset), as `dead-letters list` shows it"
        )
    letter = await letters.find(*where)
    if letter is None:
        raise Misused(
            f"{letter_id}: no such dead letter, or retention has deleted it; `stepwatch dead-letters list` shows those "
            "that there are"
        )
    return letter


def show_letter(letter: Letter, headers: Headers | None) -> None:
    """Print a letter, with nothing in it that could move a cursor."""
    room = width()
    for name, said in _lines(letter, headers):
        first, *rest = wrapped(said, None if room is None else room - 14, "").split("\n")
        print(paint(name.ljust(12), "bold") + "  " + first)
        for more in rest:
            print(" " * 14 + more)
    value = letter.value
    if value is None:
        print("it has no value")
        return
    print(paint(f"its value, {counted(len(value), 'byte')}:", "bold"))
    print(_safe(value[:_VALUE_SHOWN_BYTES]))
    if len(value) > _VALUE_SHOWN_BYTES:
        say(f"cut: {len(value) - _VALUE_SHOWN_BYTES:,} bytes more; --raw writes all of them")


def _lines(letter: Letter, headers: Headers | None) -> list[tuple[str, str]]:
    lines = [
        ("id", letter.id),
        ("error", shown(letter.said)),
        ("field", shown(letter.field)),
        ("came from", shown(letter.where)),
        ("arrived", format_time(letter.time_us)),
        ("key", "none" if letter.key is None else shown(_safe(letter.key))),
    ]
    if letter.detail:
        lines.insert(2, ("detail", shown(letter.detail)))
    known = {"error", "field", "topic", "partition", "offset", "time", "detail"}
    others = [(name, value) for name, value in letter.headers if name not in known]
    for name, said in [*others, *(headers or ())]:
        lines.append(("header", f"{shown(name)}: {'' if said is None else shown(_safe(said))}"))
    if headers is None:
        lines.append(("header", "not known: the record that it was is no longer there"))
    lines.append(("put it back", _advice(letter)))
    return lines


def _advice(letter: Letter) -> str:
    again = f"stepwatch dead-letters replay {letter.id}"
    repaired = f"{again} --file repaired.json"
    if letter.said == BUG:
        return f"{again}, once a version that can judge it runs; until then it is NOT judged"
    if letter.said == CONFLICT:
        return f"only if it is another event: give it an id of its own, then {repaired}"
    if letter.said == MISROUTED:
        return f"{again}, once all workers know the same policies"
    if letter.field == "type":
        return f"{again} where only the topic is wrong; else {repaired}"
    return f"repair the producer, then {repaired}"


def _safe(value: bytes) -> str:
    """Bytes as text in lines; what is no UTF-8 or would move a cursor is shown as its number."""
    text = value.decode(errors="backslashreplace")
    return "\n".join(plain(line, len(line) + 1) for line in text.split("\n"))


async def put_back(
    settings: Settings,
    wanted: Wanted | Sequence[str],
    repaired: bytes | None,
    *,
    dry_run: bool,
    tell: Callable[[str], None],
) -> Told:
    """Put letters back.

    Args:
        settings: where Kafka is.
        wanted: ids, or which of all.
        repaired: what to send in the stead of the one that is wanted; None: each as it is.
        dry_run: only say what would happen.
        tell: told of each letter, in a line.

    Raises:
        Misused: an id is that of no letter; nothing was sent.
        RoleError: Kafka does not answer, or did not take one; those told as sent are there.
    """
    told = Told(dry_run=dry_run)
    async with AsyncExitStack() as opened:
        letters = await opened.enter_async_context(DeadLetters(settings))
        # All are looked up first: a slip in the last id must not leave half of them sent.
        named = None if isinstance(wanted, Wanted) else [await _by_id(letters, one) for one in dict.fromkeys(wanted)]
        sender = await opened.enter_async_context(Sender(settings, letters.partitions))
        sets = await read_sets(settings)
        if sets is None:
            say("no policy set is in force, so aliases are unknown: a letter of one will be moved later")
        async for letter in _each(letters, wanted, named, settings.prefix):
            ground = Ground(settings.topics, letters.partitions, sets, time.time_ns() // 1000)
            headers = await sender.headers_of(letter)
            target = plan(letter, repaired, headers or (), ground)
            if isinstance(target, StillWrong):
                told.still_wrong += 1
                gone = " (the record that it was is gone, and with it its headers)" if headers is None else ""
                tell(f"{letter.id}: still wrong: {shown(target.words)}{'' if repaired else gone}")
                continue
            where = f"{target.topic}-{target.partition}" if dry_run else await sender.send(target)
            told.sent += 1
            done = "would be sent to" if dry_run else "sent to"
            tell(f"{letter.id}: {done} {where}" + (f"; {target.warning}" if target.warning else ""))
    return told


async def _each(
    letters: DeadLetters, wanted: Wanted | Sequence[str], named: list[Letter] | None, prefix: str
) -> AsyncIterator[Letter]:
    if named is not None:
        for letter in named:
            yield letter
        return
    assert isinstance(wanted, Wanted)
    async for letter in letters.all(lambda letter: wanted.holds(letter, prefix)):
        yield letter


def _clock(time_us: int) -> str:
    return format_time(time_us)[:19].replace("T", " ")
