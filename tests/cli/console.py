"""The console command as a process of its own, and small files of events for it."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, "-m", "stepwatch.cli.main")
NOBODY = "127.0.0.1:1"
"""An address at which no server answers."""
POLICY = """\
version: 1
policies:
  - id: payout
    match: {action: ["payments.payout.*"]}
    require: {amr_any: [hwk], max_age: 5m}
    exempt: {when: "subject.startsWith('svc-')"}
"""


@dataclass(frozen=True)
class Finished:
    """A command that has ended."""

    status: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Standard output as one JSON object a line."""
        return [json.loads(line) for line in self.out.splitlines()]


def environment(folder: Path, **more: str) -> dict[str, str]:
    """An environment without any setting of whoever runs the tests, and without their data folder."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("STEPWATCH_")}
    return {**ours, "STEPWATCH_DATA": str(folder / "no-data"), "COLUMNS": "100", **more}


def run(folder: Path, *args: str | Path, stdin: bytes | None = None, timeout: float = 60, **env: str) -> Finished:
    """Run `stepwatch` with these words in a folder, and wait for it."""
    done = subprocess.run(
        [*COMMAND, *map(str, args)],
        cwd=folder,
        env=environment(folder, **env),
        input=stdin if stdin is not None else b"",
        capture_output=True,
        timeout=timeout,
        check=False,
    )
    return Finished(done.returncode, done.stdout.decode(), done.stderr.decode())


def on_terminal(folder: Path, *args: str | Path, columns: int = 80, **env: str) -> str:
    """What the command writes to standard output when that is a terminal."""
    ours, theirs = pty.openpty()
    try:
        process = subprocess.Popen(
            [*COMMAND, *map(str, args)],
            cwd=folder,
            env=environment(folder, **{"COLUMNS": str(columns), "TERM": "xterm", **env}),
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=subprocess.PIPE,
        )
        os.close(theirs)
        said = b""
        while True:
            try:
                more = os.read(ours, 65536)
            except OSError:  # how Linux says that the other end is closed
                break
            if not more:
                break
            said += more
        assert process.wait(60) == 0
        assert process.stderr is not None
        process.stderr.close()
        return said.decode().replace("\r\n", "\n")
    finally:
        os.close(ours)


def event(kind: str, id: str, at: str, *, subject: str = "alice", source: str = "/app", **data: Any) -> dict[str, Any]:
    """One event of 24 November 2026; `data` has session `s1` unless said otherwise."""
    return {
        "specversion": "1.0",
        "id": id,
        "source": source,
        "type": f"stepwatch.{kind}",
        "time": f"2026-11-24T{at}Z",
        "subject": subject,
        "data": {"session": "s1", **data},
    }


def payout(id: str, at: str, **more: Any) -> dict[str, Any]:
    """A payout approved."""
    return event("action.performed", id, at, action="payments.payout.approve", **more)


def write_events(path: Path, *events: dict[str, Any] | str) -> Path:
    """Write one event a line; a text is a line as it is."""
    lines = [one if isinstance(one, str) else json.dumps(one, ensure_ascii=False) for one in events]
    path.write_text("".join(line + "\n" for line in lines))
    return path


def write_policy(folder: Path, text: str = POLICY, name: str = "policy.yaml") -> Path:
    """Write a policy file."""
    path = folder / name
    path.write_text(text)
    return path
