"""The role `store`: audit, evidence, alerts, responses and dead letters from Kafka into ClickHouse, at least once."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from clickhouse_connect.driver.client import Client
from prometheus_client import Counter

from stepwatch.agents.app import RoleApp, build_app, run_app, run_role
from stepwatch.agents.errors import EXIT_CONFIGURATION, RoleError
from stepwatch.agents.health import Health
from stepwatch.agents.insisting import Insisting, SetupRefused
from stepwatch.agents.logs import configure_logs, get_logger
from stepwatch.agents.outputs import OutputBatch, OutputReader, OutputService, Record
from stepwatch.agents.settings import Settings
from stepwatch.store.client import BadUrl, open_client, wait_at_most
from stepwatch.store.dead_letters import build_dead_letter, build_refused
from stepwatch.store.loader import Loader, Loading
from stepwatch.store.migrate import MigrationRefused, migrate
from stepwatch.store.responses import build_response_row
from stepwatch.store.retention import apply_retention
from stepwatch.store.tls import TlsRefused

log = get_logger(__name__)

STORED_ROWS = Counter("stepwatch_stored_rows", "Rows that ClickHouse took, redelivered ones too.", ["table"])
REFUSED_ROWS = Counter("stepwatch_store_refused_rows", "Rows that ClickHouse refused.", ["table"])
INSERTS = Counter("stepwatch_store_inserts", "Requests to insert, those that came to nothing too.", ["table"])

LINGER_S = 0.3
"""How long a batch waits for more rows: ClickHouse likes few inserts, a person likes fresh tables."""


class StoreRefused(RoleError):
    """The configured ClickHouse cannot be this program's."""

    code = "store_refused"
    exit_status = EXIT_CONFIGURATION
    retriable = False


class Store:
    """Performs batches on ClickHouse, for as long as it takes.

    The order for a batch: rows of audit, evidence, alerts and responses; then dead letters, those of rows refused
    just now among them. So at its commit each row is in its table or in dead_letters; before it all are
    read again.
    """

    def __init__(self, settings: Settings, health: Health | None = None) -> None:
        self._settings = settings
        topics = settings.topics
        self._topics = topics
        self._tables = {topics.audit: "audit", topics.evidence: "authentications", topics.alerts: "alerts"}
        self._insisting = Insisting(settings, health or Health())
        self._client: Client | None = None
        self._loader: Loader | None = None

    async def open(self) -> None:
        """Connect and bring the database to our schema; waits while ClickHouse is away.

        Raises:
            StoreRefused: it answers, and cannot be ours (TLS, password, permission, schema), or its address
            is none.
        """
        try:
            await self._insisting.do(self._connect, give_up_on_setup=True)
        except (BadUrl, TlsRefused, MigrationRefused, SetupRefused) as error:
            raise StoreRefused(str(error)) from error
        self._insisting.well()

    async def close(self) -> None:
        """Close the connection; an insert under way is left to itself."""
        if self._client is not None:
            self._client.close()

    async def take(self, batch: OutputBatch) -> None:
        """Store a batch; returns when each of its rows is in its table or in dead_letters."""
        letters = [build_dead_letter(record) for record in batch.of(self._topics.dead_letters)]
        for topic, table in self._tables.items():
            # An alert that was forgotten leaves a tombstone: its rows stay.
            records = [record for record in batch.of(topic) if record.value is not None]
            if records:
                letters += await self._load(table, records, [record.value or b"" for record in records])
        decided = [(record, build_response_row(record)) for record in batch.of(self._topics.responses)]
        rows = [(record, row) for record, row in decided if row is not None]
        if rows:
            letters += await self._load("responses", *zip(*rows, strict=True))
        if letters:
            loading = Loading("dead_letters", letters)
            await self._insert(loading)
            for refusal in loading.refusals:
                # Never seen; were it passed over in silence, a record would be in no table.
                row = letters[refusal.index].decode(errors="replace")
                log.error(f"ClickHouse refused a dead letter, which is in no table: {refusal.words}: {row:.2000}")
        self._insisting.well()

    async def _load(self, table: str, records: Sequence[Record], rows: Sequence[bytes]) -> list[bytes]:
        """Load the rows of one table, one for each record; returns the dead letters of those that were refused."""
        loading = Loading(table, rows)
        await self._insert(loading)
        for refusal in loading.refusals:
            record = records[refusal.index]
            log.error(
                f"ClickHouse refused {record.topic}-{record.partition}@{record.offset} for table {table}: "
                f"{refusal.words}; its bytes are in dead_letters",
                code="refused_by_clickhouse",
            )
        by_alert = table == "alerts"
        return [build_refused(records[r.index], r.words, keyed_by_alert=by_alert) for r in loading.refusals]

    async def _insert(self, loading: Loading) -> None:
        await self._insisting.do(lambda: self._go_on(loading))
        INSERTS.labels(loading.table).inc(loading.inserts)
        STORED_ROWS.labels(loading.table).inc(loading.rows)
        REFUSED_ROWS.labels(loading.table).inc(len(loading.refusals))

    def _go_on(self, loading: Loading) -> None:
        """Insert what is left of a batch."""
        if self._client is None or self._loader is None:
            raise RuntimeError("the store is not open")
        wait_at_most(self._client, self._insisting.answer_s)
        left = loading.left
        try:
            self._loader.go_on(loading)
        finally:
            if loading.left < left:
                self._insisting.got_on()

    def _connect(self) -> None:
        client = open_client(self._settings, with_database=False, answer_timeout_s=self._insisting.answer_s)
        try:
            ran = migrate(client, self._settings.clickhouse_database)
            kept = apply_retention(client, self._settings)
        except BaseException:
            client.close()
            raise
        if ran:
            log.info("tables brought up to date", database=self._settings.clickhouse_database, migrations=ran)
        if kept:
            log.info("retention set", database=self._settings.clickhouse_database, changes=kept)
        self._client, self._loader = client, Loader(client)


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
    outputs = (topics.audit, topics.evidence, topics.alerts, topics.responses, topics.dead_letters)
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
