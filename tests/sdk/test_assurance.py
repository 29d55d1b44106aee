"""What this application knows of proofs from what it reported itself."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from stepwatch.schemas.times import SECOND_US
from stepwatch.sdk.assurance import VOIDS_MAX, LocalAssurance
from stepwatch.sdk.events import Source
from stepwatch.sdk.otp_events import moment
from stepwatch.sdk.stepup import StepUpNeed, require_step_up
from tests.sdk.codes import START_US, Desk, code

BANK = Source("/bank", tenant="acme")
PAYOUT = "payments.payout.approve"


def test_a_code_accepted_here_lets_the_action_pass_until_it_is_too_old() -> None:
    desk, assurance = Desk(), LocalAssurance()
    desk.otp._report_to = assurance.then(desk.events.append)
    made = desk.enrolled()

    def need() -> StepUpNeed:
        return require_step_up(
            PAYOUT,
            max_age="5m",
            subject="alice",
            session="s-1",
            tenant="acme",
            assurance=assurance,
            amr_any=["otp"],
            binding="action",
            now=desk.clock,
        )

    assert need().lacking == "no_step_up"
    result = desk.otp.verify(
        desk.challenged(action=PAYOUT), code(made, desk.clock.now_us), subject="alice", session="s-1"
    )
    desk.clock.advance(300)
    assert need().verification == result.verification
    desk.clock.advance(0.000001)
    assert need().lacking == "stale"
    assert desk.last == result.event


VERIFIED = BANK.stepup_verified(subject="alice", session="s-1", amr=["otp"], credential="c-1", time=moment(START_US))


@pytest.mark.parametrize(
    ("then", "left"),
    [
        (BANK.session_revoked(subject="alice", session="s-1", time=moment(START_US + 1)), 0),
        (BANK.session_revoked(subject="alice", session="s-1", time=moment(START_US)), 1),
        (BANK.session_revoked(subject="alice", session=None, time=moment(START_US + 1)), 0),
        (BANK.session_revoked(subject="alice", session="s-2", time=moment(START_US + 1)), 1),
        (BANK.session_revoked(subject="bob", session="s-1", time=moment(START_US + 1)), 1),
        (
            BANK.credential_changed(subject="alice", credential="c-1", change="revoked", time=moment(START_US + 1)),
            0,
        ),
        (
            BANK.credential_changed(subject="alice", credential="c-2", change="revoked", time=moment(START_US + 1)),
            1,
        ),
        (
            BANK.credential_changed(subject="alice", credential="c-1", change="updated", time=moment(START_US + 1)),
            1,
        ),
        (BANK.stepup_failed(subject="alice", failure="wrong_code", time=moment(START_US + 1)), 1),
        (BANK.heartbeat(), 1),
    ],
)
def test_what_is_revoked_takes_its_proofs_with_it(then: dict[str, Any], left: int) -> None:
    assurance = LocalAssurance()
    assurance.report(VERIFIED)
    assurance.report(then)
    assert len(assurance.proofs("acme", "alice")) == left


def test_a_login_counts_from_its_auth_time_and_without_amr_not_at_all() -> None:
    assurance = LocalAssurance()
    said: dict[str, Any] = {"subject": "alice", "session": "s-1", "time": moment(START_US)}
    assurance.report(BANK.session_started(**said))
    assert assurance.proofs("acme", "alice") == ()
    assurance.report(BANK.session_started(**said, amr=["pwd"], auth_time=START_US // SECOND_US - 59.5))
    (login,) = assurance.proofs("acme", "alice")
    assert (login.kind, login.at_us, login.time_us) == ("login", START_US - 60 * SECOND_US, START_US)
    assert assurance.proofs("other", "alice") == ()


def test_a_login_that_tells_of_a_proof_before_a_revocation_proves_nothing() -> None:
    assurance = LocalAssurance()
    assurance.report(BANK.session_revoked(subject="alice", session=None, time=moment(START_US)))
    for auth_time, left in ((START_US // SECOND_US - 1, 0), (START_US // SECOND_US, 1)):
        later = moment(START_US + 9 * SECOND_US)
        assurance.report(
            BANK.session_started(subject="alice", session="s-2", amr=["pwd"], auth_time=auth_time, time=later)
        )
        assert len(assurance.proofs("acme", "alice")) == left


def test_when_revocations_grow_too_many_the_oldest_become_one_of_everything() -> None:
    assurance = LocalAssurance()
    assurance.report(VERIFIED)
    for number in range(VOIDS_MAX):
        said = moment(START_US + 1 + number)
        assurance.report(BANK.session_revoked(subject="alice", session=f"other-{number}", time=said))
    assert len(assurance.proofs("acme", "alice")) == 1
    assurance.report(BANK.session_revoked(subject="alice", session="other", time=moment(START_US + 99)))
    assert assurance.proofs("acme", "alice") == ()


def test_a_signal_handler_may_report_in_the_middle_of_a_report() -> None:
    assurance = LocalAssurance()

    def report() -> None:
        with assurance._lock:
            assurance.report(VERIFIED)

    thread = threading.Thread(target=report, daemon=True)
    thread.start()
    thread.join(5)
    assert not thread.is_alive()
    assert len(assurance.proofs("acme", "alice")) == 1


def test_memory_is_bounded_and_who_was_heard_of_longest_ago_is_forgotten_first() -> None:
    assurance = LocalAssurance(subjects_max=2, proofs_max=2)
    for number, subject in enumerate(["alice", "bob", "alice", "alice", "carol"]):
        at = moment(START_US + number)
        assurance.report(BANK.stepup_verified(subject=subject, amr=["otp"], verification=f"v{number}", time=at))
    assert [proof.verification for proof in assurance.proofs("acme", "alice")] == ["v2", "v3"]
    assert (assurance.proofs("acme", "bob"), assurance.forgotten) == ((), 1)
