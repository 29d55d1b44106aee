"""Report to Stepwatch's HTTP API from any program, synchronous or not, without ever waiting for it."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from stepwatch.sdk.background import BackgroundReporter, check_positive
from stepwatch.sdk.events import Source
from stepwatch.sdk.reporter import OnDrop

if TYPE_CHECKING:
    from pathlib import Path
    from ssl import SSLContext

    from stepwatch.sdk.sender_thread import Sends


class HttpReporter(BackgroundReporter):
    """Takes events over and posts them to `stepwatch ingest` from threads of its own.

    To an application it is what `KafkaReporter` is: the same calls, the same bounds, the same account. With a `spool`,
    what waits goes to the disk as soon as a request has failed, and from there to the server once it is back, before
    all that is newer; also after a restart of the process, which begins with its first report or `start`.

    Processes may share a spool's folder: each has a lane of its own in it, and one that has nothing to send takes over
    what a process left behind that is gone.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        token_file: str | Path | None = None,
        spool: str | Path | None = None,
        spool_bytes_max: int = 256 * 1024 * 1024,
        heartbeat: Source | None = None,
        heartbeat_every_s: float = 30.0,
        events_max: int = 100_000,
        bytes_max: int = 64 * 1024 * 1024,
        on_drop: OnDrop | None = None,
        log_every_s: float = 60.0,
        close_timeout_s: float = 5.0,
        timeout_s: float = 10.0,
        ssl_context: SSLContext | None = None,
    ) -> None:
        """Make one; nothing is connected yet.

        Args:
            url: where `stepwatch ingest` is: `https://host:port`. Over `http` the token is there for all to read.
            token: of `stepwatch token create`; shown nowhere.
            token_file: or the file that holds it, read for each request, so that it may be renewed there.
            spool: folder for what waits while the server is away, made where it is missing; on a local disk. Without
                it all waits in memory, and is lost with the process.
            spool_bytes_max: of each process's files in it; what does not fit waits in memory.
            heartbeat, heartbeat_every_s, on_drop, log_every_s, close_timeout_s: as of `KafkaReporter`.
            events_max, bytes_max: the same, of what is held in memory.
            timeout_s: for a connection, and again for a request and its whole answer; not for finding the name.
            ssl_context: of `https`, where the system's authorities are not yours, or a client certificate is needed.

        Raises:
            ValueError: an argument is wrong; it is named.
            OSError: the spool's folder cannot be made.
            ImportError: `stepwatch[sdk]` is not installed.
        """
        check_positive(spool_bytes_max=spool_bytes_max, timeout_s=timeout_s)
        if find_spec("urllib3") is None:
            raise ImportError('reporting over HTTP needs urllib3: pip install "stepwatch[sdk]"')
        # Here, not when this module is imported: they take longer than all the rest. And not in the thread, where a
        # fork could find them half done.
        from stepwatch.sdk import held, http_client, http_sending

        self._client = http_client.HttpClient(
            url, token=token, token_file=token_file, timeout_s=timeout_s, connections=1, ssl_context=ssl_context
        )
        self._spool = None if spool is None else _made(spool)
        self._spool_bytes_max = spool_bytes_max
        self._holding, self._sending = held, http_sending
        super().__init__(
            "Stepwatch",
            heartbeat=heartbeat,
            heartbeat_every_s=heartbeat_every_s,
            events_max=events_max,
            bytes_max=bytes_max,
            on_drop=on_drop,
            log_every_s=log_every_s,
            close_timeout_s=close_timeout_s,
        )

    def __repr__(self) -> str:
        return f"HttpReporter({self._client.at!r})"

    def _begin(self) -> None:
        super()._begin()
        self._held = self._holding.Held(self._backlog, self._spool, self._spool_bytes_max)

    def _new_sender(self) -> Sends:
        return self._sending.HttpSender(self._client, self._held, self._backlog)

    def _keep_rest(self) -> None:
        self._held.keep_rest()

    def _leave_to_parent(self) -> None:
        self._held.release()


def _made(spool: str | Path) -> Path:
    from pathlib import Path

    if find_spec("fcntl") is None:
        raise ValueError("spool: needs the file locks of POSIX, which this system has not")
    folder = Path(spool)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
