"""How a person's phone comes to hold a secret, and what it needs before it proves anything."""

from __future__ import annotations

import sys
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from stepwatch.schemas.times import SECOND_US
from stepwatch.sdk.otp import NotEnrolled, OtpCredential, OtpRules
from tests.sdk.codes import START_US, Desk, code, prove, wrong


def test_a_new_credential_proves_nothing_until_a_code_confirmed_it() -> None:
    desk = Desk()
    made = desk.otp.enrol("alice")
    assert desk.otp.credentials("alice") == []
    with pytest.raises(NotEnrolled, match="alice"):
        desk.challenged()
    assert not desk.otp.confirm("alice", made.credential, wrong(code(made, START_US)))
    assert desk.events == []
    assert desk.otp.confirm("alice", made.credential, code(made, START_US))
    assert [kept.id for kept in desk.otp.credentials("alice")] == [made.credential]
    assert desk.last["type"] == "stepwatch.credential.changed"
    assert desk.last["data"] == {"tenant": "acme", "credential": made.credential, "change": "created"}


def test_the_code_that_confirmed_a_credential_is_used_up() -> None:
    desk = Desk()
    made = desk.otp.enrol("alice")
    right = code(made, START_US)
    assert desk.otp.confirm("alice", made.credential, right)
    assert prove(desk, made, right).outcome == "replayed_code"


def test_nobody_confirms_or_revokes_anothers_credential() -> None:
    desk = Desk()
    made = desk.otp.enrol("alice")
    with pytest.raises(NotEnrolled):
        desk.otp.confirm("mallory", made.credential, code(made, START_US))
    with pytest.raises(NotEnrolled):
        desk.otp.revoke("mallory", made.credential)


@pytest.mark.parametrize(("late_us", "confirmed"), [(-1, True), (0, False)], ids=["just-in-time", "at-its-end"])
def test_an_enrolment_can_be_confirmed_until_its_time_is_over(late_us: int, confirmed: bool) -> None:
    desk = Desk(rules=OtpRules(enrolment_s=600))
    made = desk.otp.enrol("alice")
    assert made.expires_us == START_US + 600 * SECOND_US
    desk.clock.now_us = made.expires_us + late_us
    right = code(made, desk.clock.now_us)
    if confirmed:
        assert desk.otp.confirm("alice", made.credential, right)
    else:
        with pytest.raises(NotEnrolled, match="not confirmed in time"):
            desk.otp.confirm("alice", made.credential, right)
    assert len(desk.otp.credentials("alice")) == confirmed


def test_a_purge_forgets_what_was_not_confirmed_in_time_and_nothing_else() -> None:
    desk = Desk()
    kept = desk.enrolled()
    revoked = desk.enrolled("bob")
    desk.otp.revoke("bob", revoked.credential)
    late = desk.otp.enrol("carol")
    desk.clock.advance(1)
    pending = desk.otp.enrol("dora")
    desk.store.add(OtpCredential("other", "c-9", "eve", "sealed", created_us=1))
    reported = len(desk.events)
    desk.clock.now_us = late.expires_us
    assert desk.otp.purge() == 1
    assert desk.otp.purge() == 0
    assert {one.id for one in desk.store.all()} == {kept.credential, revoked.credential, pending.credential, "c-9"}
    assert len(desk.events) == reported


def test_who_enrols_again_and_again_leaves_nothing_behind_that_has_expired() -> None:
    desk = Desk()
    for _ in range(5):
        last = desk.otp.enrol("alice")
        desk.clock.now_us = last.expires_us
    assert [one.id for one in desk.store.of_subject("acme", "alice")] == [last.credential]


def test_one_that_is_confirmed_while_it_is_purged_stays() -> None:
    desk = Desk()
    made = desk.otp.enrol("alice")
    (listed,) = desk.store.all()
    assert desk.otp.confirm("alice", made.credential, code(made, START_US))
    assert not desk.store.remove(listed)
    assert len(desk.otp.credentials("alice")) == 1


@pytest.mark.parametrize("algorithm", ["SHA1", "SHA256", "SHA512"])
@pytest.mark.parametrize(("digits", "period_s"), [(6, 30), (8, 60)])
def test_the_uri_alone_makes_an_app_show_codes_that_prove(algorithm: Any, digits: Any, period_s: int) -> None:
    desk = Desk()
    made = desk.otp.enrol("alice", algorithm=algorithm, digits=digits, period_s=period_s)
    assert desk.otp.confirm("alice", made.credential, code(made, desk.clock.now_us))
    desk.clock.advance(period_s)
    assert prove(desk, made)


def test_the_uri_names_the_issuer_and_the_account_whatever_is_in_it() -> None:
    made = Desk().otp.enrol("alice", account="acme:alice @ höme/?&=")
    uri = urlsplit(made.uri)
    assert (uri.scheme, uri.netloc, uri.path) == (
        "otpauth",
        "totp",
        "/Acme%20Bank:acme%20alice%20%40%20h%C3%B6me/%3F%26%3D",
    )
    assert parse_qs(uri.query) == {"secret": [made.secret], "issuer": ["Acme Bank"]}


def test_the_qr_code_is_one_svg_element_or_lines_for_a_terminal() -> None:
    made = Desk().otp.enrol("alice")
    svg = made.qr_svg()
    assert (svg[:4], svg[-6:]) == ("<svg", "</svg>")
    assert made.secret not in svg
    lines = made.qr_terminal().splitlines()
    assert len(lines) > 15
    assert len({len(line) for line in lines}) == 1


def test_without_the_library_a_qr_code_says_which_extra_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "segno", None)
    with pytest.raises(ImportError, match=r'pip install "stepwatch\[qr\]"'):
        Desk().otp.enrol("alice").qr_svg()


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ({"algorithm": "MD5"}, "algorithm"),
        ({"digits": 5}, "digits"),
        ({"digits": 9}, "digits"),
        ({"period_s": 14}, "period_s"),
        ({"period_s": 121}, "period_s"),
        ({"account": ""}, "account"),
        ({"subject": ""}, "subject"),
        ({"subject": None}, "subject"),
    ],
)
def test_a_wrong_argument_of_an_enrolment_is_named(said: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}: "):
        Desk().otp.enrol(**{"subject": "alice", **said})
