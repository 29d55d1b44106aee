"""The stand-in worker in many small transactions, which tells what hangs in its outputs before the sweep.

python -m tests.faults.swept [unswept]      with `unswept` it leaves the sweep out: what that is good for
"""

from __future__ import annotations

import sys
from typing import Any

from aiokafka import TopicPartition

from stepwatch.agents import takeover
from stepwatch.agents.clients import close_client, open_reader
from stepwatch.agents.logs import get_logger
from stepwatch.agents.transaction import Transaction
from tests.live import standin

HANGS = "hangs before the sweep"
log = get_logger(__name__)
_plain = takeover._sweep


async def _told_sweep(settings: Any, transaction: Transaction, committed: Any) -> None:
    outputs = [TopicPartition(topic, transaction.partition) for topic in transaction.outputs]
    uncommitted = await open_reader(settings, outputs, isolation_level="read_uncommitted")
    try:
        ends, stable = await uncommitted.end_offsets(outputs), await committed.end_offsets(outputs)
    finally:
        await close_client(uncommitted)
    if found := sorted(tp.topic.removeprefix(settings.prefix) for tp in outputs if stable[tp] < ends[tp]):
        log.warning(HANGS, partition=transaction.partition, outputs=" ".join(found))
    if "unswept" not in sys.argv:
        await _plain(settings, transaction, committed)


if __name__ == "__main__":
    takeover._sweep = _told_sweep
    sys.exit(standin.main())
