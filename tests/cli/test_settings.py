"""`stepwatch settings` and `stepwatch version`."""

from __future__ import annotations

from pathlib import Path

from stepwatch.agents.settings import Settings
from tests.cli.console import on_terminal, run


def test_every_setting_is_listed_with_variable_default_and_meaning(tmp_path: Path) -> None:
    done = run(tmp_path, "settings", "--json")
    assert done.status == 0
    assert [row["name"] for row in done.rows] == list(Settings.model_fields)
    assert all(row["meaning"] and row["variable"] == "STEPWATCH_" + row["name"].upper() for row in done.rows)
    partitions = next(row for row in done.rows if row["name"] == "partitions")
    assert (partitions["default"], partitions["set"]) == (4, None)


def test_what_is_set_here_is_shown_and_passwords_are_not(tmp_path: Path) -> None:
    done = run(tmp_path, "settings", STEPWATCH_PARTITIONS="8", STEPWATCH_KAFKA_SASL_PASSWORD="hush")
    assert "STEPWATCH_PARTITIONS   default: 4\n" in done.out
    assert "    set here: 8\n" in done.out
    assert "hush" not in done.out
    assert "    set here: *****\n" in done.out


def test_the_list_of_settings_fits_a_narrow_terminal(tmp_path: Path) -> None:
    said = on_terminal(tmp_path, "settings", columns=80, NO_COLOR="1")
    assert max(map(len, said.splitlines())) <= 80


def test_the_version_is_said_by_command_and_by_option(tmp_path: Path) -> None:
    by_command, by_option = run(tmp_path, "version"), run(tmp_path, "--version")
    assert by_command == by_option
    assert by_command.out.startswith("stepwatch ")


def test_without_words_the_console_says_what_commands_there_are(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.status == 2
    said = done.out + done.err
    for command in ("replay", "policy", "up", "send", "sql", "topics", "correlate", "store", "notify", "settings"):
        assert f"\n  {command} " in said
