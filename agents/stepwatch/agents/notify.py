"""The role `notify`: changes of alerts, and events that nobody judged, to whoever is on call, at least once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from aiokafka import TopicPartition
from prometheus_client import Counter

from stepwatch.agents.app import RoleApp, build_app, run_app, run_role
from stepwatch.agents.clients import close_client, open_consumer
from stepwatch.agents.dead_letters import letter_of
from stepwatch.agents.errors import SettingWrong
from stepwatch.agents.logs import configure_logs, get_logger
from stepwatch.agents.outputs import OutputBatch, OutputReader, OutputService, Record
from stepwatch.agents.paging import Paging, require_routes
from stepwatch.agents.settings import Settings
from stepwatch.notifiers import NOTIFIERS, Notifier
from stepwatch.notifiers.notices import Notice, NotJudged, Seen, notice_of, read_alert, seen_of
from stepwatch.schemas.times import format_time
from stepwatch.streams.effects import BUG

log = get_logger(__name__)

NOTICES = Counter("stepwatch_notices", "Notices delivered.", ["receiver", "happening"])
NOT_ALERTS = Counter("stepwatch_notify_unreadable", "Records of the alerts topic that are no alerts.")

_PRIME_QUIET_POLLS = 20
_PRIME_POLL_MS = 500


class Desk:
    """What was told of each alert, and so what is worth telling next.

    The memory is the alerts topic itself: what lies there before the first record of a partition that we
    are to tell is read again when the partition comes to us, and told to nobody. Of the dead letters those are told
    on which the core itself failed: their events were not judged, and no alert will speak of them.
    """

    def __init__(
        self,
        notifiers: Iterable[Notifier],
        earlier: Callable[[TopicPartition, int], Awaitable[list[Record]]],
        dead_letters: str,
    ) -> None:
        """A desk that knows nothing yet.

        Args:
            notifiers: whom to tell.
            earlier: reads the records of a partition below an offset.
            dead_letters: the topic of the dead letters; every other is of alerts.
        """
        self._notifiers = tuple(notifiers)
        self._earlier = earlier
        self._dead_letters = dead_letters
        self._seen: dict[TopicPartition, dict[bytes, Seen]] = {}

    async def take(self, batch: OutputBatch) -> None:
        """Tell what a batch has to tell; returns when every receiver has it."""
        for tp, records in batch.records.items():
            if tp.topic == self._dead_letters:
                self._tell_bugs(records)
                continue
            seen = self._seen.get(tp)
            if seen is None:
                # Put there first: if the partition is taken away meanwhile, so is its memory.
                seen = self._seen[tp] = {}
                for record in await self._earlier(tp, records[0].offset):
                    self._look_at(seen, record)
            for record in records:
                notice = self._look_at(seen, record)
                if notice is not None:
                    self._tell(notice)

    def forget(self, revoked: Iterable[TopicPartition]) -> None:
        """Partitions went to another worker, which tells on; if one comes back its past is read again."""
        for tp in revoked:
            self._seen.pop(tp, None)

    def _look_at(self, seen: dict[bytes, Seen], record: Record) -> Notice | None:
        key = record.key or b""
        if record.value is None:
            seen.pop(key, None)
            return None
        try:
            alert = read_alert(record.value)
        except ValueError as error:
            NOT_ALERTS.inc()
            log.error(
                f"{record.topic}-{record.partition}@{record.offset}: expected an alert: {error}; passed over",
                code="not_an_alert",
            )
            return None
        before = seen.get(key)
        if before is None or alert.version > before.version:
            seen[key] = seen_of(alert)
        return notice_of(before, alert)

    def _tell_bugs(self, records: Iterable[Record]) -> None:
        for letter in map(letter_of, records):
            if letter.said != BUG:
                continue
            key = (letter.key or b"").decode(errors="replace")
            notice = NotJudged(letter.id, letter.where, key, letter.detail, format_time(letter.time_us))
            for notifier in self._notifiers:
                notifier.tell_not_judged(notice)
                NOTICES.labels(notifier.name, "not_judged").inc()

    def _tell(self, notice: Notice) -> None:
        for notifier in self._notifiers:
            notifier.tell(notice)
            NOTICES.labels(notifier.name, notice.happening.value).inc()


async def read_earlier(settings: Settings, tp: TopicPartition, below: int) -> list[Record]:
    """The committed records of a partition below an offset, which is that of a record seen."""
    if below == 0:
        return []
    consumer = await open_consumer(settings, group_id=None, auto_offset_reset="earliest")
    records: list[Record] = []
    try:
        consumer.assign([tp])
        await consumer.seek_to_beginning(tp)
        quiet = 0
        while await consumer.position(tp) < below:
            got = (await consumer.getmany(tp, timeout_ms=_PRIME_POLL_MS)).get(tp, [])
            records += [record for record in got if record.offset < below]
            quiet = 0 if got else quiet + 1
            # What is left below may be marks of transactions, which no position passes while nothing follows.
            if quiet >= _PRIME_QUIET_POLLS:
                break
    finally:
        await close_client(consumer)
    return records


def build_notify(settings: Settings, notifiers: Iterable[Notifier] | None = None) -> RoleApp:
    """The app of the role `notify`.

    With a routing file: the service that pages by it. Without: the agent that tells `notifiers`, and the service that
    reads alerts and dead letters for it.

    Args:
        settings: of the role.
        notifiers: where there is no routing file; default: the console.

    Raises:
        SettingWrong: the routing file is wrong, or a secret that it names cannot be read.
    """
    app = build_app("notify", settings)

    async def earlier(tp: TopicPartition, below: int) -> list[Record]:
        return await read_earlier(settings, tp, below)

    routes = require_routes(settings)
    if routes is not None:
        app.add(Paging(settings, routes, app.health, beacon=app.beacon))
        return app
    topics = settings.topics
    desk = Desk([NOTIFIERS["console"]()] if notifiers is None else notifiers, earlier, topics.dead_letters)
    reader = OutputReader(settings, "notify", (topics.alerts, topics.dead_letters), linger_s=0, on_revoked=desk.forget)
    channel: Any = app.channel(maxsize=0)
    app.add(OutputService(reader, app.health, channel.put, beacon=app.beacon))

    @app.agent(channel)
    async def notify_batches(batches: Any) -> None:
        """Tell what each batch has to tell; its service commits it then."""
        async for batch in batches:
            await desk.take(batch)
            batch.done.set()

    return app


async def run_notify(settings: Settings) -> int:
    """Run the role in the running event loop until it is told to stop or fails; returns the exit status."""
    configure_logs(settings)
    return await run_app(build_notify(settings))


def main(settings: Settings) -> int:
    """Run the role as this process; returns the exit status."""
    configure_logs(settings)
    try:
        return run_role(build_notify, settings)
    except SettingWrong as wrong:
        log.error(str(wrong), role="notify", code=wrong.code, retriable=wrong.retriable)
        return wrong.exit_status
