"""Secrets at rest: unreadable in the store, opened for what they were sealed for only, and moved to new keys."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from stepwatch.sdk.otp import FernetSecrets, OtpVerifier, SealBroken, SqliteOtpStore
from tests.sdk.codes import KEY, SHOP, Desk, code

OTHER_KEY = FernetSecrets.new_key()


def test_what_was_sealed_is_opened_for_the_same_purpose() -> None:
    secrets = FernetSecrets([KEY])
    assert secrets.open("a", secrets.seal("a", b"\x00plain\xff")) == b"\x00plain\xff"


def test_the_same_sealed_twice_looks_different() -> None:
    secrets = FernetSecrets([KEY])
    assert secrets.seal("a", b"plain") != secrets.seal("a", b"plain")


@pytest.mark.parametrize(("sealed_as", "opened_as"), [("a", "b"), ("ab", "a"), ("a", "ab"), ("a", "")])
def test_what_was_sealed_for_one_purpose_is_opened_for_no_other(sealed_as: str, opened_as: str) -> None:
    secrets = FernetSecrets([KEY])
    with pytest.raises(SealBroken, match="not sealed as"):
        secrets.open(opened_as, secrets.seal(sealed_as, b"b plain"))


@pytest.mark.parametrize(
    "change",
    [lambda s: s[:-2], lambda s: s[:20] + ("B" if s[20] == "A" else "A") + s[21:], lambda s: "", lambda s: "\ud800é"],
)
def test_what_was_changed_is_not_opened(change: Callable[[str], str]) -> None:
    secrets = FernetSecrets([KEY])
    with pytest.raises(SealBroken):
        secrets.open("a", change(secrets.seal("a", b"plain")))


@pytest.mark.parametrize(
    ("keys", "named"), [([], "keys"), (KEY, "keys"), (["short"], r"keys\[0\]"), ([KEY, "x" * 44], r"keys\[1\]")]
)
def test_what_is_no_list_of_keys_is_refused_without_showing_a_key(keys: list[str], named: str) -> None:
    with pytest.raises(ValueError, match=named) as refused:
        FernetSecrets(keys)
    assert not any(key in str(refused.value) for key in (KEY, "short", "x" * 44))


def test_the_file_of_the_store_holds_no_secret_in_any_writing(tmp_path: Path) -> None:
    path = tmp_path / "otp.db"
    made = Desk(store=SqliteOtpStore(path)).enrolled()
    raw = base64.b32decode(made.secret)
    for writing in (made.secret.encode(), raw, raw.hex().encode(), base64.b64encode(raw)):
        assert writing not in path.read_bytes()


def test_a_secret_put_in_anothers_place_by_who_can_write_the_store_proves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "otp.db"
    desk = Desk(store=SqliteOtpStore(path))
    desk.enrolled("alice")
    mallorys = desk.enrolled("mallory")
    with sqlite3.connect(path) as database:
        database.execute(
            "UPDATE otp_credentials SET sealed = (SELECT sealed FROM otp_credentials WHERE subject = 'mallory')"
        )
    database.close()
    with pytest.raises(SealBroken):
        desk.otp.verify(desk.challenged(), code(mallorys, desk.clock.now_us), subject="alice", session="s-1")


ROTATION = [[KEY], [KEY, OTHER_KEY], [OTHER_KEY, KEY], [OTHER_KEY]]
"""The keys of a process at each step of `FernetSecrets`; the store is resealed between the last two."""


@pytest.mark.parametrize("step", range(3))
def test_while_keys_are_rotated_a_process_opens_what_one_of_the_step_before_or_after_sealed(step: int) -> None:
    before, after = (FernetSecrets(keys) for keys in ROTATION[step : step + 2])
    assert before.open("a", after.seal("a", b"plain")) == b"plain"
    sealed = before.seal("a", b"plain")
    assert after.open("a", before.reseal(sealed) if step == 2 else sealed) == b"plain"


def test_the_order_of_a_rotation_is_said_and_a_new_key_goes_to_the_end_first() -> None:
    said = " ".join((FernetSecrets.__doc__ or "").split())
    order = ["at the end", "in front", "reseal", "challenge_s", "take the old key away"]
    assert sorted(order, key=said.index) == order


def test_keys_are_rotated_by_a_new_one_in_front_and_a_reseal() -> None:
    desk = Desk()
    made = desk.enrolled()
    gone = desk.otp.enrol("bob")
    desk.otp.revoke("bob", gone.credential)

    def verifier(*keys: str) -> OtpVerifier:
        return OtpVerifier(
            source=SHOP,
            report=desk.events.append,
            store=desk.store,
            secrets=FernetSecrets(keys),
            issuer="Acme Bank",
            now=desk.clock,
        )

    def proves(otp: OtpVerifier) -> bool:
        desk.clock.advance(30)
        token = otp.challenge("alice", reason="new_payee").token
        return bool(otp.verify(token, code(made, desk.clock.now_us), subject="alice"))

    with pytest.raises(SealBroken):
        proves(verifier(OTHER_KEY))
    both = verifier(OTHER_KEY, KEY)
    assert proves(both)
    assert both.reseal() == 1
    assert proves(verifier(OTHER_KEY))
    with pytest.raises(SealBroken):
        proves(verifier(KEY))
