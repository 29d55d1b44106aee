"""A pre-fork server in small: the reporter is made before the fork, each process reports, all end as they should."""

from __future__ import annotations

import os
import sys

from stepwatch.sdk import KafkaReporter, Source

WORKERS = 3
EACH = 5


def main(bootstrap: str, prefix: str) -> None:
    """Report `EACH` events in the parent, before and after the fork, and in each of `WORKERS` children."""
    reporter = KafkaReporter(bootstrap, prefix=prefix, close_timeout_s=30)
    app = Source("/app")

    def report(who: str) -> None:
        for number in range(EACH):
            reporter.report(app.action_performed("a.b", subject=who, id=f"{who}-{number}"))

    report("before")
    children = []
    for number in range(WORKERS):
        child = os.fork()
        if child == 0:
            report(f"child-{number}")
            sys.exit(0 if reporter.stats.reported == EACH else 1)
        children.append(child)
    report("after")
    statuses = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    sys.exit(max(statuses))


if __name__ == "__main__":
    main(*sys.argv[1:])
