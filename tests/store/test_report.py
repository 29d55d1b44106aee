"""`stepwatch report`: one page about a period, which needs nothing else and believes no value."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from stepwatch.store.report_controls import CONTROLS
from stepwatch.store.report_plots import Bar, bars, by_week, stacked
from tests.cli.console import NOBODY, Finished, run
from tests.servers import ClickHouseSettings
from tests.store import book_world
from tests.store.conftest import emptied
from tests.store.rows import audit, load

PERIOD = ("--since", book_world.SINCE, "--until", book_world.UNTIL)
HOSTILE = "<script>alert(1)</script>\u202e\"'&"


@pytest.fixture(scope="module")
def env(clickhouse: ClickHouseSettings) -> Iterator[dict[str, str]]:
    """The world, and one subject with a name that is markup; Kafka is away."""
    with emptied(clickhouse) as client:
        book_world.build(client, clickhouse.database)
        load(client, "audit", audit("a-99", subject=HOSTILE, tenant="hostile", policy=HOSTILE, resource_id=HOSTILE))
        yield {
            "STEPWATCH_CLICKHOUSE_URL": clickhouse.url,
            "STEPWATCH_CLICKHOUSE_USER": clickhouse.reader_user,
            "STEPWATCH_CLICKHOUSE_PASSWORD": clickhouse.reader_password,
            "STEPWATCH_CLICKHOUSE_DATABASE": clickhouse.database,
            "STEPWATCH_KAFKA_BOOTSTRAP": NOBODY,
            "STEPWATCH_START_TIMEOUT_MS": "0",
        }


class Page(HTMLParser):
    """What a browser would load, and whether every element that opens also closes."""

    VOID = frozenset({"meta", "link", "img", "br", "wbr", "path", "rect", "circle"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loads: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        said = dict(attrs)
        self.ids += [said["id"] or ""] if "id" in said else []
        self.links += [said["href"] or ""] if tag == "a" else []
        self.loads += [value or "" for name, value in attrs if name in ("src", "srcset", "xlink:href", "data")]
        self.loads += [said["href"] or ""] if tag == "link" else []
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def report(folder: Path, env: dict[str, str], *words: str | Path) -> Finished:
    return run(folder, "report", *PERIOD, *words, **env)


def page(folder: Path, env: dict[str, str], *words: str | Path) -> str:
    """The page, of a run that went well."""
    done = report(folder, env, "--html", "page.html", *words)
    assert done.status == 0, done.err
    return (folder / "page.html").read_text(encoding="utf-8")


@pytest.mark.live
def test_the_page_loads_nothing_from_anywhere_and_runs_no_script(tmp_path: Path, env: dict[str, str]) -> None:
    text = page(tmp_path, env)
    read = Page(text)
    assert read.loads == []
    assert "script" not in read.tags
    assert re.findall(r"url\((?!#)|@import|https?://", text) == []


@pytest.mark.live
def test_a_value_that_is_markup_is_shown_and_never_obeyed(tmp_path: Path, env: dict[str, str]) -> None:
    text = page(tmp_path, env)
    assert "<script" not in text
    assert "\u202e" not in text
    assert "\\u202e" in text
    assert "<script>alert(1)</script>" in Page(text).text


@pytest.mark.live
def test_every_link_of_the_page_leads_to_a_section_of_it(tmp_path: Path, env: dict[str, str]) -> None:
    read = Page(page(tmp_path, env))
    assert {link.removeprefix("#") for link in read.links} <= set(read.ids)
    assert len(read.ids) == len(set(read.ids))
    assert {section for one in CONTROLS for section in one.sections} <= set(read.ids)


@pytest.mark.live
def test_the_first_lines_say_what_is_wrong_and_what_to_do(tmp_path: Path, env: dict[str, str]) -> None:
    text = Page(page(tmp_path, env, "--tenant", "acme")).text
    # 14 of 24 November but the one of umbrella, and the one of the 23rd that came too late.
    assert "6 of 14 actions that needed a proof had one (42.9 %). 6 had none, and of 2 nobody can tell." in text
    assert "ask about each exception by name; repair the feeds behind the blind minutes" in text
    assert "Actions in = verdicts out: yes." in text


@pytest.mark.live
def test_the_numbers_for_machines_are_those_of_the_world(tmp_path: Path, env: dict[str, str]) -> None:
    said = json.loads(report(tmp_path, env, "--json", "--tenant", "acme").out)
    wanted = {
        "actions": 21, "needed_proof": 14, "verified": 6, "unverified": 6, "blind": 2, "exempted": 2, "policy_gaps": 2,
        "dead_letters": 3, "difference": 0, "missing_revisions": 0,
    }  # fmt: skip
    assert {name: said["summary"][name] for name in wanted} == wanted
    assert (said["since"], said["until"]) == ("2026-11-23T00:00:00.000000Z", "2026-11-25T00:00:00.000000Z")
    assert len(said["answers"]["bypasses_newest_first"]["rows"]) == 6 + 2 + 2
    assert {"standard", "number", "about", "supports_evidence_for"} == set(said["controls"][0])


@pytest.mark.live
def test_the_policies_of_a_file_are_shown_and_one_that_never_fired_is_named(
    tmp_path: Path, env: dict[str, str]
) -> None:
    more = tmp_path / "more.yaml"
    more.write_text('version: 1\npolicies: [{id: never-seen, match: {action: ["no.such"]}}]\n', encoding="utf-8")
    words = ("--policy", book_world.POLICIES, "--policy", more)
    text = Page(page(tmp_path, env, *words)).text
    assert "reason: money_movement" in text
    assert "in force from the beginning" in text
    answers = json.loads(report(tmp_path, env, "--json", *words).out)["answers"]
    why = {row["policy"]: row["why"] for row in answers["policies_never_fired"]["rows"]}
    assert why == {"never-seen": "never_seen", "vault": "only_exemptions", "wire": "not_in_this_period"}


@pytest.mark.live
def test_where_the_policies_cannot_be_read_the_page_and_the_command_say_so(tmp_path: Path, env: dict[str, str]) -> None:
    done = report(tmp_path, env, "--html", "page.html")
    assert done.status == 0
    assert "the policies' text is missing: the topic stepwatch.policies could not be read" in done.err
    assert "Missing: the topic stepwatch.policies could not be read" in Page((tmp_path / "page.html").read_text()).text


@pytest.mark.live
def test_a_page_about_a_time_without_actions_says_that_and_has_no_plot(tmp_path: Path, env: dict[str, str]) -> None:
    words = ("report", "--since", "2020-01-01", "--until", "2020-01-02", "--html", "page.html")
    assert run(tmp_path, *words, **env).status == 0
    read = Page((tmp_path / "page.html").read_text())
    assert "No action that took effect needed a proof" in read.text
    assert "figure" not in read.tags


@pytest.mark.live
def test_the_page_is_readable_by_its_owner_only(tmp_path: Path, env: dict[str, str]) -> None:
    page(tmp_path, env)
    assert stat.S_IMODE((tmp_path / "page.html").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


@pytest.mark.live
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "--html FILE, or --json"),
        (["--json", "--html", "x.html"], "--html FILE, or --json"),
        (["--html", "no/such/folder.html"], "No such file"),
        (["--json", "--policy", "none.yaml"], "none.yaml"),
        (["--json", "--run", "nope"], "`stepwatch runs list`"),
    ],
)
def test_what_cannot_be_reported_is_refused_in_words(
    tmp_path: Path, env: dict[str, str], words: list[str], said: str
) -> None:
    done = report(tmp_path, env, *words)
    assert (done.status, done.out) == (2, "")
    assert said in done.err
    assert list(tmp_path.iterdir()) == []


def test_a_report_never_says_more_of_a_control_than_that_it_supports_evidence() -> None:
    more = re.compile(r"\b(complian|compl(y|ies)|certif|fulfil|meets?\b|satisf|ensures?|guarantee)", re.I)
    assert [one for one in CONTROLS if more.search(f"{one.about} {one.evidence}")] == []
    assert {one.standard.split()[0] for one in CONTROLS} == {"SOC", "ISO/IEC", "PCI", "OWASP", "NIST"}


def test_many_days_are_drawn_as_weeks_that_begin_on_monday() -> None:
    days = [("2026-11-22", {"verified": 1}), ("2026-11-23", {"verified": 2, "blind": 1}), ("2026-11-29", {"blind": 4})]
    assert by_week(days) == [("2026-11-16", {"verified": 1}), ("2026-11-23", {"verified": 2, "blind": 5})]


def test_a_plot_stacks_its_kinds_and_escapes_its_labels() -> None:
    drawn = stacked([("2026-11-24", {"verified": 3, "blind": 1})], ("verified", "blind"), 'a "title"', "actions")
    heights = [float(height) for height in re.findall(r'<rect [^>]*height="([\d.]+)"', drawn)]
    assert heights[0] == pytest.approx(3 * heights[1], rel=0.01)
    assert 'aria-label="a &#34;title&#34;"' in drawn
    assert "<b>" not in bars([Bar("<b>", 1, "<b>")], "title")
    assert bars([], "title") == stacked([], ("verified",), "title", "actions") == ""
