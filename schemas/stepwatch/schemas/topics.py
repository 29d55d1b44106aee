"""The topics, their names and the settings they must have (contract section 2)."""

from __future__ import annotations

from dataclasses import dataclass, field

DAY_MS = 86_400_000
EVENT_BYTES_MAX = 256 * 1024
"""An event larger than this is a dead letter (contract section 3)."""
DEAD_LETTER_BYTES_MAX = 1_048_588 + 64 * 1024
"""Kafka's default message size and 64 KiB for the headers that say what was wrong."""
ROW_BYTES_MAX = 4 * 1024 * 1024
"""A row holds its event twice, once escaped as `event_data`, and beside it what an equally large proof said."""


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """One topic as it must be.

    Attributes:
        name: with the prefix.
        single: one partition, whatever the others have.
        config: settings that must be so.
        wished: settings that it gets when it is created or repaired, and that a worker can do without.
    """

    name: str
    single: bool = False
    config: dict[str, str] = field(default_factory=dict)
    wished: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Topics:
    """The names of all topics under one prefix."""

    prefix: str = "stepwatch."

    @property
    def actions(self) -> str:
        return self.prefix + "actions"

    @property
    def authentications(self) -> str:
        return self.prefix + "authentications"

    @property
    def responses(self) -> str:
        return self.prefix + "responses"

    @property
    def audit(self) -> str:
        return self.prefix + "audit"

    @property
    def evidence(self) -> str:
        return self.prefix + "evidence"

    @property
    def alerts(self) -> str:
        return self.prefix + "alerts"

    @property
    def notifications(self) -> str:
        return self.prefix + "notifications"

    @property
    def policies(self) -> str:
        return self.prefix + "policies"

    @property
    def state(self) -> str:
        return self.prefix + "state"

    @property
    def dead_letters(self) -> str:
        return self.prefix + "dead-letters"

    @property
    def inputs(self) -> tuple[str, str, str]:
        """What a worker's task reads, in the order actions, authentications, responses."""
        return (self.actions, self.authentications, self.responses)

    def specs(self) -> tuple[TopicSpec, ...]:
        """Every topic with the settings without which a worker refuses to start."""
        log_append = {"message.timestamp.type": "LogAppendTime"}
        # Of what we write it is wished, though the contract does not ask it: Kafka refuses records stamped more than an
        # hour ahead, so with our own stamps a worker whose clock is would die with each commit.
        rows = {"max.message.bytes": str(ROW_BYTES_MAX)}
        return (
            TopicSpec(self.actions, config=log_append),
            TopicSpec(self.authentications, config=log_append),
            TopicSpec(self.responses, config=log_append),
            TopicSpec(self.audit, config=rows, wished=log_append),
            TopicSpec(self.evidence, config=rows, wished=log_append),
            TopicSpec(
                self.alerts,
                config={**rows, "cleanup.policy": "compact", "min.compaction.lag.ms": str(7 * DAY_MS)},
                wished=log_append,
            ),
            TopicSpec(self.notifications, config={"cleanup.policy": "compact"}, wished=log_append),
            TopicSpec(
                self.policies,
                single=True,
                config={**log_append, "retention.ms": "-1", "retention.bytes": "-1"},
            ),
            TopicSpec(
                self.state,
                config={**rows, "cleanup.policy": "compact", "segment.ms": str(DAY_MS // 24)},
                wished=log_append,
            ),
            TopicSpec(self.dead_letters, config={"max.message.bytes": str(DEAD_LETTER_BYTES_MAX)}, wished=log_append),
        )
