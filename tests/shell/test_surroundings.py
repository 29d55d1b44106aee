"""What `stepwatch doctor` says of the machine that it runs on: each thing well, and wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from stepwatch.agents.checkup import CLOCK_MAX_US, clock_check
from stepwatch.agents.settings import Settings
from stepwatch.agents.surroundings import check_deadman, check_disk, check_page, check_routes, check_secrets
from stepwatch.embedded.ports import any_free


@pytest.mark.parametrize(
    ("status", "page", "words", "well"),
    [
        (200, "ready\n", "ready, says", True),
        (200, "ready\nlag: stepwatch.actions-1 is read 312 s late\n", "lag: stepwatch.actions-1 is read 312 s", False),
        (503, "kafka: no answer\npolicies: none\n", "kafka: no answer; policies: none", False),
        (500, "", "status 500", False),
    ],
)
def test_the_page_of_a_role_is_told_in_its_own_words(
    httpserver: HTTPServer, status: int, page: str, words: str, well: bool
) -> None:
    httpserver.expect_request("/readyz").respond_with_data(page, status=status)
    check = check_page("store", httpserver.host, httpserver.port, expected=False)
    assert check.words.startswith(words)
    assert (check.do == "") == well


def test_a_role_that_does_not_answer_is_wrong_only_where_it_must_run() -> None:
    port = any_free()
    assert check_page("store", "127.0.0.1", port, expected=False).do == ""
    missing = check_page("store", "127.0.0.1", port, expected=True)
    assert (missing.words.startswith("no answer from"), missing.do) == (True, "read the log of `stepwatch store`")


def test_a_file_of_a_secret_that_others_may_read_is_wrong_and_one_that_the_group_may_is_not(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("s3cret")
    settings = Settings(clickhouse_password_file=file)
    file.chmod(0o440)
    (well,) = check_secrets(settings)
    assert (well.words, well.do) == (f"closed to others: {file}", "")
    file.chmod(0o604)
    (wrong,) = check_secrets(settings)
    assert "is open to every user of this machine (mode 0604)" in wrong.words
    assert wrong.do.startswith(f"chmod o= {file}")
    (missing,) = check_secrets(Settings(clickhouse_key=tmp_path / "none", clickhouse_cert=tmp_path / "none"))
    assert "STEPWATCH_CLICKHOUSE_KEY=" in missing.words
    assert "cannot be read: No such file" in missing.words
    (key,) = check_secrets(Settings(ingest_tls_key=file, ingest_tls_cert=file))
    assert "STEPWATCH_INGEST_TLS_KEY=" in key.words
    (folder,) = check_secrets(Settings(clickhouse_password_file=tmp_path))
    assert "cannot be read: Is a directory" in folder.words


def test_a_secret_that_the_routing_file_names_is_looked_at_too(tmp_path: Path) -> None:
    routes, key, authority = tmp_path / "routes.yaml", tmp_path / "pagerduty", tmp_path / "ca.pem"
    routes.write_text(
        f"version: 1\nchannels: [{{name: pager, type: pagerduty, routing_key_file: {key}, ca_file: {authority}}}]\n"
        "routes: [{to: [pager]}]\n"
    )
    key.write_text("s3cret")
    key.chmod(0o644)
    (wrong,) = check_secrets(Settings(notify_routes=routes))
    assert f"{routes}: channels[pager].routing_key_file={key} is open to every user" in wrong.words
    key.chmod(0o400)
    (well,) = check_secrets(Settings(notify_routes=routes))
    assert (well.words, well.do) == (f"closed to others: {key}", "")


def test_the_disk_of_the_data_folder_is_told_and_a_folder_that_is_not_there_is_no_problem(tmp_path: Path) -> None:
    there = check_disk(Settings(data=tmp_path))
    assert f"GB at {tmp_path}" in there.words
    assert check_disk(Settings(data=tmp_path / "none")).do == ""


def test_no_beat_and_no_routing_file_are_told_and_are_no_problem(tmp_path: Path) -> None:
    assert check_deadman(Settings()).do == check_routes(Settings()).do == ""
    file = tmp_path / "deadman"
    file.write_text("https://hc.example/s3cret")
    well = check_deadman(Settings(deadman_url_file=file))
    assert (well.words, well.do) == ("a beat every 60 s, to an address that is not shown", "")


def test_a_routing_file_with_a_fault_is_told_with_its_complaint(tmp_path: Path) -> None:
    file = tmp_path / "routes.yaml"
    file.write_text("version: 7\n")
    check = check_routes(Settings(notify_routes=file))
    assert "routes: this key is required" in check.words
    assert "\n" not in check.words
    assert check.do.startswith("repair it; `stepwatch notify check")


def test_a_clock_that_is_off_by_more_than_five_seconds_is_wrong_either_way() -> None:
    looked_us = 11_000_000
    assert clock_check(CLOCK_MAX_US, looked_us).do == clock_check(-CLOCK_MAX_US, looked_us).do == ""
    assert clock_check(0, looked_us).words.endswith("agree to within 16 s")
    assert "5.0 s or more ahead of this machine's" in clock_check(CLOCK_MAX_US + 1, looked_us).words
    behind = clock_check(-7_500_000, looked_us)
    assert "7.5 s or more behind this machine's" in behind.words
    assert behind.do == "set both by NTP"
