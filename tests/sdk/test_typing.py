"""Users' code type-checks, and a wrong call does not: mypy, strict, over what they would write."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.sdk import typed_use

ROOT = Path(__file__).resolve().parents[2]
WRONG = {
    'bank.action_performed("a.b")': 'Missing named argument "subject"',
    'bank.action_performed("a.b", subject=7)': 'Argument "subject"',
    'bank.action_performed("a.b", subject="a", outcome="sucess")': 'Argument "outcome"',
    'bank.action_performed("a.b", subject="a", sesion="s")': 'Unexpected keyword argument "sesion"',
    'bank.stepup_verified(subject="a")': 'Missing named argument "amr"',
    'bank.stepup_failed(subject="a", failure="wrong")': 'Argument "failure"',
    'bank.session_revoked(subject="a")': 'Missing named argument "session"',
    'bank.credential_changed(subject="a", credential="k", change="made")': 'Argument "change"',
    'bank.stepup_denied(subject="a", time="2026-01-01T00:00:00Z")': 'Argument "time"',
    'Resource("payout", "po_1", "hgih")': "Argument 3",
    'Decision("maybe")': "Argument 1",
    'KafkaReporter("k:9092", event_max=5)': 'Unexpected keyword argument "event_max"',
    'HttpReporter("https://h", tokn="t")': 'Unexpected keyword argument "tokn"',
    'HttpReporter("https://h", token=b"t")': 'Argument "token"',
    "MemoryReporter().report(7)": "Argument 1",
    'approve("po_1", "much")': "Argument 2",
    'actions.performing("a.b", subject="a", outcom="x")': 'Unexpected keyword argument "outcom"',
}


def mypy(path: Path) -> str:
    command = [sys.executable, "-m", "mypy", "--config-file", "pyproject.toml", "--no-error-summary", str(path)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=250, check=False).stdout


def test_what_users_write_type_checks() -> None:
    assert typed_use.__file__ is not None
    assert mypy(Path(typed_use.__file__)) == ""


def test_every_wrong_call_is_an_error_at_its_line(tmp_path: Path) -> None:
    head = (
        "from stepwatch.sdk import Decision, HttpReporter, KafkaReporter, MemoryReporter, Resource\n"
        "from tests.sdk.typed_use import actions, approve, bank\n"
    )
    path = tmp_path / "wrong.py"
    path.write_text(head + "\n".join(WRONG) + "\n")
    lines = mypy(path).splitlines()
    for number, (call, expected) in enumerate(WRONG.items(), head.count("\n") + 1):
        said = [line for line in lines if f"wrong.py:{number}: error" in line]
        assert any(expected in line for line in said), (call, said)
