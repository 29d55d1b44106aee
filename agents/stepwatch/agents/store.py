"""The role `store`: audit, evidence, alerts and dead letters from Kafka into ClickHouse, at least once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from clickhouse_connect.driver.client import Client
from prometheus_client import Counter, Gauge

from stepwatch.agents.app import RoleApp, build_app, run_app, run_role
from stepwatch.agents.errors import EXIT_CONFIGURATION, RoleError
from stepwatch.agents.health import Health
from stepwatch.agents.logs import configure_logs, get_logger
from stepwatch.agents.outputs import OutputBatch, OutputReader, OutputService, Record
from stepwatch.agents.settings import Settings
from stepwatch.store.client import BadUrl, Trouble, open_client, trouble_of, words_of
from stepwatch.store.dead_letters import build_dead_letter, build_refused
from stepwatch.store.loader import Loader
from stepwatch.store.migrate import MigrationRefused, migrate

log = get_logger(__name__)
T = TypeVar("T")

STORED_ROWS = Counter("stepwatch_stored_rows", "Rows that ClickHouse took, redelivered ones too.", ["table"])
REFUSED_ROWS = Counter("stepwatch_store_refused_rows", "Rows that ClickHouse refused.", ["table"])
INSERTS = Counter("stepwatch_store_inserts", "Requests to insert, refused ones too.", ["table"])
STORE_WAITING = Gauge("stepwatch_store_waiting", "1 while ClickHouse is away or refuses us, else 0.")

LINGER_S = 0.3
"""How long a batch waits for more rows: ClickHouse likes few inserts, a person likes fresh tables."""
BACK_OFF_MIN_S = 0.25
BACK_OFF_MAX_S = 15.0


class StoreRefused(RoleError):
    """The configured ClickHouse cannot be this program's."""

    code = "store_refused"
    exit_status = EXIT_CONFIGURATION
    retriable = False


