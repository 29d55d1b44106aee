"""The stores: what they keep, and that one code is accepted once, however many submit it at once."""

from __future__ import annotations

import multiprocessing
import os
import stat
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from stepwatch.sdk.otp import MemoryOtpStore, OtpCredential, OtpStore, SqliteOtpStore
from tests.sdk.codes import Desk, code, wrong
from tests.sdk.submitters import at_once, submit_codes

AT_ONCE = 50
ALICES = OtpCredential("acme", "c-1", "alice", "sealed", created_us=7)


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> OtpStore:
    return MemoryOtpStore() if request.param == "memory" else SqliteOtpStore(tmp_path / "otp.db")


def test_what_was_added_is_read_back_whole(store: OtpStore) -> None:
    whole = OtpCredential("acme", "c-9", "bob", "x", "SHA512", 8, 60, "active", 1, 2, 3, 4, 5)
    store.add(whole)
    assert store.get("acme", "c-9") == whole
    assert store.get("acme", "c-1") is None
    assert list(store.all()) == [whole]


def test_a_file_that_would_be_another_empty_one_at_each_call_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^path: .*MemoryOtpStore"):
        SqliteOtpStore(":memory:")


def test_an_id_that_is_taken_is_refused_and_the_same_id_of_another_tenant_is_not(store: OtpStore) -> None:
    store.add(ALICES)
    with pytest.raises(KeyError, match="c-1"):
        store.add(replace(ALICES, subject="mallory"))
    store.add(replace(ALICES, tenant="other", subject="bob"))
    assert store.get("acme", "c-1") == ALICES


def test_a_swap_succeeds_once_for_each_version(store: OtpStore) -> None:
    store.add(ALICES)
    assert store.swap(ALICES, replace(ALICES, failures=1, version=1))
    assert not store.swap(ALICES, replace(ALICES, failures=9, version=1))
    kept = store.get("acme", "c-1")
    assert kept is not None
    assert kept.failures == 1


def test_a_swap_of_what_is_not_there_puts_nothing_there(store: OtpStore) -> None:
    assert not store.swap(ALICES, replace(ALICES, version=1))
    assert list(store.all()) == []


def test_a_credential_is_removed_once_and_only_as_it_stands(store: OtpStore) -> None:
    store.add(ALICES)
    store.add(replace(ALICES, tenant="other"))
    assert store.swap(ALICES, replace(ALICES, version=1))
    assert not store.remove(ALICES)
    assert store.remove(replace(ALICES, version=1))
    assert not store.remove(replace(ALICES, version=1))
    assert [kept.tenant for kept in store.all()] == ["other"]


def test_a_subjects_credentials_come_oldest_first_and_nobody_elses_with_them(store: OtpStore) -> None:
    newer = replace(ALICES, id="c-0", created_us=8)
    for credential in (newer, ALICES, replace(ALICES, id="c-2", subject="bob"), replace(ALICES, tenant="other")):
        store.add(credential)
    assert store.of_subject("acme", "alice") == [ALICES, newer]


def test_the_file_is_for_its_owner_only_and_another_store_on_it_sees_the_same(tmp_path: Path) -> None:
    path = tmp_path / "otp.db"
    SqliteOtpStore(path).add(ALICES)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert SqliteOtpStore(path).get("acme", "c-1") == ALICES


def test_the_deletion_of_the_journal_is_on_disk_too_before_an_answer_is_given(tmp_path: Path) -> None:
    with SqliteOtpStore(tmp_path / "otp.db")._open() as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        assert database.execute("PRAGMA synchronous").fetchone() == (3,), "EXTRA"


def test_of_fifty_submissions_of_one_code_one_is_accepted_and_the_rest_are_replays(store: OtpStore) -> None:
    desk = Desk(store=store)
    made = desk.enrolled()
    token, right = desk.challenged(), code(made, desk.clock.now_us)
    outcomes = at_once(AT_ONCE, lambda _: desk.otp.verify(token, right, subject="alice", session="s-1"))
    assert outcomes == {"verified": 1, "replayed_code": AT_ONCE - 1}
    assert Counter(event["type"] for event in desk.events)["stepwatch.stepup.verified"] == 1


def test_of_fifty_guesses_at_once_only_those_before_the_first_wait_are_looked_at(store: OtpStore) -> None:
    desk = Desk(store=store)
    made = desk.enrolled()
    token, guess = desk.challenged(), wrong(code(made, desk.clock.now_us))
    outcomes = at_once(AT_ONCE, lambda _: desk.otp.verify(token, guess, subject="alice", session="s-1"))
    assert outcomes == {"wrong_code": 6, "locked_out": AT_ONCE - 6}


def _in_processes(path: Path, lots: list[list[str]], token: str, now_us: int) -> Counter[str]:
    outcomes: Counter[str] = Counter()
    spawn = multiprocessing.get_context("spawn")
    with spawn.Manager() as manager, ProcessPoolExecutor(len(lots), mp_context=spawn) as pool:
        ready = manager.Barrier(len(lots))
        for done in [pool.submit(submit_codes, str(path), token, codes, now_us, ready) for codes in lots]:
            outcomes.update(done.result())
    return outcomes


@pytest.mark.parametrize(
    ("choose", "expected"),
    [
        (lambda right: right, {"verified": 1, "replayed_code": AT_ONCE - 1}),
        (wrong, {"wrong_code": 6, "locked_out": AT_ONCE - 6}),
    ],
    ids=["the right code", "guesses"],
)
def test_the_same_holds_for_five_processes_of_ten_threads(
    tmp_path: Path, choose: Callable[[str], str], expected: dict[str, int]
) -> None:
    path = tmp_path / "otp.db"
    desk = Desk(store=SqliteOtpStore(path))
    made = desk.enrolled()
    typed = choose(code(made, desk.clock.now_us))
    assert _in_processes(path, [[typed] * 10] * 5, desk.challenged(), desk.clock.now_us) == expected
