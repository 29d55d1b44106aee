"""The bank's page, its wires in so many lines, and its policy."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from deploy.examples.bank import stepwatch_wiring
from deploy.examples.bank.outcomes import Outcome, alert_of, proof_of, verdict_of
from stepwatch.schemas.alerts import AlertRow
from stepwatch.schemas.audit import AuditRow, EvidenceRow
from stepwatch.streams.sets import load_files
from tests.examples.teller import Teller, new_teller

BANK = Path(stepwatch_wiring.__file__ or "").parent
POLICIES = sorted((BANK / "policies").glob("*.yaml"))
AT = "2026-11-24T09:15:02.120000Z"
ACTION: dict[str, Any] = {
    "tenant": "bank", "subject": "ada", "source": "/bank", "action_id": "a-1", "revision": 1, "time": AT, "arrival": AT,
    "decided_at": AT, "closes_at": AT, "action": "payments.payout.approve", "resource_id": "po-1000",
    "outcome": "success",
}  # fmt: skip


@pytest.fixture
def teller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Teller:
    teller = new_teller(tmp_path, monkeypatch)
    teller.sign_in()
    return teller


def test_the_wires_are_fewer_than_forty_lines() -> None:
    source = Path(stepwatch_wiring.__file__ or "").read_text(encoding="utf-8")
    told: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            told |= set(range(node.lineno, (node.end_lineno or 0) + 1))
    lines = [
        line
        for number, line in enumerate(source.splitlines(), 1)
        if line.strip() and number not in told and not line.strip().startswith("#")
    ]
    assert len(lines) < 40


def test_no_other_file_of_the_bank_reports_or_decides() -> None:
    calls = ("KafkaReporter(", "OtpVerifier(", "require_step_up(", "Actions(", "AsgiContext(", "LocalAssurance(")
    others = [path for path in BANK.glob("*.py") if path.name != "stepwatch_wiring.py"]
    assert [(path.name, call) for path in others for call in calls if call in path.read_text(encoding="utf-8")] == []


@pytest.mark.parametrize("command", ["check", "test"])
def test_the_banks_policy_passes_what_a_tuner_would_ask_of_it(command: str) -> None:
    from stepwatch.cli.main import app

    result = CliRunner().invoke(app, ["policy", command, *map(str, POLICIES)])
    assert result.exit_code == 0, result.output


def test_the_policy_demands_what_the_application_demands() -> None:
    (policy,) = load_files(POLICIES).at(0).requirements.values()
    asked = stepwatch_wiring.ask.keywords
    assert policy.max_age_us == stepwatch_wiring.MAX_AGE_S * 1_000_000
    assert (asked["max_age"], asked["binding"]) == ("30s", str(policy.binding))
    assert set(asked["amr_any"]) == set(policy.amr_any)


def test_a_stranger_sees_three_names_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = new_teller(tmp_path, monkeypatch).client.get("/").text
    assert re.findall(r'name="person" value="(\w+)"', page) == ["ada", "ben", "chloe"]
    assert "po-" not in page


def test_the_page_leads_from_the_qr_code_to_the_challenge(teller: Teller) -> None:
    assert "Show the QR code" in teller.client.get("/").text
    teller.post("/enrolment")
    page = teller.client.get("/").text
    assert "<svg" in page
    assert "no QR code was scanned yet" in page
    assert teller.post("/phone/scan").status_code == 204
    (shown,) = re.findall(r'id="phone-code" data-code="(\d{6})"', teller.client.get("/").text)
    assert teller.post("/enrolment/confirm", code=shown).status_code == 201
    page = teller.client.get("/").text
    assert "<svg" not in page
    assert "used; the next one in" in page
    token = teller.challenged()
    page = teller.client.get("/").text
    assert f'name="challenge" value="{token}"' in page
    assert f'value="/payouts/{teller.payout()}/prove"' in page


def test_a_second_code_generator_is_refused_while_one_works(teller: Teller) -> None:
    teller.enrol()
    assert teller.post("/enrolment").status_code == 409
    assert teller.post("/enrolment/confirm", code="123456").status_code == 409
    assert teller.post("/phone/scan").status_code == 409


def test_nothing_on_the_page_may_run_but_its_own_script(teller: Teller) -> None:
    for path in ("/", "/static/page.js", "/static/page.css", "/nowhere"):
        policy = teller.client.get(path).headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
    page = teller.client.get("/").text
    assert re.findall(r"<script(?! src=\"/static/)", page) == []
    assert re.findall(r"\son\w+=|\sstyle=|<style", page) == []
    assert re.findall(r"https?://", page) == []


def test_a_word_from_the_wire_is_text_on_the_page(teller: Teller) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    teller.outcomes.take(Outcome("alert", "k", "ada", "bad", "alert open", hostile, hostile, AT))
    page = teller.client.get("/").text
    assert hostile not in page
    assert page.count("&lt;img src=x onerror=alert(1)&gt;") == 2


def test_a_row_of_each_topic_is_said_in_a_sentence() -> None:
    verified = AuditRow(
        **ACTION, policy="bank-payout", verdict="verified", reason="step_up", verification_age_ms=3100
    ).model_dump()
    assert verdict_of(verified).why == "one-time code 3.1 s before, for this payout"
    missed = '{"verification":"v","failed":["wrong_binding"],"sentence":"one-time code given for something else"}'
    bad = {**verified, "verdict": "unverified", "reason": "wrong_binding", "nearest_miss": missed, "outcome": "denied"}
    said = verdict_of(bad)
    assert (said.title, said.clock) == ("payout po-1000 was stopped", "09:15:02")
    assert said.why == "the proof was given for something else; nearest: one-time code given for something else"
    assert verdict_of({**bad, "verdict": "blind", "reason": "source_silent"}).label == "cannot be said"
    heard = EvidenceRow(
        tenant="bank", subject="ada", source="/bank", event_id="e", type="stepup.failed", time=AT, arrival=AT,
        failure="replayed_code",
    ).model_dump()  # fmt: skip
    assert proof_of(heard).title == "a code was refused: replayed code"
    assert proof_of({**heard, "type": "approval.granted"}).title == "approval.granted"
    alert = AlertRow(
        alert_id="al_1", version=1, tenant="bank", kind="unverified_action", severity="critical", state="open",
        subject="ada", policy="bank-payout", reason="no_step_up", title="t", explanation="e", owner="o", count=1,
        first_time=AT, last_time=AT, opened_at=AT, updated_at=AT, closes_at=AT, detection_ms=1, overdue_ms=1,
    ).model_dump()  # fmt: skip
    assert (alert_of(alert).label, alert_of(alert).why) == ("alert open", "critical; e; call o")
    assert alert_of({**alert, "owner": ""}).why == "critical; e"


def test_a_later_revision_takes_the_place_of_the_one_before_and_others_see_nothing_of_it(teller: Teller) -> None:
    row = AuditRow(**ACTION, policy="bank-payout", verdict="unverified", reason="no_step_up").model_dump()
    teller.outcomes.take(verdict_of(row))
    teller.outcomes.take(verdict_of({**row, "revision": 2, "verdict": "verified", "reason": "step_up"}))
    (kept,) = teller.outcomes.of("ada")
    assert (kept.words, kept.revision) == (("verified", "step_up"), 2)
    assert teller.outcomes.of("ben") == []
    assert 'data-words="verified step_up"' in teller.client.get("/").text


def test_the_last_outcomes_are_kept_and_the_page_says_when_it_hears_no_more(teller: Teller) -> None:
    for number in range(400):
        teller.outcomes.take(Outcome("proof", str(number), "ada", "calm", "reported", "signed in", "", AT))
    assert len(teller.outcomes.of("ada")) == 300
    teller.outcomes.away = "verdicts are not read any more"
    assert "verdicts are not read any more" in teller.client.get("/").text
