"""Report to Kafka from any program, synchronous or not, without ever waiting for Kafka."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from stepwatch.schemas.topics import Topics
from stepwatch.sdk.background import BackgroundReporter
from stepwatch.sdk.events import Source
from stepwatch.sdk.reporter import OnDrop

if TYPE_CHECKING:
    from stepwatch.sdk.sender_thread import Sends


class KafkaReporter(BackgroundReporter):
    """Takes events over and sends them from a thread of its own.

    `report` costs some microseconds and never waits. While Kafka is away events are held in memory, up to `events_max`
    and `bytes_max`; beyond them the newest are dropped, counted in `stats`, told to `on_drop` and logged. What was
    taken is sent in the order in which it was reported, and again until Kafka has acknowledged it.

    One for each process, made when the program starts. It may be made before a fork (gunicorn, uwsgi with threads
    enabled): its thread starts with the first report in each process, and what the parent still holds the parent
    sends. At the interpreter's exit it flushes for `close_timeout_s`; a child that ends by `os._exit`, as those of
    `multiprocessing` do, calls `close` itself.
    """

    def __init__(
        self,
        bootstrap: str,
        *,
        heartbeat: Source | None = None,
        heartbeat_every_s: float = 30.0,
        events_max: int = 100_000,
        bytes_max: int = 64 * 1024 * 1024,
        on_drop: OnDrop | None = None,
        log_every_s: float = 60.0,
        close_timeout_s: float = 5.0,
        prefix: str = "stepwatch.",
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """Make one; nothing is connected yet.

        Args:
            bootstrap: `host:port`, or several with commas between.
            heartbeat: says that this feed is alive, behind whatever was held back, in every partition of the
                authentications; not while events are dropped. Where several processes share one source, one that is
                stuck is hidden by the others: give each its own where that matters.
            heartbeat_every_s: well under the source's `silent_after`, s.
            events_max: held in memory.
            bytes_max: of the events held, with what Python needs beside them.
            on_drop: told of what was dropped, at most once a second for each reason, in the reporter's thread, after
                `close` in one that reports: it must be quick.
            log_every_s: at most one line of the logger `stepwatch.sdk` in so long.
            close_timeout_s: how long `close`, and so the interpreter's exit, waits for Kafka at most.
            prefix: of the topics.
            options: for aiokafka's producer: `security_protocol`, `ssl_context`, `sasl_mechanism`, ...

        Raises:
            ValueError: an argument is wrong; it is named.
            TypeError: an option that aiokafka does not know, or that is not to be chosen.
            ImportError: `stepwatch[sdk]` is not installed.
        """
        self._bootstrap = _addresses(bootstrap)
        if find_spec("aiokafka") is None:
            raise ImportError('reporting to Kafka needs aiokafka: pip install "stepwatch[sdk]"')
        # Here, not when this module is imported: it takes longer than all the rest. And not in the thread, where a
        # fork could find it half done.
        from stepwatch.sdk import sending

        self._options = dict(options or {})
        sending.check_options(self._options)
        self._sending = sending
        self._topics = Topics(prefix)
        super().__init__(
            "Kafka",
            heartbeat=heartbeat,
            heartbeat_every_s=heartbeat_every_s,
            events_max=events_max,
            bytes_max=bytes_max,
            on_drop=on_drop,
            log_every_s=log_every_s,
            close_timeout_s=close_timeout_s,
        )

    def _new_sender(self) -> Sends:
        return self._sending.Sender(self._bootstrap, self._topics, self._backlog, self._options)


def _addresses(bootstrap: str) -> list[str]:
    at = [address.strip() for address in bootstrap.split(",")]
    if not all(host and port.isdigit() for host, _, port in (address.rpartition(":") for address in at)):
        raise ValueError(f"bootstrap: expected host:port, or several with commas between, got {bootstrap!r}")
    return at
