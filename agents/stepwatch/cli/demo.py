"""`stepwatch demo`: everything on this machine, and a day of a small bank played on it."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from stepwatch.agents.errors import EXIT_AWAY, EXIT_INTERRUPTED
from stepwatch.cli.screen import say

if TYPE_CHECKING:
    from stepwatch.embedded.folder import DataFolder

FOLDER = "demo"
"""Below the data folder: a run never mixes with what `stepwatch up` keeps there."""
_OF_A_RUN = ("kafka", "clickhouse", "logs")


def demo(
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Data folder; the demo has a folder of its own in it, made anew each time."),
    ] = None,
    seconds: Annotated[float, typer.Option(min=10, max=600, help="In how many seconds the day is played.")] = 50,
    people: Annotated[int, typer.Option(min=20, max=2000, help="How many work at the bank.")] = 300,
    seed: Annotated[int, typer.Option(help="The same number, the same bank.")] = 7,
) -> None:
    """Play a day of a small bank: alerts as they are raised and resolved, then what it came to.

    On a terminal the servers stay up until Ctrl-C; without one it ends after the summary.

    Exit status 0 where every story ended as its script says and the tables equal a replay of the same events; else 1,
    with the difference. 3 where a server cannot be had, 130 where it was interrupted before that was known.
    """
    # As Ctrl-C: one way out, whoever asks for it and whatever is being done. A script that starts us in the background
    # has SIGINT ignored, and then nothing would end us.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _as_ctrl_c)
    try:
        status = _play(data, seconds, people, seed)
    except KeyboardInterrupt:
        status = EXIT_INTERRUPTED
    raise typer.Exit(status)


def _play(data: Path | None, seconds: float, people: int, seed: int) -> int:
    from stepwatch.cli.stack import Stack
    from stepwatch.cli.target import data_folder, read_settings
    from stepwatch.demo.policies_of import FOLDER as POLICIES
    from stepwatch.demo.run import Plan, run
    from stepwatch.demo.show import Screen

    begun = time.monotonic()
    base = read_settings()
    folder = data_folder(data, base)
    own = type(folder)(folder.path / FOLDER)
    _clear(own)
    screen = Screen()
    command, where = _command(), f"--data {shlex.quote(str(own.path))}"
    # The role's own lines go to its log; what is shown here is read from the same topic.
    stack = Stack(own.path, policies=POLICIES, apply_now=True, base=base, say=screen.hint)
    try:
        with screen.waiting("starting Apache Kafka, ClickHouse and the roles ..."):
            stack.start()
            waiting = stack.wait_ready()
        if waiting:
            for words in waiting:
                say(f"not ready after 60 s: {words}; its log is in {own.logs}")
            return EXIT_AWAY
        screen.hint(f"all up in {time.monotonic() - begun:.0f} s; the day begins\n")
        plan = Plan(
            seconds, people, seed, stay=screen.is_terminal, command=command, where=where, console=stack.console_url
        )
        status = run(stack.settings, stack.supervisor, screen, plan)
    finally:
        screen.hint("stopping ...")
        stack.stop()
    screen.hint(f"stopped; to look at the same day again: {command} up {where}")
    return status


def _command() -> str:
    """How whoever called us can call us again: `make demo` runs a command that is not on their PATH."""
    called = Path(sys.argv[0])
    found = shutil.which("stepwatch")
    if called.name != "stepwatch" or (found and Path(found).samefile(called)):
        return "stepwatch"
    return shlex.quote(os.path.relpath(called) if called.is_relative_to(Path.cwd()) else str(called))


def _clear(folder: DataFolder) -> None:
    """Remove what a former run left; refuses where one still runs.

    Raises:
        FolderTaken: another demo runs on it.
        EmbeddedError: it cannot be made or locked.
    """
    with folder.lock():
        for name in _OF_A_RUN:
            shutil.rmtree(folder.path / name, ignore_errors=True)


def _as_ctrl_c(number: int, frame: FrameType | None) -> None:
    signal.raise_signal(signal.SIGINT)
