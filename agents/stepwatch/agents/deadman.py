"""The dead-man's beat: an address is asked while detection goes on, and raises the alarm when it is asked no more.

A process that lives proves nothing: what is asked here is whether every partition of the inputs is read as it grows.
"""

from __future__ import annotations

import asyncio
import http.client
import time
import urllib.request
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from aiokafka import TopicPartition
from mode import Service

from stepwatch.agents import metrics
from stepwatch.agents.clients import close_client, in_words, open_admin, open_reader
from stepwatch.agents.errors import SettingWrong
from stepwatch.agents.health import Health
from stepwatch.agents.lateness import due
from stepwatch.agents.logs import FRAMEWORK, get_logger
from stepwatch.agents.reading import first_record, noted_offsets
from stepwatch.agents.settings import Settings
from stepwatch.agents.task import PartitionTask

log = get_logger(__name__)

STANDS_S = 11.0
"""How long a position may stand while there is more to read: a worker notes its place every 5 s, a busy one later."""
_ANSWER_S = 5.0
_LOOKS_MAX = 1000
_NAMED_MAX = 3


@dataclass(frozen=True, slots=True)
class Look:
    """What Kafka said of the inputs at one moment.

    Attributes:
        at_s: monotonic, s.
        ends: (topic, partition) -> committed end.
        noted: (topic, partition) -> offset that the workers have noted, or else the log's begin.
    """

    at_s: float
    ends: Mapping[tuple[str, int], int]
    noted: Mapping[tuple[str, int], int]


def standing_still(before: Look, now: Look) -> list[tuple[str, int]]:
    """The partitions that had something to read at the earlier look, and whose position is still the same."""
    return [where for where, end in sorted(before.ends.items()) if now.noted[where] == before.noted[where] < end]


def is_detecting(stands: Iterable[tuple[str, int]], overdue_s: dict[int, float]) -> tuple[bool, str]:
    """Whether detection goes on, and if not why, in words.

    Args:
        stands: partitions of the inputs that have records to read and are not read.
        overdue_s: partition of ours -> how long a decision is due that no record has brought about.
    """
    named = [f"{topic}-{partition}" for topic, partition in stands]
    late = due(overdue_s)
    why = [f"not read for {STANDS_S:.0f} s or longer: {_listed(named)}"] if named else []
    why += [late] if late else []
    return not why, "; ".join(why)


