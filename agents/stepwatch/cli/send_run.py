"""One `stepwatch send`: what was asked for is checked, put together, run, and told at its end."""

from __future__ import annotations

import asyncio
import hashlib
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic_core import PydanticCustomError

from stepwatch.agents.errors import EXIT_INTERRUPTED, EXIT_OK, EXIT_PROBLEM
from stepwatch.agents.settings import Settings
from stepwatch.cli.beats import Beats
from stepwatch.cli.courier import Courier
from stepwatch.cli.errors import Misused
from stepwatch.cli.following import Following
from stepwatch.cli.lines import Conversion, adapter_of
from stepwatch.cli.positions import Positions
from stepwatch.cli.progress import progress
from stepwatch.cli.reading import Unreadable, batches, files_of, opened, pipe_of, piped
from stepwatch.cli.rebasing import shift_to
from stepwatch.cli.screen import counted, say
from stepwatch.cli.shipping import Outlet, Sent, Shipper
from stepwatch.cli.stopping import Stopping, stopping
from stepwatch.schemas.policy import parse_duration
from stepwatch.schemas.times import SECOND_US
from stepwatch.sources.base import Adapter
from stepwatch.streams.decode import Event, Heartbeat, decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The options of the command."""

    file: str
    source: str
    follow: bool
    heartbeat: str
    lag: str
    dry_run: bool
    rate: float | None
    rebase: bool
    positions: Path | None
    bootstrap: str | None
    data: Path | None

    @property
    def keeps(self) -> bool:
        """Whether positions are kept for the next time; else they are for what is cut off."""
        return self.follow or self.positions is not None or Path(self.file).is_dir()


def run(asked: Asked) -> int:
    """Do it; returns the exit status.

    Raises:
        Misused: an option or the file is not as it must be.
        ServerAway, KafkaAway, KafkaRefused, TopicsWrong: Kafka.
    """
    from stepwatch.cli.replay import ended_by_reader
    from stepwatch.cli.target import connect, quiet_logs

    adapter = adapter_of(asked.source)
    every_us, lag_us = parse_option("--heartbeat", asked.heartbeat), parse_option("--lag", asked.lag)
    pipe = pipe_of(asked.file)
    _refuse_what_contradicts(asked, pipe is not None)
    files = files_of(Path(asked.file)) if pipe is None else []
    settings = None
    if not asked.dry_run:
        settings = connect(asked.data, asked.bootstrap, patient=asked.follow)
        quiet_logs(settings)
    with ended_by_reader():
        return asyncio.run(_Run(asked, settings, adapter, pipe, files, every_us, lag_us).run())


@dataclass(frozen=True, slots=True)
class _Run:
    asked: Asked
    settings: Settings | None
    adapter: Adapter | None
    pipe: int | None
    files: list[Path]
    every_us: int
    lag_us: int

    async def run(self) -> int:
        asked = self.asked
        conversion = Conversion(self.adapter)
        total = None if self.pipe is not None or asked.follow else sum(path.stat().st_size for path in self.files)
        # Events on a terminal and a line that is drawn over and over would be one another's noise.
        wanted = not (asked.dry_run and sys.stdout.isatty())
        async with _outlet(self.settings) as outlet:
            positions = Positions(None)
            if self.settings is not None and self.pipe is None:
                positions = _positions(asked, self.settings, getattr(outlet, "cluster", ""))
            shift_s = _shift(self.files, self.adapter, positions) if asked.rebase else 0
            damage: Unreadable | None = None
            done = False
            with stopping() as stop, progress(total, wanted=wanted) as show:
                shipper = Shipper(conversion, outlet, say, stop, rate=asked.rate, shift_s=shift_s)
                courier = Courier(shipper, positions, show, say, keeps=asked.keeps)
                try:
                    done = await self._deliver(courier, stop)
                except Unreadable as error:
                    damage = error
            self._tell(shipper.sent, conversion, getattr(outlet, "policies_known", True), damaged=damage is not None)
        if damage is not None:
            raise damage
        if asked.follow:
            return stop.exit_status
        if not done:
            return EXIT_INTERRUPTED
        return EXIT_PROBLEM if shipper.sent.rejected or shipper.sent.unreadable else EXIT_OK

    async def _deliver(self, courier: Courier, stop: Stopping) -> bool:
        if self.pipe is not None:
            return await courier.send_pipe(piped(self.pipe, stop), stop)
        if not self.asked.follow:
            return await courier.send_files(self.files, stop)
        # An adapter has one feed; events as they are say themselves of which feed each is.
        own = str(getattr(self.adapter, "source", ""))
        beats = Beats(courier.shipper, own, self.every_us / SECOND_US, self.lag_us)
        await courier.follow(Following(Path(self.asked.file), courier.positions), beats, stop)
        return True

    def _tell(self, sent: Sent, conversion: Conversion, policies_known: bool, *, damaged: bool) -> None:
        parts = [counted(sent.actions, "action"), counted(sent.authentications, "authentication event")]
        if sent.heartbeats:
            parts.append(counted(sent.heartbeats, "heartbeat"))
        if self.settings is None:
            say(f"would send {', '.join(parts)}")
        else:
            print(f"sent {', '.join(parts)} to {self.settings.kafka_bootstrap}")
        for words in conversion.skips_in_words():
            say(words)
        if sent.newer:
            say(f"{counted(sent.newer, 'event')} of a type that only a newer Stepwatch knows: not sent")
        if not policies_known:
            again = "it again with --positions that names a new file" if self.asked.keeps else "the file again"
            say(
                "no policy set is in force yet, so aliases are unknown: apply one (`stepwatch policy apply`), then "
                f"send {again}"
            )
        if sent.late:
            say(
                f"{counted(sent.late, 'action')} happened longer ago than `accept_late` of the policies: the verdict "
                "will be blind (too_late). Judge old logs with `stepwatch replay`, or try them with --rebase"
            )
        if sent.rejected:
            rest = "everything else that was read" if sent.unreadable or damaged else "everything else"
            say(f"{counted(sent.rejected, 'line')} rejected, each named above; {rest} was sent")
        if sent.unreadable:
            say(f"{counted(sent.unreadable, 'file')} not read to the end, each named above: what follows was not sent")


class Printer:
    """Events to standard output, one a line."""

    async def event(self, place: str, event: Event, value: bytes) -> bool:
        """Print it."""
        self._print(value)
        return False

    async def heartbeat(self, place: str, value: bytes) -> None:
        """Print it, once, whatever the number of partitions."""
        self._print(value)

    async def settle(self) -> None:
        """Let whoever reads have it."""
        sys.stdout.buffer.flush()

    def _print(self, value: bytes) -> None:
        sys.stdout.buffer.write(value + b"\n")


@asynccontextmanager
async def _outlet(settings: Settings | None) -> AsyncIterator[Outlet]:
    """Kafka, or the screen."""
    if settings is None:
        yield Printer()
        return
    from stepwatch.cli.sending import open_outlet

    async with open_outlet(settings) as outlet:
        yield outlet


def _refuse_what_contradicts(asked: Asked, piped: bool) -> None:
    wrong = {
        "a pipe is read to its end anyway": asked.follow and piped,
        "--rebase reads the file twice: give it a FILE": asked.rebase and piped,
        "the newest event of a growing log is not known: --rebase without --follow": asked.rebase and asked.follow,
        "a pipe has no positions": asked.positions is not None and piped,
        "--dry-run begins at the beginning and keeps no positions": asked.positions is not None and asked.dry_run,
    }
    for why, holds in wrong.items():
        if holds:
            raise Misused(why)


def parse_option(option: str, value: str) -> int:
    """A duration given as an option, us; refuses what is none."""
    try:
        return parse_duration(value)
    except PydanticCustomError as error:
        raise Misused(f"{option} {value}: {error.message()}") from error


def _positions(asked: Asked, settings: Settings, cluster: str) -> Positions:
    """Those of the file that was named, or of one for each log and each place that it is sent to.

    A Kafka that was made anew at the same address is another place: by its cluster id it lacks what the old one had.
    """
    from stepwatch.cli.target import data_folder

    path = asked.positions
    if path is None:
        where = [settings.kafka_bootstrap, cluster, settings.prefix]
        what = [str(Path(asked.file).absolute()), asked.source, str(asked.follow), str(asked.rebase)]
        name = hashlib.sha256("\n".join([*where, *what]).encode()).hexdigest()[:16]
        path = data_folder(asked.data, settings).path / "sent" / f"{name}.json"
    try:
        return Positions(path, cluster)
    except Misused as error:
        if asked.keeps:
            raise
        say(f"{error}; it begins at the beginning")
        return Positions(None)


def _shift(files: list[Path], adapter: Adapter | None, positions: Positions) -> int:
    """By how many seconds the times move; what goes on where it stopped moves as it did before."""
    if positions.shift_s is not None:
        return positions.shift_s
    conversion, newest_us = Conversion(adapter), None
    for path in files:
        with opened(path, Positions(None)) as file:
            records = (record.strip() for batch in batches(file, ended=True) for record in batch.values)
            for value in (value for record in records for value in conversion.events(record, "", "", 0)):
                outcome = decode(value, None)
                if isinstance(outcome, Event | Heartbeat):
                    newest_us = max(newest_us or 0, outcome.time_us)
    positions.shift_s = 0 if newest_us is None else shift_to(time.time_ns() // 1000, newest_us)
    return positions.shift_s
