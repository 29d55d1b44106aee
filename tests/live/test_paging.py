"""The role `notify` with a routing file on a real Kafka: one incident for each alert, whatever dies or fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from stepwatch.agents.settings import Settings
from stepwatch.notifiers.ledger import read_told
from tests.faults.notify_points import POINTS
from tests.live.harness import Worker, read, until
from tests.live.pager import Pager, pager, routes_file
from tests.shell.output_roles import Sent, send, settings_for
from tests.store.rows import alert, at

pytestmark = pytest.mark.live

ROLE = "stepwatch.cli.main notify"


def row(settings: Settings, number: int, version: int = 1, **columns: object) -> Sent:
    said = {"alert_id": f"al_{number}", "policy": f"policy-{number}", **columns}
    return (settings.topics.alerts, number % 2, f"acme/al_{number}".encode(), alert(version, **said), [])


def happens(what: Callable[[], bool], worker: Worker, words: str) -> None:
    """Wait until something is so."""

    async def look() -> bool:
        assert worker.process.poll() is None, worker.said
        return what()

    asyncio.run(until(look, 60, words))


def settings_of(kafka: str, folder: Path, counting: Pager) -> Settings:
    return settings_for(kafka, notify_routes=routes_file(folder, counting), data=folder)


def test_a_storm_and_its_end_on_a_real_kafka_ring_a_handful_of_times(kafka: str, tmp_path: Path) -> None:
    with pager() as counting:
        settings = settings_of(kafka, tmp_path, counting)
        same = {"policy": "payout-approve", "opened_at": at("09:15:02")}
        send(settings, [row(settings, number, **same) for number in range(300)])
        worker = Worker(settings, tmp_path / "notify.log", ROLE)

        def recorded() -> bool:
            found = asyncio.run(read(settings, settings.topics.notifications))
            told = {(one.channel, one.key) for one in (read_told(record.value) for record in found)}
            return len([key for _, key in told if key.startswith("al_")]) == 300

        async def look() -> bool:
            return await asyncio.to_thread(recorded)

        asyncio.run(until(look, 60, "300 alerts on record"))
        happens(lambda: len(counting.incidents) == 7, worker, "five incidents and one for each partition")
        send(
            settings,
            [row(settings, n, 2, state="resolved", resolved_by="late_verification", **same) for n in range(300)],
        )
        happens(lambda: set(counting.incidents.values()) == {"resolved"}, worker, "all taken back")
        assert set(counting.rings.values()) == {1}
        assert {key for step, key in counting.steps if step == "resolve"} == set(counting.incidents)
        assert worker.stop() == 0
        assert "Traceback" not in worker.said


@pytest.mark.parametrize("point", POINTS)
def test_a_process_killed_at_a_named_point_leaves_one_incident_for_each_alert(
    kafka: str, tmp_path: Path, point: str
) -> None:
    with pager() as counting:
        settings = settings_of(kafka, tmp_path, counting)
        send(settings, [row(settings, number) for number in range(4)])
        for times in (1, 2):
            mortal = Worker(settings, tmp_path / "notify.log", f"tests.faults.notify_points {point}={times}")
            assert mortal.wait() == -9, mortal.said
        # One is over while nobody runs.
        send(settings, [row(settings, 0, 2, state="resolved", resolved_by="revision")])
        worker = Worker(settings, tmp_path / "notify.log", ROLE)
        wanted = {"al_1": "open", "al_2": "open", "al_3": "open"}
        happens(lambda: wanted.items() <= counting.incidents.items(), worker, "the incidents")
        happens(lambda: counting.incidents.get("al_0", "resolved") == "resolved", worker, "the retraction")
        assert set(counting.incidents) <= {"al_0", *wanted}
        assert set(counting.rings.values()) == {1}
        assert worker.stop() == 0


@pytest.mark.parametrize("status", [0, 429, 500])
def test_a_receiver_that_fails_for_a_while_has_one_incident_in_the_end(kafka: str, tmp_path: Path, status: int) -> None:
    with pager() as counting:
        counting.status = status
        settings = settings_of(kafka, tmp_path, counting)
        send(settings, [row(settings, number) for number in range(2)])
        worker = Worker(settings, tmp_path / "notify.log", ROLE)
        happens(lambda: "did not take al_" in worker.said, worker, "a failure in the log")
        counting.status = 202
        happens(lambda: set(counting.incidents.values()) == {"open"} and len(counting.incidents) == 2, worker, "both")
        assert set(counting.rings.values()) == {1}
        assert worker.stop() == 0
        assert "0123456789abcdef" not in worker.said


def test_two_processes_share_the_partitions_and_one_goes_on_for_the_other(kafka: str, tmp_path: Path) -> None:
    with pager() as counting:
        settings = settings_of(kafka, tmp_path, counting)
        first = Worker(settings, tmp_path / "first.log", ROLE)
        second = Worker(settings, tmp_path / "second.log", ROLE)
        both = lambda: all("took over" in worker.said for worker in (first, second))  # noqa: E731
        happens(both, first, "a partition for each")
        send(settings, [row(settings, number) for number in range(4)])
        happens(lambda: len(counting.incidents) == 4, first, "four incidents")
        first.kill()
        send(settings, [row(settings, number, 2, state="resolved", resolved_by="revision") for number in range(4)])
        happens(lambda: set(counting.incidents.values()) == {"resolved"}, second, "four retractions")
        assert set(counting.rings.values()) == {1}
        assert second.stop() == 0


def test_an_event_that_was_not_judged_pages_once_also_after_a_kill(kafka: str, tmp_path: Path) -> None:
    with pager() as counting:
        settings = settings_of(kafka, tmp_path, counting)

        def letter(offset: int) -> Sent:
            headers = {"error": "bug", "field": "", "topic": settings.topics.actions, "partition": "1"}
            headers |= {"offset": str(offset), "time": at("09:15:02"), "detail": "KeyError: 'x'"}
            said = [(name, value.encode()) for name, value in headers.items()]
            return (settings.topics.dead_letters, 1, b"acme/alice", b"{}", said)

        send(settings, [letter(7)])
        mortal = Worker(settings, tmp_path / "notify.log", "tests.faults.notify_points after_send=1")
        assert mortal.wait() == -9, mortal.said
        send(settings, [letter(8)])
        worker = Worker(settings, tmp_path / "notify.log", ROLE)
        happens(lambda: len(counting.incidents) == 2, worker, "two incidents")
        assert set(counting.rings.values()) == {1}
        assert worker.stop() == 0


def test_a_channel_that_left_the_file_with_an_open_incident_is_named_until_it_is_put_back(
    kafka: str, tmp_path: Path
) -> None:
    with pager() as counting:
        settings = settings_of(kafka, tmp_path, counting)
        send(settings, [row(settings, 1)])
        worker = Worker(settings, tmp_path / "notify.log", ROLE)
        happens(lambda: counting.incidents == {"al_1": "open"}, worker, "the incident")
        assert worker.stop() == 0
        with_pager = (tmp_path / "routes.yaml").read_text()
        (tmp_path / "routes.yaml").write_text(with_pager.replace("name: pager", "name: other").replace("[pager]", "[]"))
        worker = Worker(settings, tmp_path / "notify.log", ROLE)
        words = "channel pager: it is not in the file, and 1 incidents are open there: put it back until they are over"
        happens(lambda: words in worker.said, worker, "what is open there")
        send(settings, [row(settings, 1, 2, state="resolved", resolved_by="revision")])
        assert worker.stop() == 0
        (tmp_path / "routes.yaml").write_text(with_pager)
        worker = Worker(settings, tmp_path / "notify.log", ROLE)
        happens(lambda: counting.incidents == {"al_1": "resolved"}, worker, "its end")
        assert worker.stop() == 0


def test_a_routing_file_that_is_wrong_ends_the_role_in_words(kafka: str, tmp_path: Path) -> None:
    with pager() as counting:
        settings = settings_of(kafka, tmp_path, counting)
        (tmp_path / "routes.yaml").write_text("version: 1\nchannels: [{name: a, type: console}]\nroutes: [{to: [b]}]\n")
        worker = Worker(settings, tmp_path / "notify.log", ROLE)
        assert worker.wait() == 2
        assert "routes.yaml:3: routes[0].to[0]: b: no such channel; there are a" in worker.said
        assert "Traceback" not in worker.said