class Store:
    """Performs batches on ClickHouse, for as long as it takes.

    The order for a batch: rows of audit, evidence and alerts; then dead letters, those of rows refused
    just now among them. So at its commit each row is in its table or in dead_letters; before it all are
    read again.
    """

    def __init__(self, settings: Settings, health: Health | None = None) -> None:
        self._settings = settings
        self._health = health or Health()
        topics = settings.topics
        self._topics = topics
        self._tables = {topics.audit: "audit", topics.evidence: "authentications", topics.alerts: "alerts"}
        self._client: Client | None = None
        self._loader: Loader | None = None
        # One thread: the client serves one at a time, and an insert must not hold up the loop's heartbeats.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="clickhouse")

    async def open(self) -> None:
        """Connect and bring the database to our schema; waits while ClickHouse is away.

        Raises:
            StoreRefused: it answers, and cannot be ours (password, permission, schema), or its address
            is none.
        """
        try:
            await self._insist(self._connect, give_up_on_setup=True)
        except (BadUrl, MigrationRefused) as error:
            raise StoreRefused(str(error)) from error

    async def close(self) -> None:
        """Close the connection; an insert under way ends by itself."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        if self._client is not None:
            self._client.close()

    async def take(self, batch: OutputBatch) -> None:
        """Store a batch; returns when each of its rows is in its table or in dead_letters."""
        letters = [build_dead_letter(record) for record in batch.of(self._topics.dead_letters)]
        for topic, table in self._tables.items():
            # An alert that was forgotten leaves a tombstone: its rows stay.
            records = [record for record in batch.of(topic) if record.value is not None]
            if records:
                letters += await self._load(table, records)
        if letters:
            await self._insist(lambda: self._insert("dead_letters", letters))

    async def _load(self, table: str, records: Sequence[Record]) -> list[bytes]:
        """Load the rows of one table; returns the dead letters of those that were refused."""
        rows = [record.value or b"" for record in records]
        refusals = await self._insist(lambda: self._insert(table, rows))
        for refusal in refusals:
            record = records[refusal.index]
            log.error(
                f"ClickHouse refused {record.topic}-{record.partition}@{record.offset} for table {table}: "
                f"{refusal.words}; its bytes are in dead_letters",
                code="refused_by_clickhouse",
            )
        by_alert = table == "alerts"
        return [build_refused(records[r.index], r.words, keyed_by_alert=by_alert) for r in refusals]

    def _insert(self, table: str, rows: Sequence[bytes]) -> list[Any]:
        if self._loader is None:
            self._connect()
        assert self._loader is not None
        loaded = self._loader.load(table, rows)
        INSERTS.labels(table).inc(loaded.inserts)
        STORED_ROWS.labels(table).inc(loaded.rows)
        REFUSED_ROWS.labels(table).inc(len(loaded.refusals))
        return loaded.refusals

    def _connect(self) -> None:
        client = open_client(self._settings, with_database=False)
        ran = migrate(client, self._settings.clickhouse_database)
        if ran:
            log.info("tables brought up to date", database=self._settings.clickhouse_database, migrations=ran)
        self._client, self._loader = client, Loader(client)

    async def _insist(self, work: Callable[[], T], *, give_up_on_setup: bool = False) -> T:
        """Do blocking work, again and again while ClickHouse is in trouble; say so once."""
        wait_s = BACK_OFF_MIN_S
        said: Trouble | None = None
        while True:
            try:
                done = await asyncio.get_running_loop().run_in_executor(self._thread, work)
            except Exception as error:
                trouble = trouble_of(error)
                if trouble is None:
                    raise
                words = self._words(trouble, error)
                if trouble is not Trouble.AWAY and give_up_on_setup:
                    raise StoreRefused(words) from error
                if trouble is not said:
                    log.warning(words, code=f"clickhouse_{trouble.value}")
                    self._health.waits("clickhouse", words)
                    STORE_WAITING.set(1)
                said = trouble
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, BACK_OFF_MAX_S)
                continue
            if said is not None:
                log.info("ClickHouse is back: storing what waited in Kafka")
                STORE_WAITING.set(0)
            self._health.works("clickhouse")
            return done

    def _words(self, trouble: Trouble, error: Exception) -> str:
        where = f"ClickHouse at {self._settings.clickhouse_url}"
        if trouble is Trouble.AWAY:
            return (
                f"{where} is away ({words_of(error)}): rows wait in Kafka and nothing is lost; start it, or "
                "set STEPWATCH_CLICKHOUSE_URL to its address"
            )
        return (
            f"{where} refuses us ({words_of(error)}): check STEPWATCH_CLICKHOUSE_USER, its password and that "
            f"it may create and fill tables in database {self._settings.clickhouse_database}"
        )


class StoreService(OutputService):
    """Reads for a Store; its tables come first, since a group that nobody serves would only delay others."""

    def __init__(self, store: Store, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._store = store

    async def on_start(self) -> None:
        """Open ClickHouse, then join the group."""
        await self._store.open()
        await super().on_start()

    async def on_stop(self) -> None:
        """Leave the group, then ClickHouse."""
        await super().on_stop()
        await self._store.close()


def build_store(settings: Settings) -> RoleApp:
    """The app of the role `store`: the agent that stores batches, the service that reads them."""
    app = build_app("store", settings)
    store = Store(settings, app.health)
    topics = settings.topics
    outputs = (topics.audit, topics.evidence, topics.alerts, topics.dead_letters)
    reader = OutputReader(settings, "store", outputs, linger_s=LINGER_S)
    channel: Any = app.channel(maxsize=0)
    app.add(StoreService(store, reader, app.health, channel.put, beacon=app.beacon))

    @app.agent(channel)
    async def store_batches(batches: Any) -> None:
        """Store each batch, for as long as it takes; its service commits it then."""
        async for batch in batches:
            await store.take(batch)
            batch.done.set()

    return app


def prepare(settings: Settings) -> None:
    """Set up log lines for a process that runs this role."""
    configure_logs(settings)
    # They report each attempt of each connection; what matters of it is said here, once.
    for name in ("clickhouse_connect", "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


async def run_store(settings: Settings) -> int:
    """Run the role in the running event loop until it is told to stop or fails; returns the exit status."""
    prepare(settings)
    return await run_app(build_store(settings))


def main(settings: Settings) -> int:
    """Run the role as this process; returns the exit status."""
    prepare(settings)
    return run_role(build_store, settings)