def read_url(settings: Settings) -> str | None:
    """The address to ask; None where none is set.

    Raises:
        SettingWrong: its file cannot be read, or holds no address; what it holds is not shown.
    """
    file = settings.deadman_url_file
    if file is None:
        return None
    try:
        url = file.read_text(encoding="utf-8").strip()
        parts = urlsplit(url)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except (OSError, UnicodeDecodeError) as error:
        words = error.strerror if isinstance(error, OSError) else "no UTF-8 text"
        raise SettingWrong(f"STEPWATCH_DEADMAN_URL_FILE={file} cannot be read: {words}") from None
    except ValueError:
        is_one = False
    if not is_one or not url.isascii() or not url.isprintable() or " " in url:
        raise SettingWrong(f"STEPWATCH_DEADMAN_URL_FILE={file}: expected one address, http://… or https://…, in it")
    return url


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A secret address is asked where it was set, and nowhere else."""

    def redirect_request(self, *args: Any, **more: Any) -> None:
        """Refuse."""


def send_beat(url: str) -> str:
    """Ask the address once; blocks for 5 s at most.

    Returns:
        Why it did not take the beat, in words without the address; `""`: it did.
    """
    opener = urllib.request.build_opener(_NoRedirects)
    try:
        with opener.open(urllib.request.Request(url, headers={"User-Agent": "stepwatch"}), timeout=_ANSWER_S):
            return ""
    except HTTPError as error:
        error.close()
        return f"it answered with status {error.code}; expected 2xx"
    except URLError as error:
        reason = error.reason
        return f"no answer ({(reason.strerror if isinstance(reason, OSError) else None) or type(reason).__name__})"
    except (OSError, http.client.HTTPException, ValueError) as error:
        return f"no answer ({type(error).__name__})"


class Deadman(Service):
    """Sends the beat, where this worker owns partition 0: one for the whole installation.

    Another worker takes over with the partition. Of the partitions of others it sees what Kafka knows of them: whether
    they are read. That their pulses come is seen by the owner alone (`stepwatch_overdue_seconds`).
    """

    logger = FRAMEWORK

    def __init__(
        self, settings: Settings, health: Health, tasks: Callable[[], Iterable[PartitionTask]], url: str, **kwargs: Any
    ) -> None:
        """A sender that runs from the start of the app on.

        Args:
            settings: where Kafka is.
            health: told why no beat is sent.
            tasks: those of the partitions that are surely ours now.
            url: the address; a secret.
        """
        super().__init__(**kwargs)
        self._settings = settings
        self._health = health
        self._owned = tasks
        self._url = url
        self._looks: deque[Look] = deque(maxlen=_LOOKS_MAX)
        self._missed = 0

    @Service.task
    async def _run(self) -> None:
        every_s = self._settings.deadman_every_ms / 1000
        while not self.should_stop:
            began = time.monotonic()
            await self._beat()
            await self.sleep(max(0.0, began + every_s - time.monotonic()))

    async def _beat(self) -> None:
        tasks = list(self._owned())
        if all(task.partition != 0 for task in tasks):
            self._looks.clear()
            self._well()
            return
        try:
            stands = await self._stands()
        except Exception as error:  # whatever it is: a beat that fails must not end a worker that detects
            self._miss(f"withheld: Kafka does not say how far we are ({in_words(self._settings, error)})")
            return
        if stands is None:
            return
        detecting, why = is_detecting(stands, {task.partition: task.pulse.overdue_s() for task in tasks})
        if not detecting:
            self._miss(f"withheld: {why}; see /readyz of each correlate, and `stepwatch doctor`")
        elif refused := await asyncio.to_thread(send_beat, self._url):
            self._miss(f"not taken: {refused}; see the address in STEPWATCH_DEADMAN_URL_FILE")
        else:
            metrics.DEADMAN_BEATS.inc()
            self._well()

    async def _stands(self) -> list[tuple[str, int]] | None:
        """What is not read; None while nothing is old enough to compare with."""
        settings = self._settings
        tps = [TopicPartition(name, number) for name in settings.topics.inputs for number in range(settings.partitions)]
        reader = await open_reader(settings, tps)
        try:
            look = await self._look(reader, tps)
            before = next((one for one in reversed(self._looks) if look.at_s - one.at_s >= STANDS_S), None)
            self._looks.append(look)
            if before is None:
                return None
            while self._looks[0] is not before:
                self._looks.popleft()
            # The mark of a transaction is nothing to be read, and no worker notes the last one.
            return [
                where
                for where in standing_still(before, look)
                if await first_record(reader, TopicPartition(*where), before.noted[where], before.ends[where])
                is not None
            ]
        finally:
            await close_client(reader)

    async def _look(self, reader: Any, tps: list[Any]) -> Look:
        admin = await open_admin(self._settings)
        try:
            noted = await noted_offsets(self._settings, admin, "correlate")
        finally:
            await close_client(admin)
        ends = await reader.end_offsets(tps)
        begins = await reader.beginning_offsets(tps)
        return Look(
            time.monotonic(),
            {(tp.topic, tp.partition): end for tp, end in ends.items()},
            # Retention may have deleted what was noted as next.
            {(tp.topic, tp.partition): max(noted.get(tp, 0), begins[tp]) for tp in tps},
        )

    def _miss(self, words: str) -> None:
        self._missed += 1
        metrics.DEADMAN_MISSED.set(self._missed)
        self._health.suffers("dead-man's beat", words)
        if self._missed == 1:
            log.warning(f"the dead-man's beat is {words}", code="deadman_missed")

    def _well(self) -> None:
        if self._missed:
            log.info("the dead-man's beat goes on")
        self._missed = 0
        metrics.DEADMAN_MISSED.set(0)
        self._health.thrives("dead-man's beat")


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_NAMED_MAX]) + (f" and {len(names) - _NAMED_MAX} more" if len(names) > _NAMED_MAX else "")
