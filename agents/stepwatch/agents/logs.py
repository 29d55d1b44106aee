"""Log lines of a role: structlog, for people or as JSON, the libraries' lines in the same form."""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Callable
from typing import Any

import structlog

from stepwatch.agents.settings import Settings

_QUIET: dict[str, int] = {
    # They announce each service of theirs and print the CancelledError of a clean stop as a crash; what
    # matters of them reaches `run_app`, which says it in words.
    "faust": logging.CRITICAL,
    "mode": logging.CRITICAL,
    "aiohttp": logging.WARNING,
    # A line for each connection and heartbeat; its errors are retried by it or reach us as exceptions.
    "aiokafka": logging.WARNING,
    # A line for each connection that fails, many a second while a broker is away; `clients` says it once.
    "aiokafka.client": logging.CRITICAL,
    "aiokafka.conn": logging.CRITICAL,
    "asyncio": logging.WARNING,
}


_SILENCE = re.compile(
    "NodeNotReady|KafkaConnectionError|RequestTimedOut|TimeoutError|Connect call failed|Unable connect to node|"
    "Unable to (update|request) metadata|coordinator dead|Heartbeat session expired|CoordinatorNotAvailable"
)
"""What aiokafka says of a broker that does not answer; each of its parts says it, again and again."""
_SILENT = ("aiokafka", "silence")


class Repeats(logging.Filter):
    """Lets one line of aiokafka's of each kind through in 10 s: while a broker is away it writes hundreds a second.

    A kind is the logger and the text before its values are filled in. The next line that passes says how many did not.
    All that says that a broker does not answer is one kind, said once a minute in words of ours.
    """

    def __init__(
        self, every_s: float = 10.0, clock: Callable[[], float] = time.monotonic, silence_every_s: float = 60.0
    ) -> None:
        super().__init__()
        self._every_s = every_s
        self._silence_every_s = silence_every_s
        self._clock = clock
        self._kinds: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is shown."""
        if not record.name.startswith("aiokafka"):
            return True
        silent = _SILENCE.search(record.getMessage()) is not None
        kind = _SILENT if silent else (record.name, str(record.msg))
        now = self._clock()
        shown_at, hidden = self._kinds.get(kind, (float("-inf"), 0))
        if now - shown_at < (self._silence_every_s if silent else self._every_s):
            self._kinds[kind] = (shown_at, hidden + 1)
            return False
        self._kinds[kind] = (now, 0)
        if silent:
            said = record.getMessage().rstrip(" .:")
            record.levelno, record.levelname = logging.WARNING, "WARNING"
            record.msg, record.args = f"Kafka does not answer; trying again until it does ({said})", ()
        if hidden:
            record.msg = f"{record.msg} (and {hidden} more like it before)"
        return True


def configure_logs(settings: Settings) -> None:
    """Send every log line of this process to standard error, in the settings' form and from their level."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    if settings.log_format == "json":
        render: list[Any] = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        # The default shows the variables of every frame, passwords among them.
        plain = structlog.dev.plain_traceback
        render = [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    handler.addFilter(Repeats())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level.upper())
    for name, level in _QUIET.items():
        logging.getLogger(name).setLevel(max(level, root.level))


FRAMEWORK = logging.getLogger("faust.role")
"""What Faust and mode say of an app's or service's own doings: for their debuggers only, so kept quiet."""


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of one module; it may be made before `configure_logs`, and is used after it."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger
