"""Commands and roles as processes, several at once, and what a refused one must and must not say."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from typing import NamedTuple

from stepwatch.agents.settings import Settings
from tests.live.harness import ROOT, environment
from tests.wire.listeners import Secrets

PATIENCE_MS = 600_000
"""What a client is told to wait while Kafka is away: one that waited for a refusal to pass would be found hanging."""
_HANGS_S = 60


class Ended(NamedTuple):
    """What became of a process."""

    argv: str
    status: int
    out: str
    err: str


def run_all(*runs: tuple[Settings, str | Sequence[str], dict[str, str]]) -> list[Ended]:
    """Run commands of the console at once: each with settings, words, and variables beside them."""
    started = []
    for settings, words, env in runs:
        argv = words.split() if isinstance(words, str) else list(words)
        process = subprocess.Popen(
            [sys.executable, "-m", "stepwatch.cli.main", *argv],
            cwd=ROOT,
            env={**environment(settings), **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append((" ".join(argv), process))
    ended = []
    try:
        for argv, process in started:
            try:
                out, err = process.communicate(timeout=_HANGS_S)
            except subprocess.TimeoutExpired as hangs:
                process.kill()
                said = "".join(map(str, process.communicate()))
                raise AssertionError(f"stepwatch {argv} did not end in {_HANGS_S} s; it said: {said}") from hangs
            ended.append(Ended(argv, process.returncode, out, err))
    finally:
        for _, process in started:
            process.kill()
    return ended


def run(settings: Settings, words: str | Sequence[str], **env: str) -> Ended:
    """Run one command."""
    [ended] = run_all((settings, words, env))
    return ended


def assert_refused(
    settings: Settings,
    known: Secrets,
    *words: str,
    command: str | Sequence[str] = "topics create",
    role: str | None = None,
) -> None:
    """A command ends at once with status 2, one sentence of these words, and no secret.

    So does a role, where one is named: at log level debug, at which the most is said.
    """
    patient = settings.model_copy(update={"start_timeout_ms": PATIENCE_MS})
    debug = {"STEPWATCH_LOG_LEVEL": "debug"}
    ended = run_all((patient, command, {}), *([(patient, role, debug)] if role else []))
    for one in ended:
        assert one.status == 2, one
        assert not known.told_by(one.out + one.err), one
        said = [line for line in one.err.splitlines() if all(word in line for word in words)]
        assert len(said) == 1, (words, one)
    assert len(ended[0].err.splitlines()) == 1, ended[0]
    assert ended[0].out == "", ended[0]
