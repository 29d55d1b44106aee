"""The notify role on a real Kafka: each change told, also by the one who comes after a kill."""

from __future__ import annotations

from pathlib import Path

import pytest

from stepwatch.agents.settings import Settings
from tests.shell.output_roles import Sent, role, send, settings_for, stop, wait_for
from tests.store.rows import alert

pytestmark = pytest.mark.live


def sent(settings: Settings, value: bytes | None, key: bytes = b"acme/al_1", partition: int = 0) -> Sent:
    return (settings.topics.alerts, partition, key, value, [])


def told(folder: Path) -> list[str]:
    """The first word of the first line of each notice."""
    lines = (folder / "notify.out").read_text(encoding="utf-8").splitlines()
    return [line.split()[0] for line in lines if not line.startswith(" ")]


def test_each_change_is_told_once_and_the_next_process_goes_on(kafka: str, tmp_path: Path) -> None:
    settings = settings_for(kafka)
    other = alert(1, alert_id="al_2")
    send(settings, [sent(settings, alert(1)), sent(settings, other, b"acme/al_2", partition=1)])
    send(settings, [sent(settings, alert(2, count=9))], commit=False)
    with role("notify", settings, tmp_path) as process:
        wait_for(lambda: told(tmp_path) == ["OPENED", "OPENED"], process)
        send(settings, [sent(settings, alert(2, count=2)), sent(settings, alert(3, count=1))])
        wait_for(lambda: told(tmp_path) == ["OPENED", "OPENED", "WORSE"], process)
        assert stop(process) == 0
    # What only the log knows now: the count rose to 2 and fell to 1. That it is 2 again is news.
    send(settings, [sent(settings, b"no alert"), sent(settings, alert(4, count=2)), sent(settings, None)])
    with role("notify", settings, tmp_path) as process:
        wait_for(lambda: told(tmp_path) == ["OPENED", "OPENED", "WORSE", "WORSE"], process)
        assert stop(process) == 0
    assert "Traceback" not in (tmp_path / "notify.err").read_text(encoding="utf-8")


def test_an_event_that_was_not_judged_pages_once_and_not_again_after_a_restart(kafka: str, tmp_path: Path) -> None:
    settings = settings_for(kafka)

    def letter(error: str, offset: int) -> Sent:
        headers = {"error": error, "field": "", "topic": settings.topics.actions, "partition": "1"}
        headers |= {"offset": str(offset), "time": "2026-11-24T09:15:02.000000Z", "detail": "KeyError: 'x'"}
        said = [(name, value.encode()) for name, value in headers.items()]
        return (settings.topics.dead_letters, 1, b"acme/alice", b"{}", said)

    send(settings, [letter("data.action: missing", 6), letter("bug", 7)])
    send(settings, [letter("bug", 8)], commit=False)
    with role("notify", settings, tmp_path) as process:
        wait_for(lambda: told(tmp_path) == ["NOT"], process)
        assert stop(process) == 0
    send(settings, [letter("bug", 9)])
    with role("notify", settings, tmp_path) as process:
        wait_for(lambda: told(tmp_path) == ["NOT", "NOT"], process)
        assert stop(process) == 0
    text = (tmp_path / "notify.out").read_text(encoding="utf-8")
    assert f"which was NOT judged: KeyError: 'x' (2026-11-24 09:15:02 UTC, {settings.topics.actions}-1@7)" in text
    assert "stepwatch dead-letters show 1@1" in text


def test_a_kafka_that_is_away_ends_the_role_in_words(kafka: str, tmp_path: Path) -> None:
    settings = settings_for(kafka).model_copy(update={"kafka_bootstrap": "127.0.0.1:1", "start_timeout_ms": 500})
    with role("notify", settings, tmp_path) as process:
        assert process.wait(60) == 3
    text = (tmp_path / "notify.err").read_text(encoding="utf-8")
    assert "no answer from Kafka at 127.0.0.1:1" in text
    assert "Traceback" not in text
