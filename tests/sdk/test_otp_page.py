"""The example of the producer's page, run as it stands there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from stepwatch.sdk.memory import MemoryReporter
from stepwatch.sdk.otp import OtpVerifier
from tests.sdk.codes import KEY, STEP_US, Clock, code

PAGE = Path(__file__).parents[2] / "schemas" / "README.md"


def test_the_example_of_the_page_enrols_demands_verifies_and_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    section = PAGE.read_text(encoding="utf-8").split("## Step-up by one-time code")[1].split("\n## ")[0]
    (example,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OTP_KEY", KEY)
    clock, reporter = Clock(), MemoryReporter()
    names: dict[str, Any] = {"reporter": reporter}

    def code_from_form() -> str:
        clock.now_us += STEP_US
        return code(names["enrolment"], clock.now_us)

    names["code_from_form"] = code_from_form
    monkeypatch.setattr("time.time_ns", lambda: clock.now_us * 1000)
    verified_for: list[str | None] = []
    verify = OtpVerifier.verify

    def verify_and_note(otp: OtpVerifier, *args: Any, **said: Any) -> Any:
        verified_for.append(said.get("action"))
        return verify(otp, *args, **said)

    monkeypatch.setattr(OtpVerifier, "verify", verify_and_note)
    exec(compile(example, str(PAGE), "exec"), names)
    assert verified_for == ["payments.payout.approve"], "a challenge for another action is no answer"
    assert [event["type"] for event in reporter.events] == [
        "stepwatch.credential.changed",
        "stepwatch.stepup.required",
        "stepwatch.stepup.challenged",
        "stepwatch.stepup.verified",
        "stepwatch.action.performed",
    ]
    assert reporter.events[-1]["data"]["verification"] == reporter.events[-2]["data"]["verification"]
    assert "<svg" in names["page"]
