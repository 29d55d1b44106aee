"""What stops a role, in words for the person who will act, with the exit status of the process."""

from __future__ import annotations

EXIT_OK = 0
EXIT_PROBLEM = 1
EXIT_CONFIGURATION = 2
EXIT_AWAY = 3
EXIT_INTERRUPTED = 130


class RoleError(Exception):
    """A role cannot go on; the message says what was expected, what came, where, and what to do.

    Attributes:
        code: stable name of the case, for log searches and tests.
        exit_status: of the process.
        retriable: whether starting again, unchanged, may help (a supervisor does so with back-off).
    """

    code = "role_failed"
    exit_status = EXIT_PROBLEM
    retriable = True


class SettingWrong(RoleError):
    """A setting names something that is not there or cannot be used."""

    code = "setting_wrong"
    exit_status = EXIT_CONFIGURATION
    retriable = False


class KafkaAway(RoleError):
    """No broker answers at the address that was configured."""

    code = "kafka_away"
    exit_status = EXIT_AWAY


class KafkaFailed(RoleError):
    """A broker answered with an error that is none of the others."""

    code = "kafka_failed"


class KafkaRefused(RoleError):
    """A broker answered, and refused us: TLS, password or permission."""

    code = "kafka_refused"
    exit_status = EXIT_CONFIGURATION
    retriable = False


class TopicsWrong(RoleError):
    """A topic is missing, or is not as contract section 2 has it."""

    code = "topics_wrong"
    exit_status = EXIT_CONFIGURATION
    retriable = False


class NotCoPartitioned(RoleError):
    """Kafka gave this worker a partition number of one input and not of another."""

    code = "not_co_partitioned"


class TakeoverRefused(RoleError):
    """The state and the inputs do not belong together; going on would lose or double records in silence."""

    code = "takeover_refused"
    exit_status = EXIT_CONFIGURATION
    retriable = False


class PositionLost(RoleError):
    """Retention deleted what was to be read next while a worker ran; the next take-over says what to do."""

    code = "position_lost"


class SweepFailed(RoleError):
    """A transaction of a former owner still hangs after the sweep (DESIGN section 7)."""

    code = "sweep_failed"


class TransactionFailed(RoleError):
    """A batch could not be committed; memory is ahead of the log, so the process ends and starts anew."""

    code = "transaction_failed"


class PoliciesRefused(RoleError):
    """The policy set to publish, or one in the topic, cannot be used."""

    code = "policies_refused"
    exit_status = EXIT_CONFIGURATION
    retriable = False


class PoliciesMoved(RoleError):
    """Somebody else has applied a policy set since one looked."""

    code = "policies_moved"


class PortTaken(RoleError):
    """The port of the health pages is in use."""

    code = "port_taken"
    exit_status = EXIT_CONFIGURATION
    retriable = False
