"""A service in small, in a process of its own: it reports over HTTP with a spool, and ends as it is told."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from stepwatch.sdk import HttpReporter, Source


def main(url: str, spool: str, first: str, count: str, end: str) -> None:
    """Report `count` events with ids from `first` on, and end.

    Args:
        url: of the server.
        spool: the folder.
        first, count: of the events.
        end: `exit`: as a program ends, with time to send; `leave`: without; `fork`: the same, and children report too,
            `count` each; `spooled`: by SIGKILL once all lie on disk, how many is said on stdout; `wait`: the same, but
            whoever started it kills it; `orphan`: as `spooled`, and a child lives on until standard input ends.
    """
    reporter = HttpReporter(
        url, token="tok-0123456789", spool=Path(spool), close_timeout_s=30 if end == "exit" else 0.1
    )
    reporter.start()
    app = Source("/app")

    def report(start: int) -> None:
        for number in range(start, start + int(count)):
            reporter.report(app.action_performed("a.b", subject="alice", id=str(number)))

    report(int(first))
    if end == "fork":
        children = []
        for lot in (1, 2):
            child = os.fork()
            if child == 0:
                report(int(first) + lot * int(count))
                sys.exit(0)
            children.append(child)
        statuses = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        sys.exit(max(statuses))
    if end in ("spooled", "wait", "orphan"):
        while reporter.stats.waiting:
            time.sleep(0.01)
        if end == "orphan" and os.fork() == 0:
            sys.stdin.read()
            os._exit(0)
        print(reporter.stats.spooled, flush=True)
        if end != "wait":
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60)


if __name__ == "__main__":
    main(*sys.argv[1:])
