"""How late this worker is, as a metric and in the words of /readyz: in reading, and in saying what is due."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from stepwatch.agents import metrics
from stepwatch.agents.health import Health
from stepwatch.agents.task import PartitionTask

LAG_MAX_S = 60.0
OVERDUE_MAX_S = 30.0
"""A pulse is written every 250 ms, and again 5 s after one that was not read back."""
LOOK_S = 1.0


class Lateness:
    """Looks at the partitions of this worker from time to time."""

    def __init__(self, health: Health, tasks: Callable[[], Iterable[PartitionTask]]) -> None:
        """A watcher of the tasks that are surely ours when it looks."""
        self._health = health
        self._tasks = tasks

    async def look(self) -> None:
        """Measure, and say what is late; to be called every second."""
        tasks = list(self._tasks())
        overdue = {task.partition: task.pulse.overdue_s() for task in tasks}
        for partition, by_s in overdue.items():
            metrics.OVERDUE.labels(partition).set(by_s)
        lags = {(topic, task.partition): lag_s for task in tasks for topic, lag_s in task.lags_s.items()}
        self._say("lag", behind(lags))
        self._say("overdue", due(overdue))

    def _say(self, part: str, words: str) -> None:
        if words:
            self._health.suffers(part, words)
        else:
            self._health.thrives(part)


def behind(lags_s: dict[tuple[str, int], float]) -> str:
    """What is read late, in words; `""` where nothing is.

    Args:
        lags_s: (topic, partition) -> by how much, s.
    """
    if not lags_s:
        return ""
    (topic, partition), lag_s = max(lags_s.items(), key=lambda one: one[1])
    if lag_s <= LAG_MAX_S:
        return ""
    return (
        f"{topic}-{partition} is read {lag_s:.0f} s late, so alerts come that much later; if it does not shrink, add a "
        "worker, up to one for each partition"
    )


def due(overdue_s: dict[int, float]) -> str:
    """Which decisions are overdue, in words; `""` where none is.

    Args:
        overdue_s: partition -> for how long, s.
    """
    if not overdue_s:
        return ""
    partition, by_s = max(overdue_s.items(), key=lambda one: one[1])
    if by_s <= OVERDUE_MAX_S:
        return ""
    return (
        f"a decision of partition {partition} is due for {by_s:.0f} s, and no pulse is read back: see that this user "
        "may write to the inputs, and that their leaders are well"
    )
