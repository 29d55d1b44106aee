"""`stepwatch notify mute|mutes|unmute|explain|enable` beside a running role, on a real Kafka."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live.harness import ROOT, Worker, environment
from tests.live.pager import pager
from tests.live.test_paging import ROLE, happens, row, settings_of
from tests.shell.output_roles import send
from tests.store.rows import at

pytestmark = pytest.mark.live


def test_an_operator_mutes_asks_why_ends_the_mute_and_enables_a_channel(kafka: str, tmp_path: Path) -> None:
    with pager() as counting:
        settings = settings_of(kafka, tmp_path, counting)

        def stepwatch(*words: str) -> str:
            command = [sys.executable, "-m", "stepwatch.cli.main", "notify", *words]
            env = {**environment(settings), "STEPWATCH_DATA": os.fspath(tmp_path)}
            done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
            assert done.returncode == 0, done.stderr
            return done.stdout

        muted = stepwatch("mute", "--match", "policy=policy-1", "--until", "2h", "--reason", "it moves", "--by", "olga")
        mute_id = muted.partition(":")[0]
        send(settings, [row(settings, 1), row(settings, 2)])
        worker = Worker(settings, tmp_path / "notify.log", ROLE)
        happens(lambda: counting.incidents == {"al_2": "open"}, worker, "the one that is not muted")
        assert f"muted by {mute_id}: policy=policy-1" in stepwatch("explain", "al_1")
        why = stepwatch("explain", "al_2")
        assert "pager: by route 0 (everything): open; trigger at " in why
        assert "delivered" in why
        assert "in force" in stepwatch("mutes")

        over = stepwatch("unmute", mute_id, "--by", "ivo")
        assert "ended by ivo" in over
        happens(lambda: counting.incidents.get("al_1") == "open", worker, "the one that was muted")
        assert stepwatch("mutes") == "no mutes\n"
        everything = stepwatch("mutes", "--all")
        assert "ended by ivo, it was to last until " in everything
        assert " by olga at " in everything

        send(settings, [row(settings, 2 * n, policy="policy-10", opened_at=at("09:15:02")) for n in range(10, 18)])
        storms = lambda: [key for key in counting.incidents if key.startswith("st_")]  # noqa: E731
        happens(lambda: storms() != [], worker, "a storm")
        explained = stepwatch("explain", storms()[0])
        assert "3 alerts in it now, of 3:" in explained
        assert "pager: by route 0 (everything): open; trigger at " in explained

        counting.status = 410
        send(settings, [row(settings, 3)])
        happens(lambda: "asks for nothing more" in worker.said, worker, "the channel is disabled")
        assert "disabled since" in stepwatch("explain", "al_3")
        counting.status = 202
        worker.kill()
        worker = Worker(settings, tmp_path / "notify.log", ROLE)
        stepwatch("enable", "pager", "--reason", "it is back", "--by", "olga")
        happens(lambda: counting.incidents.get("al_3") == "open", worker, "what waited")
        assert set(counting.rings.values()) == {1}
        assert worker.stop() == 0
